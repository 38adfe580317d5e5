"""What does it save to start where the first critical window opens, and what does it cost?

A perceptron that is given no labels learns scikit-learn's digits. Its windows are measured: digits are noised, brought
back and read, and the top of the first window is the highest noise level at which samples of a digit still come back as
it 10 % more often than by chance, the maximum over the ten. UniPC of order 2 draws from sigma / alpha = 80, and from
there with the same spacing of steps, which are fewer, from a Gaussian with the mean and the covariance of the training
digits (late). To compare: as few steps from 80 (fewer steps); and a start there from noise alone, as if the data were
zero (no moments). Columns: evaluations per sample, the final one included; the Frechet distance of 2,000 samples from
the held-out digits, a mean over sets; how far it is from that of all steps, in standard deviations of one set; the
share of sets inside of the band of 95 % of all steps; and the first level.
"""

import jax
import jax.numpy as jnp
import numpy as np
from common import about, arguments, show, write

import jaxsamp as js
from jaxsamp.losses import EDMWeighting, LogNormal
from jaxsamp.metrics.frechet import frechet_distance

SCHEDULE, EVENT, TOP, LAST = js.schedules.VarianceExploding(), (8, 8), 80.0, 0.02


def network(key, data, options):
    """The averaged denoiser of the perceptron of examples/25_when_digits_are_decided.py."""
    loss = js.training.denoising_loss(LogNormal(-0.5), EDMWeighting(float(data.train.std())))
    given = {"batch_size": 128, "loss": loss, "optimizer": js.training.AdamW(2e-3), "ema": 0.995}
    model = js.models.MLP(width=options.width, depth=2)
    return js.fit(key, model, data.train, SCHEDULE, options.train_steps, **given).denoiser()


def first_window(key, denoiser, data, options):
    """The noise level at its top."""
    reader, levels = js.recipes.reader_of(data), np.geomspace(0.5, 20, options.levels)
    given = {"starts": options.starts, "steps": options.back}
    found = js.recipes.learned_windows(key, data, denoiser, [[k] for k in range(10)], levels, reader, **given)
    tops = [window.T_before.point for window in found]
    return float(np.nanmax(tops)) if np.isfinite(tops).any() else float(levels[-1])


def arms(key, denoiser, data, steps, top, n):
    """Per arm: first level, evaluations per sample, and a set of samples."""
    few = int(np.ceil(steps * np.log(top / LAST) / np.log(TOP / LAST)))
    keys = jax.random.split(key, 3)
    late = js.theory.late_start(keys[1], data.train, SCHEDULE, top, n)
    noise = top * jax.random.normal(keys[2], (n, *EVENT))
    for name, first, count, init in (
        ("all steps", TOP, steps, None),
        ("late", top, few, late.init.astype(jnp.float32)),
        ("fewer steps", TOP, few, None),
        ("no moments", top, few, noise),
    ):
        grid = np.geomspace(first, LAST, count + 1)
        drawn = js.sample(keys[0], denoiser, (n, *EVENT), js.samplers.UniPC(), grid=grid, init=init)
        yield name, first, float(np.mean(drawn.stats["evaluations"])), np.asarray(drawn.x)


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--steps", type=int, nargs="*", default=(8, 12, 18))
    parser.add_argument("--sets", type=int, default=30)
    parser.add_argument("--samples", type=int, default=2000)
    parser.add_argument("--train-steps", type=int, default=2000)
    parser.add_argument("--width", type=int, default=256)
    parser.add_argument("--levels", type=int, default=8)
    parser.add_argument("--starts", type=int, default=100)
    parser.add_argument("--back", type=int, default=50)
    options = parser.parse_args()
    data, features, rows = js.recipes.load("digits"), js.datasets.digit_features(), []
    real = features(data.held_out)
    for seed in range(options.seeds):
        keys = jax.random.split(jax.random.key(seed), 3)
        denoiser = network(keys[0], data, options)
        top = first_window(keys[1], denoiser, data, options)
        for steps in options.steps:
            found: dict[str, list[float]] = {}
            cost = {}
            for i in range(options.sets):
                key = jax.random.fold_in(keys[2], 1000 * steps + i)
                for name, first, evaluations, x in arms(key, denoiser, data, steps, top, options.samples):
                    found.setdefault(name, []).append(float(frechet_distance(features(x), real)))
                    cost[name] = first, evaluations
            whole = found["all steps"]
            low, high = np.quantile(whole, [0.025, 0.975])
            for name, each in found.items():
                row = {"network": seed, "steps from 80": steps, "start": name, "evaluations": cost[name][1]}
                row |= {"saved": 1 - cost[name][1] / cost["all steps"][1], "Frechet": float(np.mean(each))}
                row |= {"shift in sd": float((np.mean(each) - np.mean(whole)) / max(np.std(whole), 1e-9))}
                row |= {"inside": float(np.mean((low <= each) & (each <= high))), "first level": cost[name][0]}
                rows.append(row | {"sets": dict(enumerate(each))})
            write(options.results / "late_start.json", about("Late start", options) | {"rows": rows})
    show("Starting where the first critical window opens", rows)


if __name__ == "__main__":
    main()
