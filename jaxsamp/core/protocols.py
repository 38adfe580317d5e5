"""The protocols of jaxsamp. A user's own class that follows one of these needs no base class."""

from collections.abc import Callable
from typing import Any, Protocol, runtime_checkable

from jaxsamp.core.types import Array, ArrayLike, Level, PyTree


@runtime_checkable
class Density(Protocol):
    """A density on arrays of shape `event_shape`, known up to a constant; see `jaxsamp.sample_density`.

    It may also have `score(x)`, the gradient of `log_prob`, which is otherwise computed by differentiation.
    """

    @property
    def event_shape(self) -> tuple[int, ...]:
        """Shape of one point."""
        ...

    def log_prob(self, x: Array) -> Array:
        """Log density in nats at `x`, (batch, *event) -> (batch,), up to a constant."""
        ...


@runtime_checkable
class Scored(Protocol):
    """A density of which nothing but the gradient of its logarithm is known."""

    @property
    def event_shape(self) -> tuple[int, ...]:
        """Shape of one point."""
        ...

    def score(self, x: Array) -> Array:
        """grad log p at `x`, (batch, *event)."""
        ...


@runtime_checkable
class Sampled(Protocol):
    """What can be drawn from, whatever else is known of it."""

    def sample(self, key: Array, n: int) -> Array:
        """`n` clean samples, (n, *event)."""
        ...


@runtime_checkable
class Law(Protocol):
    """A law that can be sampled, with its density at every noise level; see `jaxsamp.targets`.

    It may also have `score(x, level)` and `posterior_mean(x, level)`, which are otherwise computed from the density,
    and for mixtures `weights`, (K,), and `responsibilities(x, level=None)`, (n, K). The methods are pure JAX functions.
    """

    @property
    def event_shape(self) -> tuple[int, ...]:
        """Shape of one sample."""
        ...

    def sample(self, key: Array, n: int) -> Array:
        """`n` clean samples, (n, *event)."""
        ...

    def log_prob(self, x: Array, level: Level | None = None) -> Array:
        """Log density in nats, (batch,), of alpha x_0 + sigma z at `level`; of x_0 without one."""
        ...


@runtime_checkable
class SpinModel(Protocol):
    """A law of n spins, p(x) = exp(S(x)) / Z for x in {-1, +1}^n, whose Z need not be known; see `jaxsamp.discrete`.

    A class may also say its `structure`, "pairs", "neighbors" or "terms", and have the arrays that go with it, from
    which samplers compute local fields faster; see `jaxsamp.mcmc.spins.structure`.
    """

    @property
    def event_shape(self) -> tuple[int, ...]:
        """(n,)."""
        ...

    def exponent(self, x: Array) -> Array:
        """S(x) in nats, (batch, n) -> (batch,)."""
        ...

    def local_fields(self, x: Array) -> Array:
        """f_i = (S(x with x_i = +1) - S(x with x_i = -1)) / 2, (batch, n): E[x_i | x_-i] = tanh f_i."""
        ...


@runtime_checkable
class Schedule(Protocol):
    """How noise grows: x_t = alpha x_0 + sigma z; see `jaxsamp.schedules`."""

    def level(self, lam: ArrayLike) -> Level:
        """The level of lambda = log(alpha / sigma)."""
        ...

    def at(self, t: ArrayLike) -> Level:
        """The level at the schedule's own time t."""
        ...

    def rates(self, t: ArrayLike) -> tuple[Array, Array]:
        """(d alpha / dt, d sigma / dt) at time t."""
        ...

    def trained(self, lam: Array) -> Array:
        """The lambda nearest to `lam` that a network was trained at."""
        ...

    def limits(self) -> tuple[Any, Any]:
        """Smallest and largest sigma / alpha that the schedule reaches."""
        ...


@runtime_checkable
class Denoiser(Protocol):
    """E[x_0 | x_t]: the one thing that every sampler consumes; see `jaxsamp.denoisers`.

    It may also have `event_shape`, `evaluations` (network calls per sample in one call, 1 if absent) and
    `calibration`, its measured linear part.
    """

    @property
    def schedule(self) -> Any:
        """The `Schedule` by which noise grows."""
        ...

    def __call__(self, x: Array, level: Level, cond: PyTree = None) -> Array:
        """Posterior mean of x_0, (batch, *event), given x_t = `x` of the same shape at `level`."""
        ...


@runtime_checkable
class Network(Protocol):
    """A network with weights of its own making, such as a Flax module; see `jaxsamp.models`."""

    @property
    def init(self) -> Callable[..., PyTree]:
        """Makes the weights."""
        ...

    @property
    def apply(self) -> Callable[..., Any]:
        """The output for given weights."""
        ...


@runtime_checkable
class Operator(Protocol):
    """What was observed of one event, A(x), linear or not, differentiable by JAX; see `jaxsamp.corruptions`.

    A pure function of one event; `jax.vmap` makes that of many. The operators of n samples are one object of the same
    class, whose arrays have a leading axis n, and are sliced and divided over devices like any other array that belongs
    to a sample.
    """

    def __call__(self, x: Array) -> Array:
        """A(x), of an observation's shape, for x of the event's shape."""
        ...


@runtime_checkable
class LinearOperator(Operator, Protocol):
    """A linear map A of one event, with its adjoint: <A x, y> = <x, A^T y> for all x and y; see `jaxsamp.corruptions`.

    Both are pure functions, of one event and of one observation. What is not known to be linear by its `adjoint` is
    linearized.
    """

    def adjoint(self, y: Array) -> Array:
        """A^T y, of the event's shape, for y of an observation's shape."""
        ...
