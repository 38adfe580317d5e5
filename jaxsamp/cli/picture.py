"""Samples beside true ones: as images, as points in the plane, or one coordinate at a time."""

from functools import partial
from typing import Any

import jax
import numpy as np

from jaxsamp import plots
from jaxsamp.cli.data import Source
from jaxsamp.core.types import Level


def beside_truth(x: np.ndarray, source: Source, law: Any, level: Level, key: jax.Array, title: str) -> plots.Figure:
    """Samples x, (n, *event), beside held-out data or, where these are missing, beside true samples of the law.

    Args:
        x: the samples.
        source: what they are samples of.
        law: their law; None if only data are known.
        level: their noise level, at which true samples and densities of the law are taken.
        key: draws the true samples.
        title: above the picture.
    """
    true, labels = source.held_out, ("new", "real, held out")
    if true is None:
        for_law, for_noise = jax.random.split(key)
        true = law.sample(for_law, len(x))
        true = np.asarray(true + level.sigma * jax.random.normal(for_noise, true.shape))
        labels = ("samples", "true samples")
    elif source.train is source.held_out:
        labels = ("samples", "true samples")
    if plots.is_image(source.event):
        return plots.images(x, true, title=title, labels=labels)
    if source.event == (2,):
        density = None if law is None else jax.jit(partial(law.log_prob, level=level))
        return plots.scatter(x, true, log_prob=density, title=title, labels=labels)
    return plots.marginals(x, true, title=title, labels=labels)
