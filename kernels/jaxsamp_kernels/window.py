"""One window of a parallel-in-time sampler: all its nodes at once, sweep after sweep.

In a frame (scale, kappa, f) the state at the nodes lambda_1 .. lambda_R of a window that starts at x_0 is

    X_i = scale_i (x_0 / scale_0 + sum_j A_ij f_j),    f_j = f(X_j, lambda_j),

and a sweep computes the next X from f at the last X: Picard iteration, with one batched evaluation per sweep. The error
falls like (integral of |df/dX|)^k / k!, so it is fast where the frame leaves little of the denoiser's linear part in f.
At the end

    x_1 = scale_1 (x_0 / scale_0 + sum_j E_j f_j).

Gauss nodes: A and E integrate the polynomial through the f_j. Cells: one node in each of R cells; A_ij is the clock
difference over the part of cell j before node i, exact if f is constant in each cell, and E_j is the weight that makes
a random node unbiased.

Source: Gupta, Cai and Chen, "Faster Diffusion-based Sampling with Randomized Midpoints: Sequential and Parallel",
arXiv 2406.00924 (cells); Gauss nodes, whole trajectories in one window and acceleration are additions of this library.
"""

from functools import lru_cache
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from numpy.polynomial.legendre import leggauss, legvander

from jaxsamp_kernels.frame import Frame
from jaxsamp_kernels.midpoint import node

QUADRATURE_POINTS = 60  # for each integral of the polynomial times the clock's rate
# The flow carries the error of the nodes on to the end, where it is two to three times as large as where it arose on a
# U-Net of images; and the slopes of a network have bends, so that their coefficients fall more slowly than a power.
CARRIED_ON = 4.0
RELATIVE_RIDGE = 1e-3  # in units of the mean square of a node's differences


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

    def between(self, left, right):
        """sum_d left_iad scale_i A_ijd right_jbd, (R, a, R, b)."""
        if self.inner.ndim == 2:
            return self.inner[:, None, :, None] * jnp.einsum("iad,jbd->iajb", left, right, precision="highest")
        # Row by row, because all rows at once would need R times the memory of the window.
        row = lambda at: jnp.einsum("ad,jd,jbd->ajb", *at, right, precision="highest")  # noqa: E731
        return lax.map(row, (left, self.inner))


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

    def between(self, left, right):
        """sum_d left_iad scale_i A_ijd right_jbd, (R, a, R, b)."""
        left, flat = left * _flat(self.scale), "iad,jbd->iajb"
        earlier = jnp.einsum(flat, left, right * _flat(self.whole), precision="highest")
        own = jnp.einsum("iad,ibd->iab", left * _flat(self.before), right, precision="highest")
        i = jnp.arange(len(self.lam))
        return jnp.where((i[:, None] > i)[:, None, :, None], earlier, 0.0).at[i, :, i, :].set(own)


def _flat(values):
    """Values at the nodes, (R,) or (R, d), made to broadcast against (R, a, d)."""
    return values[:, None, None] if values.ndim == 1 else values[:, None]


def lift(values, f):
    """Values at the nodes, (R,) or (R, d), made to broadcast against slopes (R, *event)."""
    return values.reshape(values.shape + (1,) * (f.ndim - values.ndim))


def weighted(weights, f):
    """sum_j E_j f_j."""
    return jnp.sum(lift(weights, f) * f, 0)


@lru_cache
def _rule(count):
    """On [-1, 1]: the nodes, and for each of [-1, node_1], ..., [-1, 1] the points, weights and Lagrange basis."""
    nodes, own = leggauss(count)
    barycentric = (-1.0) ** np.arange(count) * np.sqrt((1 - nodes**2) * own)
    points, weights = leggauss(QUADRATURE_POINTS)
    half = 0.5 * (np.append(nodes, 1.0) + 1)
    at = -1 + half[:, None] * (1 + points)
    gap = at[..., None] - nodes
    terms = barycentric / np.where(gap == 0, 1.0, gap)
    basis = np.where((gap == 0).any(-1, keepdims=True), gap == 0, terms / terms.sum(-1, keepdims=True))
    return nodes, at, half[:, None] * weights, basis


def gauss_window(frame: Frame, lam0, lam1, count) -> Gauss:
    """A window of `count` Gauss-Legendre nodes in lambda.

    The Lagrange basis comes from the barycentric formula with the known weights of these nodes, in float64 on the host.
    """
    nodes, at, weights, basis = (jnp.asarray(v, lam0.dtype) for v in _rule(count))
    half = 0.5 * (lam1 - lam0)
    ends = lam0 + half * (jnp.append(nodes, 1.0) + 1)
    scale, passed = frame.scale(ends), frame.clock_rate(lam0 + half * (at + 1))
    # Multiply scale_i by the rate before summing: each alone spans many orders of magnitude in some frames.
    kernel = half * scale[:, None] * passed
    rule = "iq,iqj,iqd->ijd" if kernel.ndim == 3 else "iq,iqj,iq->ij"
    integrals = jnp.einsum(rule, weights, basis, kernel, precision="highest")
    ratio = scale / frame.scale(lam0)
    return Gauss(ends[:-1], ratio[:-1], integrals[:-1], ratio[-1], integrals[-1])


