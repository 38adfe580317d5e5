"""Underdamped Langevin steps that evaluate the score at many times of a step at once.

The dynamics, psi_k and `pair` are defined in `langevin`. A step of time h is cut into R cells of time D = h / R with
one node in each, tau_i = (i - 1 + U_i) D, and the path through the nodes is computed by Picard iteration.
"""

from typing import NamedTuple

import jax.numpy as jnp
from jax import Array, lax

from jaxsamp_kernels.langevin import pair, psi


class NodeNoise(NamedTuple):
    """int_0^tau psi_1(tau - r) dB at all nodes, (R, ...), and with psi_1 and psi_0 at the end h; the same B in all."""

    nodes: Array
    position: Array
    velocity: Array


def node_times(h, fractions):
    """tau_i = (i - 1 + U_i) h / R, increasing, from the position U_i of each node in its cell, (R,) in [0, 1]."""
    return (jnp.arange(len(fractions)) + fractions) * (h / len(fractions))


def node_noise(h, friction, times, z):
    """The stochastic integrals up to each of the sorted `times`, (R,), and up to h.

    The pairs (a_j, b_j) of the R + 1 pieces of time between 0, the nodes and h are independent. The piece that ends at
    t_j contributes a_j + psi_1(t - t_j) b_j to the position at a later time t, and psi_0(t - t_j) b_j to the velocity.
    These coefficients are not negative, so nothing cancels.

    Args:
        h: step size, in time.
        friction: g.
        times: increasing, in [0, h].
        z: standard normal, (R + 1, 2, ...).
    """
    ends = jnp.append(times, h)
    lengths = _along(jnp.diff(ends, prepend=0.0), z[:, 0])
    a, b = pair(lengths, friction, z[:, 0], z[:, 1])
    before = jnp.tril(jnp.ones((len(ends), len(ends)), ends.dtype))
    since = before * (ends[:, None] - ends)
    position = _weighted(before, a) + _weighted(before * psi(1, since, friction), b)
    return NodeNoise(position[:-1], position[-1], _weighted(psi(0, since[-1], friction), b))


def node_weights(h, friction, times):
    """w_ij = int psi_1(tau_i - r) dr over the part of cell j before tau_i, (R, R), lower triangular.

    Row i sums to psi_2(tau_i), so a constant score is integrated exactly.
    """
    edges = jnp.linspace(0.0, 1.0, len(times) + 1, dtype=times.dtype) * h
    after = jnp.maximum(times[:, None] - edges, 0.0)  # time since the edge of each cell
    return -jnp.diff(psi(2, after, friction), axis=1)


def parallel_underdamped_step(evaluate_scores, x, v, score_start, h, friction, inertia, fractions, z, iterations):
    """One step with the score at R nodes, `iterations` times each; returns (x, v, the scores at the nodes).

    With F_j = s(x) before the first sweep, a sweep computes the path through all nodes and evaluates the score there,

        x_i = x + psi_1(tau_i) v + u sum_(j <= i) w_ij F_j + c W_i,    F_i = s(x_i),

    where w_ij are the exact integrals of `node_weights`. With U uniform on [0, 1]^R, the end is unbiased for the
    integral of the score along the path through the nodes:

        x' = x + psi_1(h) v + u D sum_j psi_1(h - tau_j) F_j + c W_x,
        v' = psi_0(h) v + u D sum_j psi_0(h - tau_j) F_j + c W_v.

    With R = 1 and one sweep this is `langevin.midpoint_underdamped_step`.

    Args:
        evaluate_scores: (R, *x.shape) -> the scores at R points; called `iterations` times, one after the other.
        x: the state, any shape.
        v: its velocity.
        score_start: s(x), or a guess of it, which gives the path of the first sweep.
        h: step size, in time.
        friction: g.
        inertia: u.
        fractions: U, (R,).
        z: standard normal, (R + 1, 2, *x.shape).
        iterations: sweeps, at least 1.

    Source: Shen and Lee, "The randomized midpoint method for log-concave sampling", arXiv 1909.05503, Algorithm 2; in
    diffusion samplers: Gupta, Cai and Chen, "Faster Diffusion-based Sampling with Randomized Midpoints: Sequential and
    Parallel", arXiv 2406.00924; without random nodes: Anari, Chewi and Vuong, "Fast parallel sampling under
    isoperimetry", arXiv 2401.09016.
    """
    times = node_times(h, fractions)
    noise, weights = node_noise(h, friction, times, z), node_weights(h, friction, times)
    c = jnp.sqrt(2 * friction * inertia)
    free = x + _along(psi(1, times, friction), noise.nodes) * v + c * noise.nodes

    def sweep(_, scores):
        return evaluate_scores(free + inertia * _weighted(weights, scores))

    scores = lax.fori_loop(0, iterations, sweep, jnp.broadcast_to(score_start, noise.nodes.shape))
    late, cell = h - times, inertia * (h / len(fractions))
    x_end = x + psi(1, h, friction) * v + cell * _weighted(psi(1, late, friction), scores) + c * noise.position
    v_end = psi(0, h, friction) * v + cell * _weighted(psi(0, late, friction), scores) + c * noise.velocity
    return x_end, v_end, scores


def _along(values, array):
    """`values`, one per entry of the leading axis of `array`."""
    return values.reshape(values.shape + (1,) * (array.ndim - 1))


def _weighted(weights, array):
    """Weighted sums over the leading axis of `array`."""
    return jnp.tensordot(weights, array, 1, precision="highest")
