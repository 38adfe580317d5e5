"""How good a model of handwritten digits do minutes of training on a processor give?

scikit-learn's digits, 1,297 to train on and 500 held out, 8 x 8. One network of the digits, and one of the digits given
their label, trained by `fit` for each seed and sampled by `sample`. Frechet distance: of `--samples` samples from the
held-out digits, on the 64 hidden activations of a small classifier; the training digits themselves are at 1.06.
Copied: share of the first 600 samples less than half as far from one training digit as from the next. Accuracy: share
of the samples that the classifier, right for 97.6 % of the held-out digits, takes for the given label. Seconds are
those of the whole of `fit`, including compilation; processor seconds are summed over cores.
"""

import os
import statistics
import time

import jax
import jax.numpy as jnp
import numpy as np
from common import arguments, report

import jaxsamp as js
from jaxsamp.datasets import digit_classifier, digit_features, digits
from jaxsamp.metrics.frechet import frechet_distance

CLASSES, COPIES = 10, 600


def train(seed, options, labels=None):
    """The averaged denoiser, and the seconds and processor seconds of training."""
    images = digits()[0]
    network = js.models.MLP(options.width, options.depth, 0 if labels is None else CLASSES)
    weighting = js.losses.EDMWeighting(float(np.std(images - images.mean(0))))
    loss = js.training.denoising_loss(js.losses.LogNormal(*options.levels), weighting, drop=options.drop)
    optimizer = js.training.AdamW(learning_rate=options.rate, weight_decay=options.decay)
    start, used = time.perf_counter(), time.process_time()
    state = js.fit(
        jax.random.key(seed),
        network,
        images,
        js.schedules.VarianceExploding(),
        options.steps,
        cond=labels,
        batch_size=options.batch,
        loss=loss,
        optimizer=optimizer,
    )
    jax.block_until_ready(state.ema)
    return state.denoiser(), time.perf_counter() - start, time.process_time() - used


def judged(denoiser, seed, options, cond=None):
    """Frechet distance, mean over sets of samples; share of copies, accuracy and evaluations of the first set."""
    images, _, held_out = digits()
    features, sets = digit_features(), []
    for i in range(options.sets):
        key = jax.random.fold_in(jax.random.key(1), seed + 1000 * i)
        sets.append(js.sample(key, denoiser, (options.samples, 8, 8), steps=options.sampling_steps, cond=cond))
    x = np.asarray(sets[0].x)
    distances = [frechet_distance(features(np.asarray(one.x)), features(held_out)) for one in sets]
    return {
        "Frechet distance": float(np.mean(distances)),
        "copied": js.metrics.memorization(x[:COPIES], images).value,
        "accuracy": None if cond is None else float(np.mean(digit_classifier()(x) == np.asarray(cond))),
        "evaluations": int(sets[0].stats["evaluations"][0]),
    }


def of_seed(seed, options):
    """The rows of one seed, by what was sampled."""
    rows = {}
    denoiser, *seconds = train(seed, options)
    rows["all digits"] = judged(denoiser, seed, options) | timed(*seconds)
    denoiser, *seconds = train(seed, options, digits()[1])
    asked = jnp.arange(options.samples) % CLASSES
    for scale in options.scales:
        name = f"by label, guidance {scale:g}"
        asks = denoiser if scale == 1 else js.guide(denoiser, scale, null=CLASSES)
        rows[name] = judged(asks, seed, options, asked) | timed(*seconds)
    print(seed, {name: round(row["Frechet distance"], 3) for name, row in rows.items()}, flush=True)
    return rows


def timed(seconds, used):
    """Columns of the cost of training, and the load of the machine, without which they mean little."""
    return {"training s": seconds, "processor s": used, "load": os.getloadavg()[0]}


def main():
    parser = arguments(__doc__)
    parser.add_argument("--seeds", type=int, default=3, help="how many; each trains two networks")
    parser.add_argument("--steps", type=int, default=2500, help="of training")
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--width", type=int, default=384)
    parser.add_argument("--depth", type=int, default=3)
    parser.add_argument("--rate", type=float, default=1e-3, help="highest learning rate")
    parser.add_argument("--decay", type=float, default=0.0, help="weight decay")
    parser.add_argument("--levels", type=float, nargs=2, default=(-0.5, 1.2), help="mean and std of log(sigma / alpha)")
    parser.add_argument("--drop", type=float, default=0.1, help="probability that a label is dropped in training")
    parser.add_argument("--scales", type=float, nargs="+", default=(1.0, 2.0), help="guidance")
    parser.add_argument("--samples", type=int, default=2000)
    parser.add_argument("--sets", type=int, default=1, help="of samples from each network, for the mean distance")
    parser.add_argument("--sampling-steps", type=int, default=32)
    options = parser.parse_args()

    found = [of_seed(seed, options) for seed in range(options.seeds)]
    rows = []
    for name in found[0]:
        rows += [{"samples": name, "seed": str(seed)} | one[name] for seed, one in enumerate(found)]
        values = {column: [one[name][column] for one in found] for column in found[0][name]}
        medians = {c: None if v[0] is None else statistics.median(v) for c, v in values.items()}
        rows.append({"samples": name, "seed": "median"} | medians)
    report("digits_training", "Digits after minutes of training", rows, options, ("flax", "optax", "scikit-learn"))


if __name__ == "__main__":
    main()
