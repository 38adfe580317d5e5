"""Digits of which nobody has seen more than a part: how good are new ones, and restored ones?

scikit-learn's digits, 1,297 measured once through masks of their own, 500 held out. All arms train the same perceptron:
on clean digits; by the ambient loss; with a further corruption that is drawn once and kept (frozen); with none (no
further); and with zeros taken for what is missing (filled). At 90 % missing, the ambient loss alone, with two rates of
the further corruption, and for fewer steps. Columns: the Frechet distance of samples from the held-out digits on 64
activations of a classifier, each drawn through a mask of its own (fixed mask) or through one that hides nothing (full
mask); and the mean squared error of the missing pixels of held-out digits, restored in one evaluation. Median of seeds.
"""

import jax
import numpy as np
from ambient_arms import controls
from common import arguments, over_seeds

import jaxsamp as js
from jaxsamp.metrics.frechet import frechet_distance

SCHEDULE, EVENT, FURTHER = js.schedules.VarianceExploding(), (8, 8), 0.1
LEVELS = js.losses.LogNormal(-0.5, 1.2)


def fitted(key, data, cond, loss, options, steps=None):
    """The averaged denoiser of the perceptron."""
    return js.fit(
        key,
        js.models.MLP(options.width, depth=3),
        data,
        SCHEDULE,
        steps or options.steps,
        cond=cond,
        batch_size=128,
        loss=loss,
        optimizer=js.training.AdamW(1e-3),
        ema=0.995,
    ).denoiser()


def drawn(key, denoiser, law, further, n):
    """Samples by name: one for each way to choose the operators; of a denoiser without them if law is None."""
    if law is None:
        return {"fixed mask": np.asarray(js.sample(key, denoiser, (n, *EVENT), steps=24).x)}
    masks, whole = law.draw(key, n, EVENT, further), js.denoisers.with_operator(denoiser, law.full(EVENT))
    fixed = js.sample(key, denoiser, (n, *EVENT), steps=24, cond=masks).x
    full = js.sample(key, whole, (n, *EVENT), steps=24).x
    return {"fixed mask": np.asarray(fixed), "full mask": np.asarray(full)}


def distance(x, held_out):
    """The Frechet distance of samples from held-out digits."""
    features = js.datasets.digit_features()
    return float(frechet_distance(features(x), features(held_out)))


def restoration(denoiser, unseen, held_out):
    """Mean squared error of the missing pixels."""
    restored, hidden = np.asarray(js.denoisers.restore(denoiser, unseen)), ~np.asarray(unseen.operator.mask)
    return float(np.mean((restored - held_out)[hidden] ** 2))


def of_seed(seed, options):
    """The columns of each arm."""
    digits, _, held_out = js.datasets.digits()
    keys = jax.random.split(jax.random.key(seed), 6)
    for rate, name in ((0.5, "50 % missing"), (0.9, "90 % missing")):
        law = js.corruptions.Mask(rate)
        measured, unseen = js.corruptions.corrupt(keys[0], digits, law), js.corruptions.corrupt(keys[1], held_out, law)

        def ambient(further, measured=measured):
            return measured, None, js.training.ambient_loss(further, levels=LEVELS), further, options.steps

        arms = {f"{name}, ambient": ambient(FURTHER)}
        if rate == 0.5:
            arms["clean"] = digits, None, js.training.denoising_loss(LEVELS), None, options.steps
            others = controls(law, measured, digits, keys[2], SCHEDULE, LEVELS, FURTHER)
            for arm in ("frozen", "no further", "filled"):
                arms[f"{name}, {arm}"] = (*others[arm], 0.0 if arm == "no further" else FURTHER, options.steps)
        else:
            arms[f"{name}, ambient, further 0.3"] = ambient(0.3)
            arms[f"{name}, ambient, further 0.3, fewer steps"] = (*ambient(0.3)[:4], max(1, options.steps // 6))
        for arm, (data, cond, loss, further, steps) in arms.items():
            if options.only and arm not in options.only:
                continue
            denoiser = fitted(keys[3], data, cond, loss, options, steps)
            samples = drawn(keys[4], denoiser, None if arm == "clean" else law, further, options.samples)
            row = {f"Frechet, {way}": distance(x, held_out) for way, x in samples.items()}
            yield arm, row | ({} if arm == "clean" else {"restoration": restoration(denoiser, unseen, held_out)})


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=3000)
    parser.add_argument("--width", type=int, default=384)
    parser.add_argument("--samples", type=int, default=2000)
    parser.add_argument("--only", nargs="*", help="names of arms")
    over_seeds("ambient_digits", "Digits learned from their parts", parser.parse_args(), of_seed)


if __name__ == "__main__":
    main()
