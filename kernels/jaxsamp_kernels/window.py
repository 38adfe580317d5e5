"""One window of a parallel-in-time sampler: all its nodes at once, sweep after sweep.

In a frame (scale, kappa, f) the state at the nodes lambda_1 .. lambda_R of a window that starts at x_0 is

    X_i = scale_i (x_0 / scale_0 + sum_j A_ij f_j),    f_j = f(X_j, lambda_j),

and a sweep puts the f of the last X into the next: Picard iteration, one batched evaluation each. It converges like
(integral of |df/dX|)^k / k!, so fast where the frame leaves little of the denoiser's linear part in f. At the end

    x_1 = scale_1 (x_0 / scale_0 + sum_j E_j f_j).

Gauss nodes: A and E integrate the polynomial through the f_j. Cells: one node in each of R cells; A_ij is the clock
that passes in cell j before node i, exact for f constant in a cell, and E_j the weight that makes a random node
unbiased.

Source: Gupta, Cai and Chen, "Faster Diffusion-based Sampling with Randomized Midpoints: Sequential and Parallel",
arXiv 2406.00924 (cells); Gauss nodes, whole trajectories in one window and acceleration are this library's.
"""

from functools import lru_cache
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from numpy.polynomial.legendre import leggauss

from jaxsamp_kernels.frame import Frame
from jaxsamp_kernels.midpoint import node

QUADRATURE = 60  # points for each integral of the polynomial times the clock's rate
RIDGE = 1e-6  # of the mean diagonal of Anderson's normal equations


class Gauss(NamedTuple):
    """Nodes and weights of a Gauss window; weights (R, R) and (R,), with a last axis (d,) in a frame per coordinate."""

    lam: Array
    ratio: Array  # scale_i / scale_0
    inner: Array  # scale_i A_ij
    end_ratio: Array
    outer: Array  # scale_1 E_j

    def states(self, x, f):
        """X at the nodes, (R, *event)."""
        inner = "ijd,jd->id" if self.inner.ndim == 3 else "ij,j...->i..."
        return lift(self.ratio, f) * x + jnp.einsum(inner, self.inner, f, precision="highest")

    def end(self, x, f):
        """x_1."""
        return self.end_ratio * x + weighted(self.outer, f)


class Cells(NamedTuple):
    """Nodes and weights of a window of cells; (R,), or (R, d) in a frame per coordinate."""

    lam: Array
    ratio: Array
    scale: Array
    before: Array  # the clock from the cell's start to its node
    whole: Array  # the clock of the cell
    end_ratio: Array
    outer: Array

    def states(self, x, f):
        """X at the nodes, (R, *event)."""
        passed = jnp.cumsum(lift(self.whole, f) * f, 0) - lift(self.whole - self.before, f) * f
        return lift(self.ratio, f) * x + lift(self.scale, f) * passed

    def end(self, x, f):
        """x_1."""
        return self.end_ratio * x + weighted(self.outer, f)


def lift(values, f):
    """Numbers of the nodes, (R,) or (R, d), against slopes (R, *event)."""
    return values.reshape(values.shape + (1,) * (f.ndim - values.ndim))


def weighted(weights, f):
    """sum_j E_j f_j."""
    return jnp.sum(lift(weights, f) * f, 0)


@lru_cache
def _rule(count):
    """On [-1, 1]: the nodes, and for each of [-1, node_1], .., [-1, 1] points, weights and the Lagrange basis there."""
    nodes, own = leggauss(count)
    barycentric = (-1.0) ** np.arange(count) * np.sqrt((1 - nodes**2) * own)
    points, weights = leggauss(QUADRATURE)
    half = 0.5 * (np.append(nodes, 1.0) + 1)
    at = -1 + half[:, None] * (1 + points)
    gap = at[..., None] - nodes
    terms = barycentric / np.where(gap == 0, 1.0, gap)
    basis = np.where((gap == 0).any(-1, keepdims=True), gap == 0, terms / terms.sum(-1, keepdims=True))
    return nodes, at, half[:, None] * weights, basis


