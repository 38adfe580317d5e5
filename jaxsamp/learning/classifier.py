"""A classifier of clean and damaged samples at every noise level, and from which level on it cannot tell them apart."""

from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxsamp import datasets, losses, running
from jaxsamp.core import checks
from jaxsamp.core.pytrees import pytree
from jaxsamp.core.types import Array, Data, PRNGKey, PyTree, is_image
from jaxsamp.corruptions.annotations import identity
from jaxsamp.denoisers import per_event
from jaxsamp.learning.annotate import kinds_of
from jaxsamp.schedules import EDM

LOWEST, HIGHEST = 0.02, 20.0  # levels of training, in standard deviations of the data
MIN_HELD_OUT = 5  # samples of each kind


@dataclass(frozen=True, eq=False)
class _Scaled:
    """A classifying network on inputs of unit variance, with what `fit` asks of a model."""

    network: Any
    sigma_data: float
    schedule: Any = EDM()  # noqa: RUF009  (frozen)
    prediction: str = "x0"
    crop: int | None = None  # side of the part of an image that it sees

    def init(self, key: Array, x: Array, cond: PyTree = None) -> PyTree:
        return self.network.init(key, x[:, : self.crop, : self.crop] if self.crop else x, jnp.zeros(len(x)))

    def __call__(self, params: PyTree, x: Array, t: Array, cond: PyTree = None) -> Array:
        """The logit of damage at x_t = x + t z, (batch,)."""
        scale = 1 / jnp.hypot(self.sigma_data, t)
        return self.network.apply(params, per_event(scale, x) * x, jnp.log(t) / 4)


@dataclass(frozen=True)
class _CrossEntropy:
    """(key, model, params, x, damaged) -> losses (batch,), with weights that make both kinds equally likely."""

    levels: losses.UniformLogSNR
    share: float  # of damaged samples

    def __call__(self, key: Array, model: _Scaled, params: PyTree, x: Array, damaged: Array) -> Array:
        for_levels, for_noise = jax.random.split(key)
        if model.crop:
            for_noise, for_places = jax.random.split(for_noise)
            x = crops(for_places, x, model.crop)
        t = jnp.asarray(self.levels.draw(for_levels, len(x), model.schedule)[0].sigma)
        logit = model(params, x + per_event(t, x) * jax.random.normal(for_noise, x.shape, x.dtype), t)
        weight = jnp.where(damaged, 0.5 / self.share, 0.5 / (1 - self.share))
        return weight * jnp.where(damaged, jax.nn.softplus(-logit), jax.nn.softplus(logit))


def crops(key: Array, x: Array, size: int) -> Array:
    """One square of each image, at a uniform place of its own."""
    corners = jax.random.randint(key, (len(x), 2), 0, jnp.array(x.shape[1:3]) - size + 1)

    def cut(image: Array, corner: Array) -> Array:
        starts = (*corner, *(0,) * (image.ndim - 2))
        return jax.lax.dynamic_slice(image, starts, (size, size, *image.shape[2:]))

    return jax.vmap(cut)(x, corners)


def tiles(x: np.ndarray, size: int) -> np.ndarray:
    """The squares that cover each image, (n, tiles, size, size, ...); the last ones overlap others if they must."""
    starts = [np.unique([*range(0, side - size + 1, size), side - size]) for side in x.shape[1:3]]
    return np.stack([x[:, i : i + size, j : j + size] for i in starts[0] for j in starts[1]], 1)


class Curves(NamedTuple):
    """How well a classifier tells held-out samples apart at each level.

    Attributes:
        sigma: (levels,), increasing.
        clean, damaged: (levels,), the mean probability of damage that it gives to clean and to damaged samples.
        accuracy: (levels,), the mean of its accuracies on both; 0.5 for one that knows nothing.
    """

    sigma: np.ndarray
    clean: np.ndarray
    damaged: np.ndarray
    accuracy: np.ndarray


@dataclass(frozen=True, eq=False)
class DamageClassifier:
    """What `fit_classifier` returns.

    Attributes:
        model, params: the network and its weights.
        held_out: (n,), which samples of the data it has not seen.
        identity: what the data are, as in files of annotations.
        sigmas: smallest and largest level that it was trained at.
    """

    model: Any
    params: Any = field(repr=False)
    held_out: np.ndarray = field(repr=False)
    identity: dict[str, Any]
    sigmas: tuple[float, float]

    def levels(self, count: int = 32) -> np.ndarray:
        """`count` levels from the smallest to the largest, at equal ratios."""
        return np.geomspace(*self.sigmas, checks.at_least("levels", count, 2))

    def probabilities(
        self,
        key: PRNGKey,
        x: Data,
        levels: int | Data = 32,
        draws: int = 4,
        mesh: Any = None,
        microbatch: int | None = None,
    ) -> np.ndarray:
        """The probability of damage of each sample at each level, a mean over draws of the noise, (n, levels).

        One call of the network for a sample has all levels and draws as its batch. The noise of sample i is drawn with
        fold_in(key, i). One that was trained on crops is averaged over those that tile a sample.

        Args:
            key: a typed key.
            x: samples (n, *event).
            levels: number of levels, those of `levels(count)`; or an array of levels.
            draws: draws of the noise at each level.
            mesh, microbatch: as for `jaxsamp.running.rows`; microbatch is 16 by default.
        """
        checks.at_least("draws", draws, 1)
        sigma = jnp.asarray(self.levels(levels) if isinstance(levels, int) else levels, float)
        one = _Rated(self.params, sigma, self.model, draws)
        x = datasets.as_samples(x)
        options = {"mesh": mesh, "microbatch": min(16, len(x)) if microbatch is None else microbatch}
        parts = tiles(x, self.model.crop) if self.model.crop else x[:, None]
        rows = parts.reshape(-1, *parts.shape[2:])
        found = np.asarray(running.rows(key, one, len(rows), rows, **options), float)
        return found.reshape(*parts.shape[:2], -1).mean(1)

    def curves(self, key: PRNGKey, data: Data, damaged: Data, levels: int = 32, draws: int = 4) -> Curves:
        """How well it tells held-out samples of its data apart."""
        x = datasets.as_samples(data)[self.held_out]
        kinds = np.asarray(damaged)[self.held_out] > 0
        found = self.probabilities(key, x, levels, draws)
        right = (found > 0.5) == kinds[:, None]
        accuracy = (right[kinds].mean(0) + right[~kinds].mean(0)) / 2
        return Curves(self.levels(levels), found[~kinds].mean(0), found[kinds].mean(0), accuracy)


