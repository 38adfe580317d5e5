"""From which noise level on damaged samples may train: the level that is best for clean samples kept apart."""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxsamp import datasets
from jaxsamp.core import checks
from jaxsamp.core.types import Array, Data, PRNGKey, PyTree
from jaxsamp.corruptions import Annotations
from jaxsamp.learning.annotate import kinds_of


class HeldOut(NamedTuple):
    """What `annotate_held_out` returns.

    Attributes:
        annotations: of the level with the smallest loss; the clean samples that were kept apart are among the others.
        sigma_min: (levels,), those that were compared.
        loss: (levels,), the denoising loss of the clean samples that were kept apart, after training with each.
    """

    annotations: Annotations
    sigma_min: np.ndarray
    loss: np.ndarray


def annotate_held_out(
    key: PRNGKey,
    network: Any,
    data: Data,
    damaged: Data,
    schedule: Any,
    sigma_min: Data,
    steps: int = 2000,
    *,
    held_out: float = 0.2,
    draws: int = 8,
    **options: Any,
) -> HeldOut:
    """Train once with each of several levels, and take the one whose network denoises clean samples best.

    Unlike the other annotators this one knows how many clean samples there are: with few of them a lower level, and so
    more data, may be worth some damage. It costs one training run for each level. All have the same key, so that they
    differ in their data alone.

    Args:
        key: a typed key.
        network: as for `jaxsamp.fit`.
        data: samples (n, *event).
        damaged: (n,), whether each is damaged.
        schedule: how noise grows.
        sigma_min: the levels to compare, (levels,), at least 0; 0 for damaged samples that count as clean, and infinity
            for clean samples alone.
        steps: number of updates of each run.
        held_out: share of the clean samples that no run sees.
        draws: draws of level and noise for each of them, the same for all runs.
        options: others of `jaxsamp.fit`, such as batch_size and optimizer; loss is a `jaxsamp.training.omni_loss`.

    Raises:
        ValueError: an argument is out of range, or no clean sample would be kept apart or left.
        TypeError: loss is not a `jaxsamp.training.omni_loss`.

    Source: the condition is that of Daras et al., "Ambient Diffusion Omni: Training Good Models with Bad Data", arXiv
    2506.10038; to choose the level by the held-out loss is our own.
    """
    from jaxsamp.training import denoising_loss, fit, omni_loss  # here: the other annotators do not need its packages

    for_split, for_fit, for_loss = jax.random.split(checks.typed_key(key), 3)
    x = datasets.as_samples(data)
    kinds = kinds_of(damaged, len(x)) > 0
    levels = np.asarray(sigma_min, float)
    if levels.ndim != 1 or not levels.size or not (levels >= 0).all():
        raise ValueError(f"sigma_min must be levels of at least 0, (levels,); got {sigma_min!r}.")
    checks.at_least("draws", draws, 1)
    rng = np.random.default_rng(np.asarray(jax.random.key_data(for_split)))
    rows = rng.permutation(np.flatnonzero(~kinds))
    count = round(held_out * len(rows)) if 0 < held_out < 1 else 0
    if not 0 < count < len(rows):
        raise ValueError(
            f"held_out must be a share in (0, 1) of which there is a clean sample, and one left; got {held_out} of "
            f"{len(rows)}."
        )
    apart = np.repeat(x[rows[:count]], draws, 0)
    kept = np.setdiff1d(np.arange(len(x)), rows[:count])
    given = {"loss": omni_loss(), **options}
    std = float(np.std(x[kept] - x[kept].mean(0)))
    found = []
    for level in levels:
        notes = Annotations(np.where(kinds[kept], level, 0.0), data=x[kept])
        state = fit(for_fit, network, x[kept], schedule, steps, annotations=notes, **given)
        plain: Any = denoising_loss(given["loss"].levels, given["loss"].weighting)  # after `fit` has checked them
        plain = plain if plain.is_resolved else plain.resolved(std, x.shape[1:])
        found.append(float(_mean(plain, state.model, for_loss, state.ema, jnp.asarray(apart))))
    best = levels[int(np.argmin(found))]
    return HeldOut(Annotations(np.where(kinds, best, 0.0), data=x), levels, np.array(found))


@partial(jax.jit, static_argnums=(0, 1))
def _mean(loss: Any, model: Any, key: Array, params: PyTree, x: Array) -> Array:
    return loss(key, model, params, x, None).mean()
