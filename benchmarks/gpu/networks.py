"""The networks that are timed, their data, and one compiled training step of each for all sections."""

from functools import cache, partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

import jaxsamp as js
from jaxsamp import training

SCHEDULE = js.schedules.VarianceExploding()
LARGE = {
    "U-Net": partial(js.models.UNet, 128, (1, 2, 2, 2), 3),
    "DiT": partial(js.models.DiT, patch=2, width=512, depth=11, heads=8),
}
SMALL = {
    "U-Net": partial(js.models.UNet, 8, (1,), 1, ()),
    "DiT": partial(js.models.DiT, patch=2, width=16, depth=1, heads=2),
}
KINDS, ROUGH = 10, 0.3


class Learner(NamedTuple):
    """A network to be trained."""

    model: Any
    start: Any  # the first state, for `copied`
    step: Any  # (state, x) -> state, numbers; reuses the state's memory
    batch: int

    def copied(self) -> Any:
        """A first state of one's own."""
        return jax.tree.map(jnp.copy, self.start)

    @property
    def weights(self) -> int:
        """How many."""
        return sum(leaf.size for leaf in jax.tree.leaves(self.start.params))


@cache
def learner(name: str, dtype: str, small: bool) -> Learner:
    """The network that computes in this dtype."""
    network = (SMALL if small else LARGE)[name](dtype=jnp.dtype(dtype))
    batch = 8 if small else 128
    model = js.models.Model(network, SCHEDULE)
    loss = training.denoising_loss(js.losses.LogNormal(-0.5, 1.2))
    start = training.TrainState.create(
        jax.random.key(1), model, images(batch, small), optimizer=training.AdamW().build(1000)
    )
    return Learner(model, start, jax.jit(partial(training.train_step, loss=loss), donate_argnums=0), batch)


@cache
def images(count: int, small: bool, seed: int = 0) -> np.ndarray:
    """Smooth random images of ten kinds, (count, side, side, channels), of standard deviation 0.5."""
    side, channels = (8, 1) if small else (32, 3)
    frequency = np.fft.fftfreq(side, 1 / side)
    falling = 1 / (1 + np.hypot(frequency[:, None], frequency)[..., None]) ** 1.5

    def smooth(n: int, rng: np.random.Generator) -> np.ndarray:
        white = rng.standard_normal((n, side, side, channels))
        field = np.fft.ifft2(falling * np.fft.fft2(white, axes=(1, 2)), axes=(1, 2)).real
        return field / field.std()

    kinds, rng = smooth(KINDS, np.random.default_rng(12345)), np.random.default_rng(seed)
    x = kinds[rng.integers(0, KINDS, count)] + ROUGH * smooth(count, rng)
    return (0.5 * x / x.std()).astype(np.float32)
