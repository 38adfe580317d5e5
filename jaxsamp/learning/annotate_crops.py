"""Up to which noise level samples of another kind may train as clean, by classifiers that see one crop of each."""

from typing import Any

import jax
import numpy as np

from jaxsamp.core import checks
from jaxsamp.core.types import Data, PRNGKey
from jaxsamp.corruptions import Annotations
from jaxsamp.learning.annotate import kinds_of
from jaxsamp.learning.annotate_classifier import MIN_ACCURACY
from jaxsamp.learning.classifier import fit_classifier
from jaxsamp.learning.context import Context, squares_of


def annotate_crops(
    key: PRNGKey,
    data: Data,
    damaged: Data,
    context: Context,
    sigma_min: Data | float = np.inf,
    *,
    least: float = 0.25,
    draws: int = 4,
    network: Any = None,
    steps: int = 2000,
    **options: Any,
) -> Annotations:
    """The level up to which the small parts of a sample look like those of clean ones, so that it may train as clean.

    At the level s a denoiser looks at windows of side K(s), `context`. For each side a classifier learns to tell crops
    of clean and of other samples apart: it sees nothing else of an image than one crop of x + s z, at a place of its
    own for every image of every batch. A sample trains at all levels up to the first at which the probability that it
    is clean, a mean over the crops that tile it, is at most `least`.

    Args:
        key: a typed key.
        data: images (n, side, side) or (n, side, side, channels), of even side.
        damaged: (n,), whether each is of the other kind, or damaged.
        context: from `measure_context` of the clean ones, whose levels are the ones that are compared.
        sigma_min: of the others, as in `jaxsamp.corruptions.Annotations`: a number, or (n,), such as another annotator
            has found. Infinity, the default, if they must not train at high noise.
        least: in (0, 0.5); 1/2 is the probability of what cannot be told apart.
        draws: draws of the noise at each level.
        network, steps, options: those of `fit_classifier`, for each side.

    Returns:
        Annotations; where the two ranges of a sample meet, it counts as clean.

    Raises:
        ValueError: the balanced accuracy on held-out samples is below 0.6 at the lowest level even with the largest
            crop, so that nothing was learned; or an argument is out of range.

    Source: Daras et al., "Ambient Diffusion Omni: Training Good Models with Bad Data", arXiv 2506.10038. The published
    code trains on images that are not cropped, and takes one place for a whole batch.
    """
    x = squares_of(data)
    kinds = kinds_of(damaged, len(x)) > 0
    if not 0 < least < 0.5:
        raise ValueError(f"least must be in (0, 0.5); got {least}.")
    sizes = np.unique(context.size)
    if sizes[-1] > x.shape[1]:
        raise ValueError(f"context must be of images of at most {x.shape[1]} x {x.shape[1]}; got {sizes[-1]}.")
    ends = {"sigma_min": float(context.sigma[0]), "sigma_max": float(context.sigma[-1])}
    alike = np.zeros((int(kinds.sum()), len(context.sigma)), bool)
    for size, own in zip(sizes.tolist(), jax.random.split(checks.typed_key(key), len(sizes)), strict=True):
        for_fit, for_curves, for_samples = jax.random.split(own, 3)
        classifier = fit_classifier(for_fit, x, kinds, network, steps, crop=size, **ends, **options)
        if size == sizes[-1]:
            accuracy = classifier.curves(for_curves, x, kinds, 2, draws).accuracy[0]
            if accuracy < MIN_ACCURACY:
                raise ValueError(
                    f"network must tell held-out crops of {size} x {size} apart at the lowest level, with a balanced "
                    f"accuracy of {MIN_ACCURACY} at least; got {accuracy:.2f}. Otherwise all samples would count as "
                    "clean: train it for longer, or take a larger network."
                )
        here = context.size == size
        clean = 1 - classifier.probabilities(for_samples, x[kinds], context.sigma[here], draws)
        alike[:, here] = clean > least
    count = np.cumprod(alike, 1).sum(1)
    lowest, highest = np.zeros(len(x)), np.zeros(len(x))
    lowest[kinds] = np.broadcast_to(np.asarray(sigma_min, float), (len(x),))[kinds]
    highest[kinds] = np.append(0.0, context.sigma)[count]
    meet = highest >= lowest
    return Annotations(np.where(meet, 0.0, lowest), np.where(meet, 0.0, highest), data=x)
