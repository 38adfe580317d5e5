"""The base class of samplers: frozen settings, and pure functions that move one sample from one level to the next."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, NamedTuple

from jaxsamp.core import checks
from jaxsamp.core.random import Rng
from jaxsamp.core.types import Array, State
from jaxsamp_kernels import frame as frames


class Problem(NamedTuple):
    """The input of a sampler's steps. States are divided by alpha, so no sampler sees a schedule.

    Attributes:
        denoise: (x, lambda) -> posterior mean, one network call.
        denoise_all: the same for R nodes at once, (R, *event) and (R,), in one batched network call.
        lam: the grid of lambda = log(alpha / sigma), (steps + 1,), increasing.
        tables: the output of the sampler's `prepare`.
        trained: lambda -> the nearest lambda at which the network was trained.
        calibration: the denoiser's measured linear part, or None.
        divided: turns a function of R rows into the same function, computed by all devices assigned to the sample.
        surrogate: another denoiser -> its (x, lambda) -> posterior mean, in these coordinates and with the same `cond`.
        observation: (y, operator, noise) of this sample, for a sampler that `takes_observation`; else None.
    """

    denoise: Callable[[Array, Array], Array]
    denoise_all: Callable[[Array, Array], Array]
    lam: Array
    tables: Any
    trained: Callable[[Array], Array]
    calibration: Any
    divided: Callable[[Callable[..., Any]], Callable[..., Any]] = lambda function: function
    surrogate: Callable[[Any], Callable[[Array, Array], Array]] | None = None
    observation: Any = None


class Cost(NamedTuple):
    """The cost of one sample, and whether it converged.

    Attributes:
        rounds: network calls that waited for each other.
        evaluations: all network calls.
        computed: all network calls, including those that only fill up a batch of fixed size.
        residual: the last change of an iterative sampler in its own measure; 0 for other samplers.
        converged: whether the residual is within the tolerance.
        surrogate: calls of a cheap denoiser in place of the network.
    """

    rounds: Any
    evaluations: Any
    computed: Any
    residual: Any
    converged: Any
    surrogate: Any = 0


class Sampler(ABC):
    """Base class of all samplers. Settings are dataclass fields: numbers are leaves, structure is static.

    A subclass defines `convergence_order` and `step`, and whatever differs from one evaluation per step. Its objects
    are pytrees if it is decorated with `jaxsamp.pytree`; otherwise `jaxsamp.sample` registers it, with arrays as
    leaves.

    Attributes:
        convergence_order: p such that the global error falls like step^p.
        stochastic: whether the output is random given the starting state.
        discretizes: "ode" or "sde", the equation whose solution the error refers to.
        default_steps: number of intervals of the grid if the user gives none.
        stepwise: whether each interval is one call of `step`; otherwise a single call takes the whole trajectory.
        takes_observation: whether it takes what `jaxsamp.posterior` made apart: it calls the denoiser without the
            observation, and uses the observation itself.
        differentiable: whether `jax.grad` goes through it; not through a loop that stops when it is done.
        remedy: what helps samples that have not converged, a sentence for a warning.
    """

    convergence_order: float
    stochastic: bool = False
    discretizes: str = "ode"
    default_steps: int = 32
    stepwise: bool = True
    takes_observation: bool = False
    differentiable: bool = True
    remedy: str = "Give it a larger tolerance."

    @property
    def reads_calibration(self) -> bool:
        """Whether it needs a denoiser with a measured linear part, and steps in the coordinates of its basis."""
        return getattr(self, "frame", None) == "calibrated"

    @property
    def takes_pure_noise(self) -> bool:
        """Whether it may start at alpha = 0: it steps in the data frame, whose clock alpha / sigma is 0 there."""
        return getattr(self, "frame", None) == "data"

    def check(self) -> None:  # noqa: B027  (not every sampler has settings that can be wrong)
        """Raise ValueError if a setting is wrong; number settings may be tracers, which are not checked."""

    def evaluations(self, steps: int) -> int:
        """Number of network calls per sample; an upper bound if it varies."""
        return steps

    def rounds(self, steps: int) -> int:
        """Number of network calls that must wait for each other; an upper bound if it varies."""
        return self.evaluations(steps)

    def cost(self, state: State, steps: int) -> Cost:
        """The cost of the sample with this last state."""
        return Cost(self.rounds(steps), self.evaluations(steps), self.evaluations(steps), 0.0, True)

    def limit(self, steps: int) -> int:
        """Rounds by which a sample that has not converged was stopped too early; fewer were its own choice."""
        return 0

    def prepare(self, lam: Array, calibration: Any) -> Any:
        """Arrays that depend on the grid and on the denoiser's measured linear part, computed once for all samples."""
        return None

    def init(self, problem: Problem, x: Array) -> State:
        """The state at the first level, where the sample is `x`."""
        return State(x)

    @abstractmethod
    def step(self, problem: Problem, state: State, i: Array, rng: Rng) -> State:
        """The state after step i."""


def named_frame(name: str, calibration: Any) -> frames.Frame:
    """The frame of that name; "calibrated" is the frame of the denoiser's calibration."""
    return calibration.frame if name == "calibrated" else frames.FLOW[name]


def slope(problem: Problem, name: str, x: Array, lam: Array) -> Array:
    """The integrand of that frame at one state: one network call."""
    denoised = problem.denoise(x, lam)
    return denoised if name == "data" else named_frame(name, problem.calibration).integrand(x, denoised, lam)


def check_frame(name: str) -> None:
    """Raise ValueError unless `name` is a frame of the deterministic flow."""
    checks.one_of("frame", name, (*frames.FLOW, "calibrated"))