def cell_window(frame: Frame, lam0, lam1, u, draws, trained) -> Cells:
    """One node in each of R cells, at the fraction `u`, (R,), of the clock named by `draws`; see `midpoint.node`.

    Cells have equal length in lambda, or for "uniform_ou" in the time of the Ornstein-Uhlenbeck process. `trained`
    moves each node to the nearest level a network was trained at, before any weight is computed.
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
    """f at the nodes along the exact flow of N(mean, variance) from x at lam0, without evaluations; (R, *event).

    X(lambda) = mean + sqrt((v + s^2) / (v + s_0^2)) (x - mean),   D = mean + v / (v + s^2) (X - mean),

    in coordinates where the covariance is diagonal.
    """

    def at(lam):
        total = variance + jnp.exp(-2 * lam)
        path = jnp.sqrt(total / (variance + jnp.exp(-2 * lam0))) * (x - mean)
        return frame.integrand(mean + path, mean + variance / total * path, lam)

    return jax.vmap(at)(lam)


def slopes(frame: Frame, x, denoised, lam):
    """f at one point, x (*event) and lam (), or at R points, (R, *event) and (R,)."""
    if lam.ndim == 0:
        return frame.integrand(x, denoised, lam)
    return jax.vmap(frame.integrand)(x, denoised, lam)


class Memory(NamedTuple):
    """The latest sweeps: rings of the states at the nodes and of their slopes."""

    x: Array  # (depth, R, *event)
    f: Array


def secants(memory, k, x, f):
    """V_j^+ and U_j of each node, (R, depth, d): its Jacobian df/dx is estimated by U_j V_j^+.

    V_j are the differences of the node's latest states from `x`, and U_j those of the slopes from `f`.
    """
    depth, nodes = memory.x.shape[:2]
    known = (jnp.arange(depth) < k).astype(f.dtype)  # rings fill from the front
    moved, changed = (
        jnp.moveaxis((ring - now) * lift(known, ring), 0, 1).reshape(nodes, depth, -1)
        for ring, now in ((memory.x, x), (memory.f, f))
    )
    gram = jnp.einsum("iad,ibd->iab", moved, moved, precision="highest")
    eye = jnp.eye(depth, dtype=f.dtype)
    ridge = RELATIVE_RIDGE * jnp.trace(gram, axis1=1, axis2=2) / jnp.maximum(known.sum(), 1) + jnp.finfo(f.dtype).tiny
    # The difference of a slot that holds no sweep yet is zero; the ridge and the added 1 keep its share at zero.
    inverse = jnp.linalg.solve(gram + (ridge[:, None] + (1 - known))[..., None] * eye, moved)
    return inverse, changed


def secant_step(win, memory, k, start, x, f):
    """One accelerated sweep: the slopes f at the states x, corrected for the moves of the states; (R, *event).

    The Jacobian df/dx of each node is estimated from its own latest sweeps, J_j = U_j V_j^+, where V_j are the
    differences of the states and U_j of the slopes, and the linear equations of the whole window are solved with these:

        X_i = scale_i (x_0 / scale_0 + sum_j A_ij (f_j + J_j (X_j - x_j))),   returning f_j + J_j (X_j - x_j).

    This is a quasi-Newton method with one unknown per node and difference. Unlike a single combination of sweeps for
    the whole window, it respects the order of time, which matters for samples close to a boundary between modes.
    Source: Broyden, "A class of methods for solving nonlinear simultaneous equations", Math. Comp. 19 (1965).

    Args:
        win: the window.
        memory: rings of the latest sweeps, before this one.
        k: number of earlier sweeps.
        start: x_0.
        x: states at the nodes.
        f: slopes there.
    """
    nodes, depth = x.shape[0], memory.x.shape[0]
    inverse, changed = secants(memory, k, x, f)
    gap = (win.states(start, f) - x).reshape(nodes, -1)
    aim = jnp.einsum("iad,id->ia", inverse, gap, precision="highest").ravel()
    system = jnp.eye(nodes * depth, dtype=f.dtype) - win.between(inverse, changed).reshape(nodes * depth, -1)
    share = jnp.linalg.solve(system, aim).reshape(nodes, depth)
    return f + jnp.einsum("ja,jad->jd", share, changed, precision="highest").reshape(f.shape)


@lru_cache
def _above(count, degree):
    """(count, count): values at Gauss nodes -> what Legendre degrees from `degree` on have of them, in float64."""
    nodes, own = leggauss(count)
    values = legvander(nodes, count - 1)[:, degree:]
    return values @ ((2 * np.arange(degree, count)[:, None] + 1) / 2 * (values * own[:, None]).T)


def quadrature_error(win: Gauss, f, weight):
    """An estimate of how far the states are from those of infinitely many Gauss nodes, with the slopes f at R of them.

    Without the Legendre coefficients of f from degree n on the states would move by m(n), the largest over nodes of
    the weighted root mean square. The estimate is CARRIED_ON times m(3 R / 4)^2 / m(R / 2), which is m(R) where m falls
    like a power of a number; where it does not fall, CARRIED_ON times m(3 R / 4). It is no bound: where the slopes of a
    network have bends between the nodes the error is up to five times as large, and it is larger still for a sample
    near the boundary between two modes.

    Args:
        win: the window.
        f: slopes at the nodes, (R, *event).
        weight: of the states at the nodes, (R,).
    """
    count, still = len(win.lam), jnp.zeros(f.shape[1:], f.dtype)

    def moved(degree):
        left_out = jnp.tensordot(jnp.asarray(_above(count, degree), f.dtype), f, 1, precision="highest")
        states = win.states(still, left_out).reshape(count, -1)
        return jnp.max(weight * jnp.sqrt(jnp.mean(jnp.square(states), 1)))

    half, most = moved(count // 2), moved(3 * count // 4)
    return CARRIED_ON * most * jnp.minimum(1.0, most / (half + jnp.finfo(f.dtype).tiny))