@pytree
@dataclass(frozen=True)
class _Rated:
    """(key, x) -> probabilities of damage of one sample, (levels,)."""

    params: Any
    sigma: Any
    model: Any = field(metadata={"static": True})
    draws: int = field(metadata={"static": True})

    def __call__(self, key: Array, x: Array) -> Array:
        noise = jax.random.normal(key, (self.draws, len(self.sigma), *x.shape), x.dtype)
        noisy = x + per_event(self.sigma, noise[0]) * noise
        t = jnp.broadcast_to(self.sigma, noise.shape[:2]).ravel()
        logits = self.model(self.params, noisy.reshape(len(t), *x.shape), t)
        return jax.nn.sigmoid(logits).reshape(noise.shape[:2]).mean(0)


def fit_classifier(
    key: PRNGKey,
    data: Data,
    damaged: Data,
    network: Any = None,
    steps: int = 2000,
    *,
    held_out: float = 0.2,
    sigma_min: float | None = None,
    sigma_max: float | None = None,
    crop: int | None = None,
    **options: Any,
) -> DamageClassifier:
    """Train a network to tell clean and damaged samples apart at every noise level, for `annotate_classifier`.

    The loss is the binary cross-entropy at x + s z with log s uniform, weighted so that both kinds are equally likely
    whatever their numbers.

    Args:
        key: a typed key.
        data: samples (n, *event).
        damaged: (n,), whether each is damaged.
        network: a `jaxsamp.models.Classifier`, which is the default, or a Linen module that is called like it.
        steps: number of updates.
        held_out: share of the samples of each kind that it does not see, from which its accuracy is measured.
        sigma_min, sigma_max: smallest and largest level, by default 0.02 and 20 times the standard deviation of the
            data.
        crop: side of the only part of each image that it sees, at another place whenever the image returns; by default
            it sees all of it.
        options: others of `jaxsamp.fit`, such as batch_size, optimizer, mesh, checkpoint and resume.

    Raises:
        ValueError: an argument is out of range, or fewer than 5 samples of a kind would be held out.

    Source: Daras et al., "Ambient Diffusion Omni: Training Good Models with Bad Data", arXiv 2506.10038.
    """
    from jaxsamp.models import Classifier  # here, because the other annotators do not need their packages
    from jaxsamp.training import fit

    for_fit, for_split = jax.random.split(checks.typed_key(key))
    x = datasets.as_samples(data)
    kinds = kinds_of(damaged, len(x)) > 0
    apart = np.zeros(len(x), bool)
    rng = np.random.default_rng(np.asarray(jax.random.key_data(for_split)))
    for kind in (False, True):
        rows = rng.permutation(np.flatnonzero(kinds == kind))
        count = round(held_out * len(rows)) if 0 < held_out < 1 else 0
        if count < MIN_HELD_OUT:
            raise ValueError(
                f"held_out must be a share in (0, 1) of which each kind has {MIN_HELD_OUT} samples at least; got "
                f"{held_out} of {len(rows)} {'damaged' if kind else 'clean'} ones."
            )
        apart[rows[:count]] = True
    std = float(np.std(x - x.mean(0)))
    ends = LOWEST * std if sigma_min is None else sigma_min, HIGHEST * std if sigma_max is None else sigma_max
    levels = losses.UniformLogSNR(*ends)
    levels.check()
    if crop is not None and not (is_image(x.shape[1:]) and 1 <= crop <= min(x.shape[1:3])):
        raise ValueError(f"crop must be at least 1 and fit into images, those of data; got {crop} for {x.shape[1:]}.")
    chosen: Any = Classifier() if network is None else network
    model = _scaled(chosen, std, crop)
    loss = _CrossEntropy(levels, float(kinds[~apart].mean()))
    state = fit(for_fit, model, x[~apart], steps=steps, cond=kinds[~apart], loss=loss, **options)
    return DamageClassifier(model, state.ema, apart, identity(x), ends)


@lru_cache(64)
def _scaled(network: Any, std: float, crop: int | None) -> _Scaled:
    """One object for equal settings, because a step is compiled once for each."""
    return _Scaled(network, std, crop=crop)
