"""What are damaged images worth beside a few clean ones?

100 clean images and many damaged ones: patches of photographs under a blur of one pixel (3,900), digits after JPEG of
quality 10 (1,197), and digits with known noise of 0.5. All arms train the same small network, which sees neighborhoods
alone at small noise, for as many steps: on the clean images; on all as if they were clean (naive); on all, damaged ones
above a level alone (Omni), which is given, or found from Gaussians or by a classifier; the same with the image
itself as the target (x0); and on as many clean images as there are in all (oracle). Columns: EDM's denoising loss of
held-out images, of the last weights and of the best of `--checks` checkpoints; the Frechet distance of samples from
held-out images, on pixels or on the activations of a classifier of digits; and the roughness, the mean square of the
differences of neighboring pixels over twice the variance, which blur destroys. Medians over seeds.
"""

import jax
import jax.numpy as jnp
import numpy as np
from common import about, arguments, medians, show, write

import jaxsamp as js
from jaxsamp.corruptions import Annotations
from jaxsamp.corruptions.images import JPEG, GaussianBlur, GaussianNoise
from jaxsamp.metrics.frechet import frechet_distance

SCHEDULE, LEVELS, CLEAN = js.schedules.VarianceExploding(), js.losses.LogNormal(-0.8, 1.4), 100
CASES = {
    "patches, blur 1": (GaussianBlur(1.0), (0.4, 0.8)),
    "digits, JPEG 10": (JPEG(10), (0.4,)),
    "digits, noise 0.5": (GaussianNoise(0.5), (0.5,)),
}


def images(case, seed):
    """Training and held-out images in an order of the seed's, and the features that samples are compared by."""
    if case.startswith("digits"):
        train, _, held_out = js.datasets.digits()
        features = js.datasets.digit_features()
    else:
        train, held_out = js.datasets.photo_patches(seed, stride=4, block=32)
        features = pixels
    order = np.random.default_rng(seed)
    return order.permutation(train)[:4000], order.permutation(held_out)[:1000], features


def pixels(x):
    """All pixels as features, (n, 64)."""
    return np.reshape(x, (len(x), -1))


def arms(key, case, x, corruption, given, options):
    """(images, annotations or None, target) of each arm."""
    damaged = np.arange(len(x)) >= CLEAN
    mixed = np.where(damaged[:, None, None], np.asarray(corruption(key, x)), x).astype(np.float32)
    made = {"clean only": (x[:CLEAN], None, ""), "naive": (mixed, None, "")}
    for level in given:
        made[f"Omni from {level}"] = (mixed, Annotations(np.where(damaged, level, 0.0), data=mixed), "x_tn")
    made[f"Omni from {given[0]}, x0"] = (*made[f"Omni from {given[0]}"][:2], "x0")
    found = js.learning.annotate_gaussian(mixed, damaged)
    print(f"{case}: the Gaussians' level is {found.sigma_min[-1]:.3g}", flush=True)
    made["Omni, Gaussians"] = (mixed, found, "x_tn")
    try:
        for_fit, for_levels = jax.random.split(key)
        classifier = js.learning.fit_classifier(for_fit, mixed, damaged, steps=options.classifier_steps)
        found = js.learning.annotate_classifier(for_levels, classifier, mixed, damaged)
        print(f"{case}: the classifier's level is {found.sigma_min[-1]:.3g}", flush=True)
        made["Omni, classifier"] = (mixed, found, "x_tn")
    except ValueError as refused:
        print(f"{case}: {refused}", flush=True)
    return made | {"oracle": (x, None, "")}


def held_out_loss(model, held_out, sigma_data):
    """A function of weights: EDM's loss over all held-out images, at the same levels and noise for all of them."""
    options = {"levels": LEVELS, "weighting": js.losses.EDMWeighting(sigma_data)}
    repeated = jnp.asarray(np.tile(held_out, (8, 1, 1)))

    @jax.jit
    def loss(params):
        return js.losses.denoising(jax.random.key(1), model, params, repeated, SCHEDULE, "x0", **options).mean()

    return loss


def roughness(x):
    """Mean square of the differences of neighboring pixels, over the variance."""
    return float((np.mean(np.diff(x, axis=1) ** 2) + np.mean(np.diff(x, axis=2) ** 2)) / 2 / np.var(x))


def run(key, model, arm, held_out, features, options):
    """The columns of one arm."""
    data, annotations, target = arm
    weighting = js.losses.EDMWeighting(model.sigma_data)
    loss = js.training.denoising_loss(LEVELS, weighting)
    if annotations is not None:
        loss = js.training.omni_loss(LEVELS, weighting, target=target)
    measure, history = held_out_loss(model, held_out, model.sigma_data), []
    state = js.fit(
        key,
        model,
        data,
        steps=options.steps,
        annotations=annotations,
        batch_size=128,
        loss=loss,
        optimizer=js.training.AdamW(1e-3),
        ema=0.995,
        callback=lambda step, state: history.append(float(measure(state.ema))),
        callback_every=max(1, options.steps // options.checks),
    )
    x = np.asarray(js.sample(jax.random.fold_in(key, 1), state.denoiser(), (options.samples, 8, 8), steps=24).x)
    return {
        "loss": history[-1],
        "best loss": min(history),
        "Frechet": float(frechet_distance(features(x), features(held_out))),
        "roughness": roughness(x),
    }


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=1600)
    parser.add_argument("--checks", type=int, default=8)
    parser.add_argument("--classifier-steps", type=int, default=2000)
    parser.add_argument("--samples", type=int, default=2000)
    parser.add_argument("--cases", nargs="*", choices=tuple(CASES), default=tuple(CASES))
    parser.add_argument("--only", nargs="*", help="names of arms")
    options = parser.parse_args()
    found: dict[str, dict[str, list[dict[str, float]]]] = {case: {} for case in options.cases}
    for seed in range(options.seeds):
        for case in options.cases:
            x, held_out, features = images(case, seed)
            model = js.models.Model(js.models.LocalMLP(), SCHEDULE, "edm", float((x - x.mean(0)).std()))
            for_arms, for_run = jax.random.split(jax.random.key(seed))
            for name, arm in arms(for_arms, case, x, *CASES[case], options).items():
                if options.only and name not in options.only:
                    continue
                row = run(for_run, model, arm, held_out, features, options)
                found[case].setdefault(name, []).append(row)
                print(case, seed, name, {column: round(value, 3) for column, value in row.items()}, flush=True)
                rows = [
                    {"case": case, "arm": arm} | medians(each) for case in found for arm, each in found[case].items()
                ]
                write(options.results / "omni_patches.json", about("Ambient Omni", options) | {"rows": rows})
    show("Few clean images and many damaged ones", rows)


if __name__ == "__main__":
    main()
