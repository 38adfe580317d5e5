"""Speculative steps: many steps of a random walk in one round, with exactly the law of sequential steps.

A walk with unit noise, y_{j+1} = y_j + w_j D_j(y_j) + sqrt(w_j) z_j, needs D_j at each of its points. Propose several
steps with guesses g_j instead of D_j, evaluate all D_j at the proposed points at once, and check them in order: with

    Delta = sqrt(w_j) (g_j - D_j),   e = Delta / |Delta|,

the proposed step is kept, as a step of the walk, if log u_j < (|z_j|^2 - |z_j + Delta|^2) / 2. Otherwise z_j is
reflected to z_j - 2 <e, z_j> e, which makes it a step of the walk, and the proposals after it are dropped. This is the
maximal coupling of N(g, 1) and N(D, 1) by reflection. A guess may depend on anything before z_j and u_j. So the random
numbers of dropped steps can be used again, and so can the values evaluated there, which are good guesses for the same
steps.

Source: Hu et al., "Diffusion Models are Secretly Exchangeable: Parallelizing DDPMs via Autospeculation", arXiv
2505.03983, where every guess is the drift at the start of the proposals.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax


class Walk(NamedTuple):
    """A walk so far, and its cost.

    Attributes:
        first: number of steps taken.
        y: the current point, (*event).
        guesses: guesses of the drifts of the next `lookahead` steps, (lookahead, *event).
        rounds: number of evaluations that waited for each other.
        evaluations: number of drifts evaluated, without those that only fill up the last proposals.
        computed: number of drifts evaluated, with those.
    """

    first: Array
    y: Array
    guesses: Array
    rounds: Array
    evaluations: Array
    computed: Array


def settle(noise, uniform, guesses, drifts, weights):
    """The number of leading proposals that are kept, and the reflected noise, which turns the next one into a step.

    Args:
        noise: z_j, (lookahead, *event).
        uniform: u_j, (lookahead,).
        guesses: g_j, (lookahead, *event).
        drifts: D_j, (lookahead, *event).
        weights: w_j, (lookahead,).

    Returns:
        The count, from 0 to lookahead, and reflected noises (lookahead, *event).
    """
    z, gap = (v.reshape(len(v), -1) for v in (noise, guesses - drifts))
    delta = jnp.sqrt(weights)[:, None] * gap
    along = jnp.sum(z * delta, 1)
    square = jnp.sum(delta * delta, 1)
    kept = jnp.log(uniform) < -along - 0.5 * square
    kept |= square == 0
    reflected = z - (2 * along / jnp.where(square > 0, square, 1.0))[:, None] * delta
    return jnp.sum(jnp.cumprod(kept), dtype=jnp.int32), reflected.reshape(noise.shape)


def walk(y, drift, draw, weights, *, lookahead, fresh) -> Walk:
    """The whole walk of one sample.

    Args:
        y: the start, (*event).
        drift: (points (R, *event), steps (R,)) -> D, for R points at once.
        draw: j -> (z_j (*event), u_j) of step j.
        weights: w_j, (N,).
        lookahead: number of steps proposed at a time.
        fresh: evaluate the drift at the start of the proposals and use it as the guess of all drifts, as published: two
            rounds per set of proposals. Otherwise the guess is the drift last evaluated for the same step, or for the
            latest evaluated step before it: one round.
    """
    steps, place, last = weights.shape[0], jnp.arange(lookahead), weights.shape[0] - 1

    def over(v):
        return v.reshape(-1, *(1,) * y.ndim)

    def propose(at: Walk) -> Walk:
        index = jnp.minimum(at.first + place, last)
        inside = at.first + place < steps
        w = jnp.where(inside, weights[index], 0.0)
        z, u = jax.vmap(draw)(index)
        guesses = at.guesses
        if fresh:
            here = drift(at.y[None], index[:1])
            guesses = jnp.broadcast_to(here, guesses.shape)
        ends = at.y + jnp.cumsum(over(w) * guesses + over(jnp.sqrt(w)) * z, 0)
        starts = jnp.concatenate([at.y[None], ends[:-1]])
        if fresh and lookahead > 1:
            drifts = jnp.concatenate([here, drift(starts[1:], index[1:])])
        else:
            drifts = here if fresh else drift(starts, index)
        left = steps - at.first
        kept, reflected = settle(z, u, guesses, drifts, w)
        kept = jnp.minimum(kept, jnp.minimum(lookahead, left))
        broken = kept < jnp.minimum(lookahead, left)
        j = jnp.minimum(kept, lookahead - 1)
        mended = starts[j] + w[j] * drifts[j] + jnp.sqrt(w[j]) * reflected[j]
        count = kept + broken
        more = jnp.concatenate([drifts, jnp.broadcast_to(drifts[-1], drifts.shape)])
        return Walk(
            at.first + count,
            jnp.where(broken, mended, ends[j]),
            lax.dynamic_slice_in_dim(more, count, lookahead),
            at.rounds + (2 if fresh and lookahead > 1 else 1),
            at.evaluations + jnp.minimum(lookahead, left),
            at.computed + lookahead,
        )

    zero = jnp.zeros((), jnp.int32)
    start = Walk(zero, y, jnp.zeros((lookahead, *y.shape), y.dtype), zero, zero, zero)
    return lax.while_loop(lambda at: at.first < steps, propose, start)
