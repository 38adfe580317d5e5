"""Parallel midpoint: all nodes of a window at once, so a whole trajectory takes a few rounds."""

from dataclasses import dataclass, field
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from jaxsamp.core import checks
from jaxsamp.core.pytrees import pytree
from jaxsamp.core.random import Rng
from jaxsamp.core.types import Array, State
from jaxsamp.samplers.base import Cost, Problem, Sampler, check_frame, named_frame
from jaxsamp.samplers.following import Path, Surrogate, Sweep
from jaxsamp_kernels import march, midpoint, window

NODES = ("gauss", "random", "antithetic", "midpoint")
INITIAL = ("gaussian", "constant", "warm")
ACCURACY, MOST = 0.01, 16  # by default: of the data's standard deviation, and the largest number of sweeps


class _Memory(NamedTuple):
    """The memory between two windows."""

    slope: Any  # the slope at the last node, for a warm start; otherwise None
    sweeps: Array
    residual: Array
    settled: Array


@pytree
@dataclass(frozen=True)
class ParallelMidpoint(Sampler):
    """Windows of `midpoints` nodes, all evaluated at once in each of a few sweeps; one window by default.

        X_i = scale_i (x_0 / scale_0 + sum_j A_ij f_j),   f_j <- f(X_j, lambda_j),
        x_1 = scale_1 (x_0 / scale_0 + sum_j E_j f_j)

    in one of the frames of `jaxsamp_kernels.frame`, with the weights of `jaxsamp_kernels.window`. In the frame
    "calibrated" the sweeps have little left to correct: one window takes noise to data in a few rounds, where the best
    sequential solvers need twenty, with about eight times their evaluations. This pays for networks that leave the
    accelerator idle. `jaxsamp.calibrate` measures what the frame and the initial path need; exact denoisers of targets
    have it.

    By default each sample sweeps until the residual of its path is at most 1 % of the standard deviation of the data,
    in 17 rounds at the most; then `stats["residual"]` is the larger one of this (see `tolerance`) and of an estimate of
    the error of the Gauss nodes, and `stats["converged"]` says whether it is within the 1 %. `jaxsamp.sample` warns if
    some are not.

    Args:
        midpoints: R, number of nodes per window.
        iterations: K, for K + 1 rounds per window, or K after a warm start, whatever they give; with a tolerance the
            largest number. By default 16, of which each sample takes what it needs.
        nodes: "gauss", the Gauss-Legendre nodes of the window; or one node in each of R cells: "random", uniform in the
            frame's clock; "antithetic", the same in pairs U and 1 - U; "midpoint", at U = 1/2.
        frame: "calibrated", or any other deterministic frame of `jaxsamp_kernels.frame`.
        initial: the path along which the first slopes are computed: "gaussian", the exact flow of the Gaussian with
            the data's mean and variance; "constant", the slope at the window's start everywhere; "warm", the last slope
            of the previous window, and for the first window the slope at its start.
        secants: number of latest sweeps from which each node's Jacobian is estimated, for the quasi-Newton acceleration
            of `jaxsamp_kernels.window.secant_step`; 0 for plain Picard iteration.
        tolerance: None, for `iterations` sweeps or the 1 % above; or the error, root mean square over coordinates in
            the scale of x_0, at which a sample stops sweeping. With P the largest change of the path in a sweep, max
            over nodes of rms(X_j - X_j before) sqrt(v / (v + s_j^2)), v the variance of the data, P' the one before,
            q = P / P', q' the q before and g = max(1, q / q'), or 2 after two sweeps, which have no q', it stops at
            3 P min(1, max(g q, 0.1)) <= tolerance, after two sweeps at the earliest.
            `stats["residual"]` is the largest one of P, of min(P', max(2, g^2) sqrt(P P')), and of P r / (1 - r),
            r = min(g^2 q, 0.9), what is left if changes go on to shrink like this; `stats["converged"]` says whether it
            is within the tolerance, which takes about a round more: of a sample that stopped before, the estimate alone
            says that it is. Neither sees the error of the nodes, nor, with tolerances above some 1 % of the data's
            standard deviation, every sample that sits still between two modes.
        clock: the clock in which random nodes are uniform; see `RandomizedMidpoint`.
        surrogate: None, or a cheap denoiser S of the same law, such as a smaller network. Between two rounds the path
            then follows S through the window, R calls of S one after the other, and only D - S is left to the sweeps:
            fewer rounds if S is near D, the same limit whatever S is. It needs Gauss nodes, and takes the place of the
            initial path. `stats["surrogate_evaluations"]` counts its calls, which are in no other number. See
            `jaxsamp_kernels.march`.

    Source: Gupta, Cai and Chen, "Faster Diffusion-based Sampling with Randomized Midpoints: Sequential and Parallel",
    arXiv 2406.00924; the calibrated frame, Gauss nodes, the initial path and acceleration are this library's additions.
    """

    midpoints: int = field(default=32, metadata={"static": True})
    iterations: int | None = field(default=None, metadata={"static": True})
    nodes: str = field(default="gauss", metadata={"static": True})
    frame: str = field(default="calibrated", metadata={"static": True})
    initial: str = field(default="gaussian", metadata={"static": True})
    secants: int = field(default=1, metadata={"static": True})
    tolerance: Any = None
    clock: str = field(default="importance", metadata={"static": True})
    surrogate: Any = None

    @classmethod
    def blocked(cls, midpoints: int = 16, iterations: int = 3, **settings: Any) -> "ParallelMidpoint":
        """Several windows in the data frame, with antithetic nodes and a warm start, which needs no calibration."""
        chosen = {"frame": "data", "nodes": "antithetic", "initial": "warm", "secants": 0} | settings
        return cls(midpoints, iterations, **chosen)

    @classmethod
    def paper(cls, midpoints: int = 16, iterations: int = 3) -> "ParallelMidpoint":
        """The parallel predictor of arXiv 2406.00924 as published: score frame, nodes uniform in cells of OU time.

        `jaxsamp.theory.published.gcc_parallel` has the windows and the corrector that go with it.
        """
        return cls(midpoints, iterations, "random", "score", "constant", 0, clock="uniform_ou")

    @property
    def reads_calibration(self) -> bool:
        """True in the calibrated frame, and for the Gaussian initial path."""
        return "calibrated" == self.frame or (self.initial == "gaussian" and self.surrogate is None)

    @property
    def default_steps(self) -> int:  # type: ignore[override]
        """One window; eight, one after the other, with a warm start."""
        return 8 if self.initial == "warm" else 1

    @property
    def stochastic(self) -> bool:  # type: ignore[override]
        """Whether nodes are random."""
        return self.nodes in ("random", "antithetic")

    @property
    def differentiable(self) -> bool:  # type: ignore[override]
        """Whether the number of sweeps is fixed."""
        return self.tolerance is None and not self._certifies

    @property
    def remedy(self) -> str:  # type: ignore[override]
        """What helps samples that have not converged."""
        return f"Give it more midpoints than {self.midpoints}, more iterations than {self._most}, or a tolerance."

    @property
    def _certifies(self) -> bool:
        """Whether samples sweep until they are within ACCURACY."""
        return self.tolerance is None and self.iterations is None

    @property
    def _most(self) -> int:
        return MOST if self.iterations is None else self.iterations

    @property
    def convergence_order(self) -> float:  # type: ignore[override]
        """In the length of the windows: the sweeps, plus one without a warm start, up to the order of the nodes."""
        most = {"gauss": 2.0 * self.midpoints, "random": 1.5}.get(self.nodes, 2.0)
        return min(float(self._most + (self.initial != "warm")), most)

    def check(self) -> None:
        """Raise ValueError if a count, a name or the tolerance is wrong."""
        checks.at_least("midpoints", self.midpoints, 1)
        checks.at_least("iterations", self._most, 1)
        checks.at_least("secants", self.secants, 0)
        checks.one_of("nodes", self.nodes, NODES)
        checks.one_of("initial", self.initial, INITIAL)
        checks.one_of("clock", self.clock, midpoint.DRAWS)
        check_frame(self.frame)
        if self.tolerance is not None and checks.is_concrete(self.tolerance) and not float(self.tolerance) >= 0:
            raise ValueError(f"tolerance must be None or a number of at least 0; got {self.tolerance}.")
        if self.surrogate is not None:
            checks.denoiser(self.surrogate, "surrogate")
            if (self.nodes, self.initial) != ("gauss", "gaussian"):
                raise ValueError(
                    'nodes must be "gauss" and initial left out with a surrogate, which makes the first path; got '
                    f"{self.nodes!r} and {self.initial!r}."
                )

    @property
    def _sweeps(self) -> int:
        """All-node evaluations of a window; with the Gaussian initial path, the slopes along it are one more."""
        return self._most + (self.initial == "gaussian")

    def evaluations(self, steps: int) -> int:
        """R per sweep, and one per slope from which a window starts."""
        return {"gaussian": 0, "constant": steps, "warm": 1}[self.initial] + steps * self._sweeps * self.midpoints

    def rounds(self, steps: int) -> int:
        """One per sweep, and one per slope from which a window starts."""
        return {"gaussian": 0, "constant": steps, "warm": 1}[self.initial] + steps * self._sweeps

    def limit(self, steps: int) -> int:
        """All of them, where an estimate of the error lets samples stop before the certificate would."""
        return 0 if self._certifies else self.rounds(steps)

    def prepare(self, lam: Array, calibration: Any) -> Any:
        """The weights of Gauss windows, and the steps of a surrogate through them, one row per window."""
        if self.nodes != "gauss":
            return None
        frame = named_frame(self.frame, calibration)

        def tables(ends: Any) -> Any:
            win = window.gauss_window(frame, ends[0], ends[1], self.midpoints)
            return win, None if self.surrogate is None else march.steps(frame, ends[0], win.lam, ends[1])

        return lax.map(tables, (lam[:-1], lam[1:]))

    def init(self, problem: Problem, x: Array) -> State:
        """The state before the first window."""
        slope = self._slopes(problem, x, problem.lam[0], problem.denoise) if self.initial == "warm" else None
        return State(x, _Memory(slope, jnp.zeros((), jnp.int32), jnp.zeros((), x.dtype), jnp.ones((), bool)))

    def cost(self, state: State, steps: int) -> Cost:
        """The cost, from the number of sweeps that were taken."""
        memory = state.memory
        spared = steps * self._sweeps - memory.sweeps
        evaluations = self.evaluations(steps) - spared * self.midpoints
        # The first path takes one call more, at the window's start; then each sweep takes one per node.
        calls = 0
        if self.surrogate is not None:
            calls = (memory.sweeps + steps) * self.midpoints + steps
            calls *= getattr(self.surrogate, "evaluations", 1)
        return Cost(self.rounds(steps) - spared, evaluations, evaluations, memory.residual, memory.settled, calls)

    def sweeps(self, problem: Problem, state: State, i: Array, rng: Any) -> tuple[Any, Any, Any]:
        """Window i: its nodes and weights, what is known before its first sweep, and (k, what is known) -> the same
        after sweep k. Gauss nodes need no `rng`.
        """
        (win, steps), x = self._window(problem, i, rng), state.x
        rings = window.Memory(*jnp.zeros((2, self.secants, self.midpoints, *x.shape), x.dtype))
        follow = None if self.surrogate is None else self._follow(problem, win, steps)
        if follow is None:
            f = self._first(problem, win, state, i)
            path = Path(win.states(x, f), f, win.end(x, f))
        else:
            path = follow.first(x, problem.lam[i])

        def sweep(k: Array, at: Sweep) -> Sweep:
            path, latest = at.path, at.memory
            f = self._slopes(problem, path.x, win.lam, problem.denoise_all)
            rest = f if follow is None else f - path.g
            if follow is not None:
                linear = window.secants(latest, k, path.x, rest) if self.secants else None
                new = follow.next(x, path, f, linear)
            else:
                f = window.secant_step(win, latest, k, x, path.x, f) if self.secants else f
                new = Path(win.states(x, f), f, win.end(x, f))
            if self.secants:
                slot = k % self.secants
                latest = window.Memory(latest.x.at[slot].set(path.x), latest.f.at[slot].set(rest))
            change = self._change(problem, win.lam, path, new)
            return at.followed_by(new, latest, None if follow is None else rest, change)

        rest = None if follow is None else jnp.zeros_like(path.g)
        return win, Sweep.before(path, rings, rest), sweep

    def step(self, problem: Problem, state: State, i: Array, rng: Rng) -> State:
        """One window."""
        win, start, sweep = self.sweeps(problem, state, i, rng)
        memory = state.memory
        most = self._sweeps
        if self.differentiable:
            sweeps, last, settled = most, lax.fori_loop(0, most, sweep, start), memory.settled
        else:
            within = lambda value, at: value <= self._tolerance(problem, at.path.end)  # noqa: E731
            sweeps, last = lax.while_loop(
                lambda at: (at[0] < most) & ~within(at[1].residual if self._certifies else at[1].error, at[1]),
                lambda at: (at[0] + 1, sweep(*at)),
                (jnp.zeros((), jnp.int32), start),
            )
            if self._certifies and self.nodes == "gauss":
                share = self._share(problem, win.lam, last.path.end)
                f = last.path.g if last.rest is None else last.path.g + last.rest
                error = window.quadrature_error(win, f, share)
                last = last._replace(residual=jnp.maximum(last.residual, error))
            settled = memory.settled & within(last.residual, last)
        slope = last.path.g[-1] if self.initial == "warm" else None
        residual = jnp.maximum(memory.residual, last.residual)
        return State(last.path.end, _Memory(slope, memory.sweeps + sweeps, residual, settled))

    def _tolerance(self, problem: Problem, end: Array) -> Array:
        if self._certifies:
            return (ACCURACY * jnp.sqrt(_variance(problem, end))).astype(end.dtype)
        return jnp.asarray(self.tolerance, end.dtype)

    def _change(self, problem: Problem, lam: Array, old: Path, new: Path) -> Array:
        """The largest change along the path, at the nodes and at the end, in the scale of the data."""
        rms = lambda move: jnp.sqrt(jnp.mean(jnp.square(move)))  # noqa: E731
        moves = jax.vmap(rms)(new.x - old.x) * self._share(problem, lam, new.end)
        return jnp.maximum(moves.max(), rms(new.end - old.end))

    def _share(self, problem: Problem, lam: Array, end: Array) -> Array:
        """sqrt(v / (v + s^2)) at the nodes, (R,): what brings states to the scale of the data."""
        variance = _variance(problem, end)
        return jnp.sqrt(variance / (variance + jnp.exp(-2 * lam))).astype(end.dtype)

    def _slopes(self, problem: Problem, x: Array, lam: Array, evaluate: Any) -> Array:
        frame = named_frame(self.frame, problem.calibration)
        return window.slopes(frame, x, evaluate(x, lam), lam)

    def _window(self, problem: Problem, i: Array, rng: Any) -> Any:
        if self.nodes == "gauss":
            return jax.tree.map(lambda rows: rows[i], problem.tables)
        cells = i * self.midpoints + jnp.arange(self.midpoints)
        u = jax.vmap(lambda cell: rng.fraction(cell, self.nodes))(cells)
        frame = named_frame(self.frame, problem.calibration)
        return window.cell_window(frame, problem.lam[i], problem.lam[i + 1], u, self.clock, problem.trained), None

    def _follow(self, problem: Problem, win: Any, steps: march.Steps) -> Surrogate:
        """The surrogate in one window."""
        assert problem.surrogate is not None
        return Surrogate(problem.surrogate(self.surrogate), named_frame(self.frame, problem.calibration), win, steps)

    def _first(self, problem: Problem, win: Any, state: State, i: Array) -> Array:
        """Slopes along the initial path."""
        x, lam0 = state.x, problem.lam[i]
        if self.initial == "gaussian":
            frame, held = named_frame(self.frame, problem.calibration), problem.calibration
            return window.gaussian_slopes(frame, x, lam0, win.lam, held.mean, held.variance)
        slope = state.memory.slope if self.initial == "warm" else self._slopes(problem, x, lam0, problem.denoise)
        return jnp.broadcast_to(slope, (self.midpoints, *x.shape))


def _variance(problem: Problem, end: Array) -> Array:
    """The mean variance of the data; without a calibration the mean square of the sample."""
    held = problem.calibration
    return jnp.mean(jnp.square(end)) if held is None else jnp.mean(held.variance)
