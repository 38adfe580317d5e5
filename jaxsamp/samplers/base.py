"""What a sampler is: frozen settings, and pure functions that move one sample from one level to the next."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, NamedTuple

from jaxsamp.core import checks
from jaxsamp.core.random import Rng
from jaxsamp.core.types import Array, State
from jaxsamp_kernels import frame as frames


class Problem(NamedTuple):
    """What one sample's steps are given. States are divided by alpha, so that no sampler sees a schedule.

    Attributes:
        denoise: (x, lambda) -> posterior mean, one network call.
        denoise_all: the same for R nodes at once, (R, *event) and (R,): one batched network call.
        lam: the grid, (steps + 1,), increasing.
        tables: what the sampler's `prepare` made of the grid.
        trained: lambda -> the nearest one the network was trained at.
        calibration: the denoiser's measured linear part, or None.
        divided: turns a function of R rows into the same one, computed by all devices that the sample is given.
    """

    denoise: Callable[[Array, Array], Array]
    denoise_all: Callable[[Array, Array], Array]
    lam: Array
    tables: Any
    trained: Callable[[Array], Array]
    calibration: Any
    divided: Callable[[Callable[..., Any]], Callable[..., Any]] = lambda function: function


class Cost(NamedTuple):
    """What one sample took, and how far it was from settled.

    Attributes:
        rounds: network calls that waited for each other.
        evaluations: network calls in all.
        computed: the same with those that only fill up a batch of fixed size.
        residual: the last change of an iterative sampler in its own measure; 0 of others.
        converged: whether that is within its tolerance.
    """

    rounds: Any
    evaluations: Any
    computed: Any
    residual: Any
    converged: Any


class Sampler(ABC):
    """Base of all samplers: settings are dataclass fields, numbers leaves and structure static.

    A subclass gives `convergence_order` and `step`, and what differs from one evaluation a step. Its objects are
    pytrees if `jaxsamp.pytree` decorates it; otherwise the doors make them so, with arrays as leaves.

    Attributes:
        convergence_order: p such that the global error falls like step^p.
        stochastic: whether the output is random given the starting state.
        discretizes: "ode" or "sde", whose solution the error refers to.
        default_steps: intervals of the grid where the user names none.
        stepwise: whether each interval is one call of `step`; else a single call takes the whole trajectory.
    """

    convergence_order: float
    stochastic: bool = False
    discretizes: str = "ode"
    default_steps: int = 32
    stepwise: bool = True

    @property
    def reads_calibration(self) -> bool:
        """Whether it needs a denoiser with a measured linear part, and steps in the coordinates of that."""
        return getattr(self, "frame", None) == "calibrated"

    def check(self) -> None:  # noqa: B027  (not every sampler has settings that can be wrong)
        """Raise ValueError where a setting is wrong; number settings may be tracers, which are not checked."""

    def evaluations(self, steps: int) -> int:
        """Network calls for one sample."""
        return steps

    def rounds(self, steps: int) -> int:
        """Network calls that must wait for each other."""
        return self.evaluations(steps)

    def cost(self, state: State, steps: int) -> Cost:
        """What the sample whose last state this is took; where it varies, `rounds` and `evaluations` are bounds."""
        return Cost(self.rounds(steps), self.evaluations(steps), self.evaluations(steps), 0.0, True)

    def prepare(self, lam: Array, calibration: Any) -> Any:
        """Arrays of the grid and of the denoiser's measured linear part, computed once for all samples."""
        return None

    def init(self, problem: Problem, x: Array) -> State:
        """The state at the first level."""
        return State(x)

    @abstractmethod
    def step(self, problem: Problem, state: State, i: Array, rng: Rng) -> State:
        """The state after step i."""


def named_frame(name: str, calibration: Any) -> frames.Frame:
    """The frame of that name; "calibrated" is what the denoiser carries."""
    if name == "calibrated":
        return calibration.frame
    return {"data": frames.DATA, "noise": frames.NOISE, "score": frames.SCORE}[name]


def slope(problem: Problem, name: str, x: Array, lam: Array) -> Array:
    """The integrand of that frame at one state: one network call."""
    denoised = problem.denoise(x, lam)
    return denoised if name == "data" else named_frame(name, problem.calibration).integrand(x, denoised, lam)


def check_frame(name: str) -> None:
    """Raise ValueError unless `name` is a frame of the deterministic flow."""
    checks.one_of("frame", name, ("data", "noise", "score", "calibrated"))
