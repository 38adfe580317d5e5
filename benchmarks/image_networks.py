"""How many rounds does a U-Net on images of 28 x 28 need, trained in this run? The network that people have, in small.

Scikit-learn's digits, enlarged by cubic interpolation and clipped to their range; `--data photos` takes gray patches of
its two photographs instead, and any other name, file or folder is read as `jaxsamp train --data` does. The U-Net has 16
channels at three resolutions, one block each; drafts are the same U-Net with 8, 6 and 4 channels, about 1/4, 1/8 and
1/16 of the arithmetic, trained on the same images and not distilled unless `--distill` says so. All are trained here,
1,000 steps of 32 images; with `--folder` training goes on where it was stopped, and a finished network is only loaded.
One calibration curve per principal component of held-out images, on which it is measured (`--basis` for others).

sigma / alpha from 80 to 0.02, no final denoise, float32. Error: the root mean square over pixels of the distance of
each sample to the network's own converged flow (UniPC3 in 400 steps) from the same start; median and 95th percentile
over starts. "arithmetic" is that of the network and the draft together, in calls of the network per sample, by XLA's
count of operations. Rounds of `ParallelMidpoint()`, which stops by itself, are a mean.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from common import Counted, arguments, report
from rounds_vs_accuracy import Case, Run, measured, operations

import jaxsamp as js
from jaxsamp import recipes
from jaxsamp.datasets import digits, photo_patches
from jaxsamp.samplers import ParallelMidpoint, UniPC

SIDE, CHANNELS, DRAFTS = 28, 16, (8, 6, 4)
SCHEDULE = js.schedules.VarianceExploding()
STEPS = (8, 16, 24, 32, 48)  # of UniPC3
MICROBATCH = 4  # samples of 64 nodes at once


def images(name: str) -> tuple[np.ndarray, np.ndarray]:
    """Images to train on and held-out ones, (n, 28, 28) or (n, 28, 28, c), in random order."""
    if name == "digits":
        parts: Sequence[Any] = [enlarged(part) for part in (digits()[0], digits()[2])]
    elif name == "photos":
        parts = photo_patches(stride=7, size=SIDE)
    else:
        data = recipes.load(name, SIDE)
        parts = data.train, data.held_out
    order = np.random.default_rng(0)
    train, held_out = (order.permutation(np.asarray(part, np.float32)) for part in parts)
    return train, held_out


def enlarged(x: np.ndarray) -> np.ndarray:
    """8 x 8 to 28 x 28 by cubic interpolation, clipped to [-1, 1]."""
    return np.clip(np.asarray(jax.image.resize(jnp.asarray(x), (len(x), SIDE, SIDE), "cubic")), -1, 1)


def unet(channels: int, train: np.ndarray) -> js.models.Model:
    """Three resolutions of one block each, without attention; its arithmetic grows like channels^2."""
    network = js.models.UNet(channels, (1, 2, 2), blocks=1, attention=())
    return js.models.Model(network, SCHEDULE, "edm", float((train - train.mean(0)).std()))


def trained(channels: int, train: np.ndarray, options: Any) -> Any:
    """The denoiser of a U-Net trained on these images, which goes on from its folder."""
    folder = options.folder and Path(options.folder) / f"{options.data.replace('/', '_')}_{channels}"
    return js.fit(
        jax.random.key(0),
        unet(channels, train),
        train,
        steps=options.train_steps,
        batch_size=options.batch,
        optimizer=js.training.AdamW(2e-3),
        ema=0.99,
        checkpoint=folder,
        checkpoint_every=100,
        keep=1,
        resume=folder is not None,
        callback=lambda step, _: print(f"{channels} channels: {step} steps", flush=True),
        callback_every=100,
    ).denoiser()


def distilled(channels: int, train: np.ndarray, denoiser: Any, options: Any) -> Any:
    """A draft of that size, distilled from the network on noised training images; its trial is not used."""
    folder = options.folder and Path(options.folder) / f"{options.data.replace('/', '_')}_{channels}_distilled"
    return js.distill(
        jax.random.key(4), denoiser, train, unet(channels, train).network, options.train_steps,
        batch_size=options.batch, checkpoint=folder, resume=folder is not None, rounds=2, midpoints=4,
    ).draft  # fmt: skip


def case(options: Any) -> Case:
    """The network and its drafts."""
    train, held_out = images(options.data)
    denoiser = trained(CHANNELS, train, options)
    found = js.calibrate(jax.random.key(1), denoiser, held_out, basis=options.basis)

    def surrogates() -> dict[str, Any]:
        drafts = {f"draft of {c} channels": trained(c, train, options) for c in options.drafts}
        make = lambda c: distilled(c, train, denoiser.with_calibration(found), options)  # noqa: E731
        return drafts | {f"distilled draft of {c} channels": make(c) for c in options.distill}

    return Case(denoiser.with_calibration(found), train.shape[1:], 80.0, 400, surrogates)


def settings(one: Case, options: Any) -> Iterator[tuple[str, str, Any, int]]:
    """Family, setting, sampler and steps."""
    for n in STEPS:
        yield "UniPC3", f"{n} steps", UniPC(order=3, lower_order_final=False), n
    for nodes in (32, 64):
        yield f"ParallelMidpoint({nodes})", "until it is within 1 %", ParallelMidpoint(nodes), 1
    for n in options.without:
        yield "ParallelMidpoint, 64 nodes", f"{n} rounds", Counted(64, n - 1), 1
    for name, draft in one.surrogates().items():
        for n in options.rounds:
            yield f"ParallelMidpoint, 64 nodes, {name}", f"{n} rounds", Counted(64, n - 1, surrogate=draft), 1


def row(run: Run, end: Any) -> dict[str, Any]:
    """One line of the table."""
    found = measured(run, end, 1)
    names = {"family": "sampler", "setting": "setting", "rounds": "rounds", "error": "median", "error, 95 %": "95 %"}
    shown = {new: found[old] for old, new in names.items()}
    return shown | {"arithmetic": found["evaluations"] * (1 + found["arithmetic"])}


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--data", default="digits", help="digits, photos, or data as `jaxsamp train` takes them")
    parser.add_argument("--train-steps", type=int, default=1000)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--folder", type=Path, help="of the networks; training that was stopped goes on")
    parser.add_argument("--basis", default="pca", help="of the calibration")
    parser.add_argument("--drafts", type=int, nargs="*", default=DRAFTS, help="channels")
    parser.add_argument("--distill", type=int, nargs="*", default=(), help="channels of distilled drafts")
    parser.add_argument("--starts", type=int, default=64)
    parser.add_argument("--without", type=int, nargs="*", default=(5, 6, 8, 9, 10), help="rounds without a draft")
    parser.add_argument("--rounds", type=int, nargs="*", default=(2, 3, 4, 5, 6), help="rounds with a draft")
    options = parser.parse_args()
    one, rows = case(options), []
    start = one.sigma_max * jax.random.normal(jax.random.key(0), (options.starts, *one.event))
    cost = operations(one.denoiser, one.event)

    def ends(sampler: Any, steps: int) -> Any:
        return js.sample(
            jax.random.key(7), one.denoiser, start.shape, sampler, steps, grid=one.grid(), init=start,
            final_denoise=False, microbatch=MICROBATCH if steps == 1 else None,
        )  # fmt: skip

    end = ends(UniPC(order=3, lower_order_final=False), one.converged).x
    for family, setting, sampler, steps in settings(one, options):
        found, share = ends(sampler, steps), 0.0
        if (draft := getattr(sampler, "surrogate", None)) is not None:
            calls = found.stats["surrogate_evaluations"] / found.stats["evaluations"]
            share = float(calls.mean()) * operations(draft, one.event) / cost
        run = Run(family, setting, found.x, found.stats["rounds"], found.stats["evaluations"], share)
        rows.append(row(run, end))
        rows[-1]["converged"] = float(found.stats["converged"].mean())
        print({name: round(v, 5) if isinstance(v, float) else v for name, v in rows[-1].items()}, flush=True)
    report("image_networks", f"U-Net of {CHANNELS} channels, {options.data}", rows, options, ("flax", "optax"))


if __name__ == "__main__":
    main()
