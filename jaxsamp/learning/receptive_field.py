"""How large a part of an image a denoiser looks at, at each noise level."""

from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxsamp import running
from jaxsamp.core import checks
from jaxsamp.core.protocols import Denoiser
from jaxsamp.core.pytrees import adopted, pytree
from jaxsamp.core.types import Array, Data, PRNGKey
from jaxsamp.learning.context import CENTER, Context, levels_of, middle, squares_of
from jaxsamp.schedules import VarianceExploding

SCHEDULE = VarianceExploding()


@pytree
@dataclass(frozen=True)
class _Derivatives:
    """(key, x) -> the squared derivatives of the pixels of the middle in each pixel, (levels, side, side)."""

    denoiser: Any
    sigma: Any
    event: tuple[int, ...] = field(metadata={"static": True})

    def __call__(self, key: Array, x: Array) -> Array:
        noise = jax.random.normal(key, x.shape, x.dtype)
        here = middle(np.arange(x.size).reshape(1, *self.event), CENTER).ravel()

        def at(s: Array) -> Array:
            level = SCHEDULE.level(-jnp.log(s))

            def answer(noisy: Array) -> Array:
                return self.denoiser(noisy[None], level)[0].ravel()[here]

            square = jax.jacrev(answer)(x + s.astype(x.dtype) * noise) ** 2
            return square.sum(0).reshape(*self.event[:2], -1).sum(-1)

        return jax.lax.map(at, self.sigma)


def measure_receptive_field(
    key: PRNGKey, denoiser: Denoiser, data: Data, sigma: Data, share: float = 0.95, *, mesh: Any = None
) -> Context:
    """The smallest window at each level with most of what the middle of a denoised image depends on.

    With J the derivatives of the 2 x 2 pixels of the middle of D(x_0 + s z, s) in the pixels of its input, it is the
    smallest window around the middle with at least `share` of the mean of sum J^2 over the images. That is what the
    denoiser looks at; `measure_context` says what the best one would need to. A network that looks at more, where the
    noise is small, has learned more about its images than their small parts, perhaps by heart.

    Args:
        key: a typed key; draws the noise, that of image i with fold_in(key, i).
        denoiser: of images.
        data: images (n, side, side) or (n, side, side, channels), of even side; some tens of them are enough.
        sigma: levels sigma / alpha, (levels,), increasing, above 0.
        share: in (0, 1).
        mesh: devices that the images are divided over.

    Raises:
        ValueError: an argument is out of range, or data are not such images.

    Source: the question is that of Daras et al., "Ambient Diffusion Omni: Training Good Models with Bad Data", arXiv
    2506.10038, which crops the input instead; by derivatives it is our own.
    """
    x, levels = squares_of(data), levels_of(sigma)
    if not 0 < share < 1:
        raise ValueError(f"share must be in (0, 1); got {share}.")
    one = _Derivatives(adopted("denoiser", denoiser), jnp.asarray(levels, float), x.shape[1:])
    squares = running.rows(checks.typed_key(key), one, len(x), jnp.asarray(x), mesh=mesh, microbatch=min(16, len(x)))
    found = np.asarray(squares, float).mean(0)
    sizes = range(CENTER, x.shape[1] + 1, 2)
    inside = np.stack([middle(found, size).sum((1, 2)) for size in sizes])
    return Context(levels, np.array(sizes)[(inside >= share * inside[-1]).argmax(0)])
