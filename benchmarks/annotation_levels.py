"""From which level on is an image with known noise annotated to be as good as a clean one?

Half of the patches of two photographs have additive noise of 0.1, 0.2 or 0.4. Under noise of s, the variances of both
halves differ by a factor of 1 + (noise / s)^2, in all of 64 pixels: so the total variation falls as 1 / s^2, and the
level that is right is some multiple of the noise, which depends on what difference counts. Columns: the levels of a
classifier (0 where it is refused; with its accuracy on held-out patches at the lowest level) and of Gaussians, each
over the noise; and where the total variation of two Gaussians of independent pixels would be 0.1, which is the gap that
the classifier's rule allows, over the noise. Medians over seeds.
"""

import jax
import numpy as np
import scipy.optimize
import scipy.stats
from common import arguments, over_seeds

import jaxsamp as js

NOISES = (0.1, 0.2, 0.4)


def exact(x, noise):
    """The level over the noise at which Gaussians with the clean covariance differ by a total variation of 0.1.

    The log ratio of densities is nearly normal, so that it is 2 Phi(sqrt(KL / 2)) - 1, with KL / 2 = sum e^2 / 8 and e
    the relative difference of the variances along each axis.
    """
    variances = np.maximum(np.linalg.eigvalsh(np.cov(x.reshape(len(x), -1), rowvar=False)), 0)

    def off(log):
        relative = noise**2 / (variances + np.exp(2 * log))
        return 2 * scipy.stats.norm.cdf(np.sqrt((relative**2).sum() / 8)) - 1.1

    return float(np.exp(scipy.optimize.brentq(off, np.log(noise / 10), np.log(100 * noise))) / noise)


def of_seed(seed, options):
    """One row per noise."""
    patches, _ = js.datasets.photo_patches(seed, stride=options.stride)
    x = np.random.default_rng(seed).permutation(patches)
    damaged = np.arange(len(x)) >= len(x) // 2
    for noise in NOISES:
        keys = jax.random.split(jax.random.fold_in(jax.random.key(seed), int(1000 * noise)), 3)
        mixed = np.where(damaged[:, None, None], x + noise * jax.random.normal(keys[0], x.shape), x).astype(np.float32)
        row = {"Gaussians": js.learning.annotate_gaussian(mixed, damaged).sigma_min[-1] / noise}
        row["total variation of 0.1"] = exact(x[~damaged], noise)
        classifier = js.learning.fit_classifier(keys[1], mixed, damaged, steps=options.steps)
        row["accuracy"] = float(classifier.curves(keys[2], mixed, damaged, 2).accuracy[0])
        try:
            row["classifier"] = (
                js.learning.annotate_classifier(keys[2], classifier, mixed, damaged).sigma_min[-1] / noise
            )
        except ValueError:
            row["classifier"] = 0.0
        yield f"noise {noise:g}", row


def main():
    parser = arguments(__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=2000, help="of the classifiers")
    parser.add_argument("--stride", type=int, default=4, help="of the patches in pixels")
    over_seeds("annotation_levels", "annotated levels of images with known noise", parser.parse_args(), of_seed)


if __name__ == "__main__":
    main()
