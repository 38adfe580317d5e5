"""What law of whole digits can be learned from digits of which half of the pixels are missing?

scikit-learn's digits, 1,297 to train on, each seen once through a mask of its own, and 500 held out. Arms: a Gaussian
by maximum likelihood from what was seen; `fit_em`, whose first lap starts from that Gaussian; a network that is trained
for as many steps on draws of the first lap alone (one lap); and the ambient loss, sampled through masks like those of
training and through one that hides nothing. Frechet distance: of `--samples` samples from the held-out digits, on the
64 hidden activations of a small classifier; the clean training digits themselves are at 1.06, and a network trained on
them at 1.36 (digits_training.py). Median over seeds; seconds are those of learning, compilation included, without the
Gaussian's.
"""

import os
import statistics
import time

import jax
import numpy as np
from common import about, arguments, show, write

import jaxsamp as js
from jaxsamp.corruptions import Mask, corrupt
from jaxsamp.datasets import digit_features, digits
from jaxsamp.metrics.frechet import frechet_distance

SCHEDULE, FURTHER = js.schedules.VarianceExploding(), 0.1


def arms(key, images, law, options):
    """(name, samples of what was learned, seconds of learning) of each arm, in turn."""
    keys = jax.random.split(key, 6)
    measured, network = corrupt(keys[0], images, law), js.models.MLP(options.width, options.depth)
    event, shape, rate = images.shape[1:], (options.samples, *images.shape[1:]), js.training.AdamW(options.rate)
    masks = law.draw(keys[1], options.samples, event, FURTHER)

    def drawn(denoiser, cond=None):
        return np.asarray(js.sample(keys[2], denoiser, shape, steps=options.sampling_steps, cond=cond).x)

    def learned(learn):
        began = time.perf_counter()
        denoiser = learn().denoiser()
        return denoiser, time.perf_counter() - began

    def em(laps, steps):
        return learned(
            lambda: js.learning.fit_em(
                keys[3], network, measured, SCHEDULE, laps, steps, start=gaussian, optimizer=rate
            )
        )

    def ambient():
        return js.fit(keys[4], network, measured, SCHEDULE, options.ambient_steps, optimizer=rate)

    began = time.perf_counter()
    gaussian = js.learning.fit_gaussian_em(measured, iterations=16)  # the start of fit_em
    seconds = time.perf_counter() - began
    yield "Gaussian", np.asarray(gaussian.sample(keys[5], options.samples)).reshape(shape), seconds
    denoiser, seconds = em(options.laps, options.steps)
    yield "EM", drawn(denoiser), seconds
    denoiser, seconds = learned(ambient)
    yield "ambient, masks of training", drawn(denoiser, masks), seconds
    yield "ambient, no mask", drawn(js.denoisers.with_operator(denoiser, law.full(event))), seconds
    denoiser, seconds = em(1, options.laps * options.steps)
    yield "one lap", drawn(denoiser), seconds


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--seeds", type=int, default=3, help="how many")
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--laps", type=int, default=8)
    parser.add_argument("--steps", type=int, default=500, help="of training in each lap")
    parser.add_argument("--ambient-steps", type=int, default=3000)
    parser.add_argument("--rate", type=float, default=1e-3, help="highest learning rate")
    parser.add_argument("--missing", type=float, default=0.5, help="share of the pixels")
    parser.add_argument("--data", type=int, default=1297, help="digits to learn from")
    parser.add_argument("--width", type=int, default=384)
    parser.add_argument("--depth", type=int, default=3)
    parser.add_argument("--samples", type=int, default=2000)
    parser.add_argument("--sampling-steps", type=int, default=32)
    options = parser.parse_args()
    images, _, held_out = digits()
    features, rows = digit_features(), []
    truth, found = features(held_out), {}
    for seed in range(options.first_seed, options.first_seed + options.seeds):
        for name, x, seconds in arms(jax.random.key(seed), images[: options.data], Mask(options.missing), options):
            each = found.setdefault(name, {"seeds": [], "seconds": []})
            each["seeds"].append(frechet_distance(features(x), truth))
            each["seconds"].append(seconds)
            print(f"seed {seed}, {name}: {each['seeds'][-1]:.2f} ({seconds:.0f} s)", flush=True)
            rows = [
                {"arm": arm, "Frechet distance": statistics.median(got["seeds"])} | got for arm, got in found.items()
            ]
            result = {"rows": rows, "load": os.getloadavg()[0]}
            write(options.results / "ambient_em.json", about("Digits with missing pixels", options) | result)
    show("Frechet distance of digits learned from half of their pixels", rows)


if __name__ == "__main__":
    main()
