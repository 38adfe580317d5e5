"""Is a network of clean digits of some classes worth anything to measurements of the others?

A small U-Net without a channel for masks learns clean digits 0 to 4 of scikit-learn's. Of digits 5 to 9 there are
measurements alone, of which half of the pixels are missing; 200 are held out. Rows: the mean of measured digits; the
network as it is, told nothing of masks (`Model(blind=True)`); the same after it went on with the measurements; a
blind network that begins with them, for as many steps; and one that begins with them and is told the masks. Column:
the mean squared error of the missing pixels of held-out digits, restored in one evaluation. Median of seeds.
"""

import jax
import numpy as np
from common import arguments, over_seeds

import jaxsamp as js

LAW, SCHEDULE, HELD_OUT = js.corruptions.Mask(0.5), js.schedules.VarianceExploding(), 200
LEVELS = js.losses.LogNormal(-0.8, 1.4)


def of_seed(seed, options):
    """(row, its column)."""
    digits, labels, _ = js.datasets.digits()
    clean, others = digits[labels < 5], np.random.default_rng(seed).permutation(digits[labels >= 5])
    others, held_out = others[HELD_OUT:], others[:HELD_OUT]
    keys = jax.random.split(jax.random.key(seed), 4)
    measured, unseen = js.corruptions.corrupt(keys[0], others, LAW), js.corruptions.corrupt(keys[1], held_out, LAW)
    hidden = ~np.asarray(unseen.operator.mask)

    def error(guess):
        return {"error": float(np.mean((np.asarray(guess) - held_out)[hidden] ** 2))}

    def trained(model, data, loss, params=None, steps=options.steps):
        rate = {"optimizer": js.training.AdamW(2e-3), "ema": 0.99, "batch_size": 64}
        return js.fit(keys[2], model, data, steps=steps, loss=loss, params=params, **rate).ema

    network = js.models.UNet(options.channels, (1, 2), blocks=1, attention=())
    plain, blind = (js.models.Model(network, SCHEDULE, "edm", float(clean.std()), blind) for blind in (False, True))
    ambient = js.training.ambient_loss(levels=LEVELS)
    yield "mean digit", error(measured.y.sum(0) / np.maximum(np.asarray(measured.operator.mask).sum(0), 1))
    known = trained(plain, clean, js.training.denoising_loss(LEVELS), steps=options.clean_steps)
    arms = {
        "clean digits 0 to 4": lambda: (blind, known),
        "these, then measurements": lambda: (blind, trained(blind, measured, ambient, known)),
        "measurements alone": lambda: (blind, trained(blind, measured, ambient)),
        "measurements alone, told the masks": lambda: (plain, trained(plain, measured, ambient)),
    }
    for arm, weights in arms.items():
        model, params = weights()
        yield arm, error(js.denoisers.restore(model.denoiser(params), unseen))


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--clean-steps", type=int, default=1000)
    parser.add_argument("--steps", type=int, default=500)
    parser.add_argument("--channels", type=int, default=16)
    over_seeds("ambient_fine_tuning", "From clean digits to measured ones", parser.parse_args(), of_seed)


if __name__ == "__main__":
    main()
