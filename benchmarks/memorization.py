"""Do networks that see parts of 100 digits learn them by heart, as one does that sees them whole?

100 of scikit-learn's digits. One perceptron is trained on them as they are, others by the ambient loss on measurements
of which 20, 50 and 80 % of the pixels are missing. Columns: the share of samples that are copies, less than half as far
from one training digit as from the next; the mean distance to the nearest training digit, which is given for held-out
digits too; and the Frechet distance from held-out digits. Of the two ways to choose masks, the first is a mask of each
sample's own, the second one that hides nothing. Median of seeds.
"""

import jax
import numpy as np
from ambient_digits import LEVELS, distance, drawn, fitted
from common import arguments, over_seeds

import jaxsamp as js

COUNT, FURTHER = 100, 0.1


def nearest(x, digits):
    """Mean distance to the nearest digit."""
    gaps = ((x.reshape(len(x), 1, -1) - digits.reshape(1, len(digits), -1)) ** 2).sum(2)
    return float(np.sqrt(gaps.min(1)).mean())


def of_seed(seed, options):
    """The columns of each arm, and of held-out digits."""
    digits, _, held_out = js.datasets.digits()
    digits = np.random.default_rng(seed).permutation(digits)[:COUNT]
    keys = jax.random.split(jax.random.key(seed), 3)
    yield "held-out digits", judged(held_out, digits, held_out)
    arms = {"all pixels": (digits, None, js.training.denoising_loss(LEVELS))}
    for missing in options.missing:
        measured = js.corruptions.corrupt(keys[0], digits, law := js.corruptions.Mask(missing))
        arms[f"{missing:.0%} missing"] = measured, law, js.training.ambient_loss(FURTHER, levels=LEVELS)
    for arm, (data, law, loss) in arms.items():
        denoiser = fitted(keys[1], data, None, loss, options)
        for way, x in drawn(keys[2], denoiser, law, FURTHER, options.samples).items():
            yield f"{arm}, {way}" if law else arm, judged(x, digits, held_out)


def judged(x, digits, held_out):
    """The columns of one set of samples."""
    copied = js.metrics.memorization(x[:600], digits).value
    return {"copied": float(copied), "nearest": nearest(x[:600], digits), "Frechet": distance(x, held_out)}


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=3000)
    parser.add_argument("--width", type=int, default=384)
    parser.add_argument("--samples", type=int, default=2000)
    parser.add_argument("--missing", type=float, nargs="*", default=(0.2, 0.5, 0.8))
    over_seeds("memorization", "Copies of 100 digits", parser.parse_args(), of_seed)


if __name__ == "__main__":
    main()