def gauss_window(frame: Frame, lam0, lam1, count) -> Gauss:
    """Gauss-Legendre nodes, `count` of them, even in lambda.

    The Lagrange basis comes from the barycentric formula with the known weights of these nodes, in float64 on the host.
    """
    nodes, at, weights, basis = (jnp.asarray(v, lam0.dtype) for v in _rule(count))
    half = 0.5 * (lam1 - lam0)
    ends = lam0 + half * (jnp.append(nodes, 1.0) + 1)
    scale, passed = frame.scale(ends), frame.clock_rate(lam0 + half * (at + 1))
    # scale_i times the rate before the sum: either alone spans many orders of magnitude in some frames.
    kernel = half * scale[:, None] * passed
    rule = "iq,iqj,iqd->ijd" if kernel.ndim == 3 else "iq,iqj,iq->ij"
    integrals = jnp.einsum(rule, weights, basis, kernel, precision="highest")
    ratio = scale / frame.scale(lam0)
    return Gauss(ends[:-1], ratio[:-1], integrals[:-1], ratio[-1], integrals[-1])


def cell_window(frame: Frame, lam0, lam1, u, draws, trained) -> Cells:
    """One node in each of R cells, at the fraction `u` (R,) of the clock named by `draws`; see `midpoint.node`.

    Cells are even in lambda, and for "uniform_ou" in the time of the Ornstein-Uhlenbeck process. `trained` moves a node
    to where a network was trained, before any weight is computed.
    """
    count, end = u.shape[0], jnp.stack([lam0, lam1])
    if draws == "uniform_ou":
        tau = 0.5 * jnp.log1p(jnp.exp(-2 * end))
        edges = -0.5 * jnp.log(jnp.expm1(2 * jnp.linspace(tau[0], tau[1], count + 1)))
    else:
        edges = jnp.linspace(lam0, lam1, count + 1)
    edges = edges.at[0].set(lam0).at[-1].set(lam1)
    lam, weight = jax.vmap(lambda *cell: node(frame, draws, *cell))(u, edges[:-1], edges[1:])
    lam = trained(lam)
    start, stop = frame.scale(lam0), frame.scale(lam1)
    scale, passed = frame.scale(lam), frame.clock_delta
    return Cells(
        lam, scale / start, scale, passed(edges[:-1], lam), passed(edges[:-1], edges[1:]), stop / start, stop * weight
    )


def gaussian_slopes(frame: Frame, x, lam0, lam, mean, variance):
    """f at the nodes along the exact flow of N(mean, variance) from x at lam0, without any evaluation; (R, *event).

    X(lambda) = mean + sqrt((v + s^2) / (v + s_0^2)) (x - mean),   D = mean + v / (v + s^2) (X - mean),

    in coordinates where the covariance is diagonal.
    """

    def at(lam):
        total = variance + jnp.exp(-2 * lam)
        path = jnp.sqrt(total / (variance + jnp.exp(-2 * lam0))) * (x - mean)
        return frame.integrand(mean + path, mean + variance / total * path, lam)

    return jax.vmap(at)(lam)


def slopes(frame: Frame, x, denoised, lam):
    """f at one place, or at R of them: (*event) and (), or (R, *event) and (R,)."""
    if lam.ndim == 0:
        return frame.integrand(x, denoised, lam)
    return jax.vmap(frame.integrand)(x, denoised, lam)


class Memory(NamedTuple):
    """The latest sweeps for Anderson acceleration: rings of what came out and of how much it changed."""

    out: Array  # (depth, R, *event)
    change: Array


def anderson(memory, weights, k, before, after):
    """Anderson acceleration of f <- g(f) after sweep k from its latest `depth` sweeps; returns (memory, next f).

    Among combinations of the latest g(f) with weights that sum to one, the one with the least combined change g(f) - f
    in the norm sum_j |w_j| |f_j|^2, by normal equations with a ridge. Source: Walker and Ni, "Anderson acceleration for
    fixed-point iterations", SIAM J. Numer. Anal. 49 (2011).
    """
    depth, change = memory.out.shape[0], after - before
    memory = Memory(memory.out.at[k % depth].set(after), memory.change.at[k % depth].set(change))
    ages = jnp.arange(1, depth)
    slots, known = (k - ages) % depth, lift((ages <= k).astype(after.dtype), memory.out[1:])
    root = jnp.sqrt(jnp.abs(lift(weights, after)))
    moved = (root * (change - memory.change[slots]) * known).reshape(depth - 1, -1)
    normal = jnp.matmul(moved, moved.T, precision="highest")
    ridge = RIDGE * jnp.trace(normal) / (depth - 1) + jnp.finfo(after.dtype).tiny
    # A slot that holds no sweep yet has a row of zeros, and the ridge alone gives it no share.
    aim = jnp.matmul(moved, (root * change).ravel(), precision="highest")
    share = jnp.linalg.solve(normal + ridge * jnp.eye(depth - 1, dtype=after.dtype), aim)
    return memory, after - jnp.tensordot(share, (after - memory.out[slots]) * known, 1)
