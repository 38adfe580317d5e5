"""What do a U-Net and larger images make of corrupted data? One run of each kind.

Gray patches of 28 x 28 of scikit-learn's two photographs, in overlapping squares of 64 pixels that are split before
they are cut; one small U-Net; all arms for as many steps. Either half of the pixels of each patch are missing (ambient;
a further corruption that is drawn once and kept, frozen; no further; zeros taken for what is missing, filled), or all
but 100 are under a blur of one pixel (the clean ones alone; all as if they were clean, naive; damaged ones above a
level alone, Omni); clean patches alone are the oracle of both. Columns: the mean squared error of missing pixels of
held-out patches, restored in one evaluation; EDM's loss of held-out patches; the Frechet distance of samples from
held-out patches on the pixels of their 16 squares of 7 x 7, which for measurements is that of samples through masks of
their own, and with nothing hidden (full mask); and the roughness of samples (see omni_patches.py). An arm that is in
the JSON is not run again, and with `--checkpoints` one that was stopped goes on. One seed, for two CPU cores.
"""

import json
from functools import partial
from pathlib import Path

import jax
import numpy as np
from ambient_arms import controls
from common import about, arguments, show, write
from omni_patches import roughness

import jaxsamp as js
from jaxsamp.corruptions import Annotations
from jaxsamp.corruptions.images import GaussianBlur
from jaxsamp.metrics.frechet import frechet_distance

SCHEDULE, SIDE, FURTHER, LAW = js.schedules.VarianceExploding(), 28, 0.1, js.corruptions.Mask(0.5)
LEVELS = js.losses.LogNormal(-0.8, 1.4)
OMNI = 0.8  # the level from which damaged patches train
MEASURED, MIXED = ("ambient", "frozen", "no further", "filled"), ("clean only", "naive", "Omni")
ARMS = ("ambient", "Omni", "oracle", "naive", "clean only", "no further", "filled", "frozen")


def data(key, arm, x, clean, weighting):
    """(data, cond, annotations, loss) of an arm."""
    plain = js.training.denoising_loss(LEVELS, weighting)
    if arm in MEASURED:
        measured = js.corruptions.corrupt(jax.random.fold_in(key, 0), x, LAW)
        if arm == "ambient":
            return measured, None, None, js.training.ambient_loss(FURTHER, levels=LEVELS)
        shown, cond, loss = controls(LAW, measured, x, jax.random.fold_in(key, 1), SCHEDULE, LEVELS, FURTHER)[arm]
        return shown, cond, None, loss
    if arm == "oracle":
        return x, None, None, plain
    if arm == "clean only":
        return x[:clean], None, None, plain
    damaged = np.arange(len(x)) >= clean
    mixed = np.where(damaged[:, None, None], np.asarray(GaussianBlur(1.0)(key, x)), x).astype(np.float32)
    if arm == "naive":
        return mixed, None, None, plain
    notes = Annotations(np.where(damaged, OMNI, 0.0), data=mixed)
    return mixed, None, notes, js.training.omni_loss(LEVELS, weighting)


def distance(x, held_out):
    """The Frechet distance on the pixels of all squares of 7 x 7."""
    cut = (np.asarray(a).reshape(-1, 4, 7, 4, 7).swapaxes(2, 3).reshape(-1, 49) for a in (x, held_out))
    return float(frechet_distance(*cut))


def of_measured(key, denoiser, arm, held_out, n):
    """The columns of an arm that takes masks."""
    unseen = js.corruptions.corrupt(jax.random.fold_in(key, 0), held_out, LAW)
    restored = np.concatenate(
        [np.asarray(js.denoisers.restore(denoiser, unseen[i : i + 50])) for i in range(0, 300, 50)]
    )
    hidden = ~np.asarray(unseen.operator.mask)[:300]
    masks = LAW.draw(jax.random.fold_in(key, 1), n, (SIDE, SIDE), 0.0 if arm == "no further" else FURTHER)
    whole = js.denoisers.with_operator(denoiser, LAW.full((SIDE, SIDE)))
    draw = partial(js.sample, key, shape=(n, SIDE, SIDE), steps=18, microbatch=32)
    fixed, full = draw(denoiser, cond=masks).x, draw(whole).x
    return {
        "restoration": float(np.mean((restored - held_out[:300])[hidden] ** 2)),
        "Frechet": distance(fixed, held_out),
        "Frechet, full mask": distance(full, held_out),
        "roughness": roughness(np.asarray(fixed)),
    }


def of_whole(key, denoiser, held_out, n, sigma_data):
    """The columns of an arm that takes no masks."""
    model, weighting = denoiser.apply, js.losses.EDMWeighting(sigma_data)

    @jax.jit
    def loss(x, key):
        options = {"levels": LEVELS, "weighting": weighting}
        return js.losses.denoising(key, model, denoiser.params, x, SCHEDULE, "x0", **options).mean()

    losses = [loss(held_out[50 * (i % 6) : 50 * (i % 6) + 50], jax.random.key(i)) for i in range(18)]
    x = np.asarray(js.sample(key, denoiser, (n, SIDE, SIDE), steps=18, microbatch=32).x)
    return {"loss": float(np.mean(losses)), "Frechet": distance(x, held_out), "roughness": roughness(x)}


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--channels", type=int, default=16)
    parser.add_argument("--images", type=int, default=2000)
    parser.add_argument("--clean", type=int, default=100)
    parser.add_argument("--samples", type=int, default=128)
    parser.add_argument("--arms", nargs="*", choices=ARMS, default=ARMS)
    parser.add_argument("--checkpoints", type=Path, help="folder from which a run that was stopped goes on")
    options = parser.parse_args()
    order = np.random.default_rng(0)
    x, held_out = (order.permutation(part) for part in js.datasets.photo_patches(stride=7, size=SIDE))
    x, held_out = x[: options.images], held_out[:1000]
    model = js.models.Model(
        js.models.UNet(options.channels, (1, 2, 2), blocks=1, attention=()),
        SCHEDULE,
        "edm",
        float((x - x.mean(0)).std()),
    )
    weighting, key = js.losses.EDMWeighting(model.sigma_data), jax.random.key(0)
    path = options.results / "ambient_unet.json"
    rows = json.loads(path.read_text())["rows"] if path.exists() else []
    mean = np.broadcast_to(x.mean(0), held_out.shape)
    print(
        f"{len(x)} patches, {len(held_out)} held out; the mean patch errs by {np.mean((mean - held_out) ** 2):.3f}; "
        f"roughness {roughness(held_out):.3f}, of half of the others {distance(x[:1000], held_out):.3f}",
        flush=True,
    )
    for arm in options.arms:
        if arm in {row["arm"] for row in rows}:
            continue
        shown, cond, notes, loss = data(key, arm, x, options.clean, weighting)
        denoiser = js.fit(
            jax.random.fold_in(key, 2),
            model,
            shown,
            steps=options.steps,
            cond=cond,
            annotations=notes,
            batch_size=options.batch,
            loss=loss,
            optimizer=js.training.AdamW(2e-3),
            ema=0.99,
            checkpoint=options.checkpoints and options.checkpoints / arm.replace(" ", "_"),
            checkpoint_every=200,
            resume=options.checkpoints is not None,
        ).denoiser()
        found = (
            of_measured(jax.random.fold_in(key, 3), denoiser, arm, held_out, options.samples)
            if arm in MEASURED
            else of_whole(jax.random.fold_in(key, 3), denoiser, held_out, options.samples, model.sigma_data)
        )
        print(arm, {column: round(value, 4) for column, value in found.items()}, flush=True)
        rows.append({"arm": arm} | found)
        write(path, about("Ambient and Omni with a U-Net", options) | {"rows": rows})
    for title, arms in (("Half of the pixels missing", MEASURED), ("Blurred, or whole", (*MIXED, "oracle"))):
        if some := [row for row in rows if row["arm"] in arms]:
            show(f"A U-Net on patches of 28 x 28: {title}", some)


if __name__ == "__main__":
    main()
