"""How many rounds does a U-Net on images of 28 x 28 need, trained in this run? The network that people have, in small.

Scikit-learn's digits, enlarged by cubic interpolation and clipped to their range; `--data photos` takes gray patches of
its two photographs instead, and any other name, file or folder is read as `jaxsamp train --data` does. The U-Net has 16
channels at three resolutions, one block each; drafts are the same U-Net with 8, 6 and 4 channels, about 1/4, 1/7 and
1/14 of the arithmetic, trained on the same images; those of `--distill` are distilled from the network. All are trained
here, 1,000 steps of 32 images (`--distill-steps` for others); with `--folder` training goes on where it was stopped,
and a finished network is only loaded. `--seed` changes weights, batches and starts, and writes a file of its own. One
calibration curve per principal component of held-out images, on which it is measured (`--basis` for others). `--limits`
asks what holds the window back without a draft: its nodes, its secants, its curves.

sigma / alpha from 80 to 0.02, no final denoise, float32. Error: the root mean square over pixels of the distance of
each sample to the network's own converged flow (UniPC3 in 400 steps) from the same start; median and 95th percentile
over starts. "arithmetic" is that of the network and the draft together, in calls of the network per sample, by XLA's
count of operations. Rounds of `ParallelMidpoint()`, which stops by itself, are a mean, and "beyond 3 %" the samples
further than 3 % of the data's standard deviation of which `stats` says that they have converged. The table has the
fewest rounds; every round is in the JSON, under "runs", and with `--into` what it has already is not run again.
"""

import json
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from common import EveryRound, about, arguments, show, write
from rounds_vs_accuracy import operations

import jaxsamp as js
from jaxsamp import recipes
from jaxsamp.datasets import digits, photo_patches
from jaxsamp.samplers import ParallelMidpoint, UniPC

SIDE, CHANNELS, DRAFTS = 28, 16, (8, 6, 4)
SCHEDULE = js.schedules.VarianceExploding()
STEPS = (8, 16, 24, 32, 48)  # of UniPC3
MICROBATCH = 4  # samples of 64 nodes at once
BEST = UniPC(order=3, lower_order_final=False)


class Made(NamedTuple):
    """A network, the images that it was trained on, and others."""

    denoiser: Any
    train: np.ndarray
    held_out: np.ndarray


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


def kept(options: Any, name: str) -> Path | None:
    """Where something of this data and seed is kept."""
    seed = f"_seed{options.seed}" if options.seed else ""
    return options.folder and Path(options.folder) / f"{options.data.replace('/', '_')}{seed}_{name}"


def trained(channels: int, train: np.ndarray, options: Any) -> Any:
    """The denoiser of a U-Net trained on these images, which goes on from its folder."""
    folder = kept(options, str(channels))
    if folder and js.training.latest_step(folder) == options.train_steps:
        return js.training.load_denoiser(folder)
    return js.fit(
        jax.random.key(options.seed),
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
    steps = options.distill_steps or options.train_steps
    folder = kept(options, f"{channels}_distilled" + (f"_{steps}" if steps != options.train_steps else ""))
    if folder and js.training.latest_step(folder) == steps:
        return js.training.load_denoiser(folder)
    start = time.process_time()
    draft = js.distill(
        jax.random.key(4 + 10 * options.seed), denoiser, train, unet(channels, train).network, steps,
        batch_size=options.batch, checkpoint=folder, resume=folder is not None, rounds=2, midpoints=4,
    ).draft  # fmt: skip
    calls = steps * options.batch
    print(f"{channels} channels distilled: {calls} calls of the network, {time.process_time() - start:.0f} s of cores")
    return draft


def made(options: Any) -> Made:
    """The network, and what it is calibrated on."""
    train, held_out = images(options.data)
    return Made(trained(CHANNELS, train, options), train, held_out)


class Window(NamedTuple):
    """One window of the network: its nodes and secants, the basis of its calibration, and how its draft is made."""

    nodes: int = 64
    secants: int = 1
    basis: str | None = None
    draft: Callable[[Any], Any] | None = None


def windows(net: Made, options: Any) -> dict[str, Window]:
    """What is run for a number of rounds, by name."""
    if options.limits:
        found = {f"{n} nodes": Window(n) for n in (32, 64, 96)}
        found |= {f"64 nodes, {n} secants": Window(secants=n) for n in (0, 2)}
        return found | {f"64 nodes, {name}": Window(basis=name) for name in ("dct", "one curve")}
    found = {"ParallelMidpoint, 64 nodes": Window()}
    for c in options.drafts:
        draft = lambda _, c=c: trained(c, net.train, options)  # noqa: E731
        found[f"ParallelMidpoint, 64 nodes, draft of {c} channels"] = Window(draft=draft)
    for c in options.distill:
        draft = lambda denoiser, c=c: distilled(c, net.train, denoiser, options)  # noqa: E731
        name = f"ParallelMidpoint, 64 nodes, distilled draft of {c} channels"
        name += f" ({options.distill_steps} steps)" if options.distill_steps else ""
        found[name] = Window(draft=draft)
    return found


class Bench:
    """The network, its converged flow from some starts, and the errors of samplers."""

    def __init__(self, options: Any) -> None:
        self.options, self.net = options, made(options)
        event = self.net.train.shape[1:]
        self.start = 80.0 * jax.random.normal(jax.random.key(options.seed), (options.starts, *event))
        self.cost = operations(self.net.denoiser, event)
        self.calibrations: dict[str, Any] = {}
        file = kept(options, f"{options.train_steps}_flow_{options.starts}.npy")
        if file and file.exists():
            self.end = np.load(file)
        else:
            self.end = np.asarray(self.ends(self.net.denoiser, BEST, 400).x)
            if file:
                np.save(file, self.end)

    def ends(self, denoiser: Any, sampler: Any, steps: int, **more: Any) -> Any:
        """Samples at the last level from the same starts, a few at a time if they have many nodes."""
        window = isinstance(sampler, ParallelMidpoint)
        return js.sample(
            jax.random.key(7), denoiser, self.start.shape, sampler, steps, init=self.start, final_denoise=False,
            microbatch=MICROBATCH if window else None, **more,
        )  # fmt: skip

    def calibrated(self, basis: str | None) -> Any:
        """The network with one curve for each coordinate of this basis."""
        name = basis or self.options.basis
        if name not in self.calibrations:
            self.calibrations[name] = self._measured(name)
        return self.net.denoiser.with_calibration(self.calibrations[name])

    def _measured(self, name: str) -> Any:
        file = kept(self.options, f"{self.options.train_steps}_{name.replace(' ', '_')}.npz")
        if file and file.exists():
            return js.calibration.load(file)
        of = None if name == "one curve" else name
        found = js.calibrate(jax.random.key(1), self.net.denoiser, self.net.held_out, basis=of)
        if file:
            found.save(file)
        return found

    def errors(self, x: Any) -> np.ndarray:
        """Of each sample."""
        return np.sqrt(np.mean(np.square(np.asarray(x, float) - self.end).reshape(len(self.end), -1), 1))

    def sequential(self) -> Iterator[dict[str, Any]]:
        """UniPC3."""
        for n in STEPS:
            yield row("UniPC3", n, self.errors(self.ends(self.net.denoiser, BEST, n).x), n)

    def by_itself(self, nodes: int) -> Iterator[dict[str, Any]]:
        """The window that stops when it is within 1 %."""
        denoiser = self.calibrated(None)
        found = self.ends(denoiser, ParallelMidpoint(nodes), 1)
        error, stats = self.errors(found.x), jax.tree.map(np.asarray, found.stats)
        far = error > 0.03 * float(jnp.sqrt(jnp.mean(denoiser.calibration.variance)))
        more = {"converged": float(stats["converged"].mean()), "beyond 3 %": int((far & stats["converged"]).sum())}
        more |= {"largest residual": float(stats["residual"].max()), "largest error": float(error.max())}
        yield (
            row(f"ParallelMidpoint({nodes})", float(stats["rounds"].mean()), error, stats["evaluations"].mean()) | more
        )

    def window(self, name: str, of: Window) -> Iterator[dict[str, Any]]:
        """Every round of one window."""
        denoiser = self.calibrated(of.basis)
        draft = of.draft(denoiser) if of.draft else None
        most = self.options.rounds if draft is not None else self.options.without
        sampler = EveryRound(of.nodes, secants=of.secants, surrogate=draft)
        found = self.ends(denoiser, sampler, most, save_every=1)
        share = 0.0 if draft is None else operations(draft, self.start.shape[1:]) / self.cost
        for k in range(1, most + 1):
            calls = share * (1 + (k + 1) * of.nodes)
            change = np.asarray(found.stats["residual"])[:, k - 1]
            more = {"median change": float(np.median(change)), "95 % change": float(np.quantile(change, 0.95))}
            yield row(name, k, self.errors(found.path[:, k]), k * of.nodes + calls) | more


def row(name: str, rounds: float, error: np.ndarray, arithmetic: float) -> dict[str, Any]:
    """The errors after some rounds."""
    quantiles = {part: float(np.quantile(error, q)) for part, q in (("median", 0.5), ("95 %", 0.95))}
    return {
        "sampler": name,
        "rounds": rounds,
        **quantiles,
        "worst": float(error.max()),
        "arithmetic": float(arithmetic),
    }


def summary(runs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """For each sampler the fewest rounds within 1e-2 and 1e-3, and the arithmetic of the last."""
    rows = []
    for name in dict.fromkeys(run["sampler"] for run in runs):
        own, found = [run for run in runs if run["sampler"] == name], {"sampler": name}
        for target in (1e-2, 1e-3):
            for part in ("median", "95 %"):
                within = [run for run in own if run[part] <= target]
                best = min(within, key=lambda run: run["rounds"], default=None)
                found[f"{target:g}, {part}"] = (
                    "-" if best is None else f"{best['rounds']:.3g} ({best['arithmetic']:.0f})"
                )
        rows.append(found)
    return rows


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--data", default="digits", help="digits, photos, or data as `jaxsamp train` takes them")
    parser.add_argument("--train-steps", type=int, default=1000)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--folder", type=Path, help="of the networks; training that was stopped goes on")
    parser.add_argument("--basis", default="pca", help="of the calibration")
    parser.add_argument("--drafts", type=int, nargs="*", default=DRAFTS, help="channels")
    parser.add_argument("--distill", type=int, nargs="*", default=(8,), help="channels of distilled drafts")
    parser.add_argument("--distill-steps", type=int, help="by default as many as of the network")
    parser.add_argument("--seed", type=int, default=0, help="of the networks, the drafts and the starts")
    parser.add_argument("--starts", type=int, default=64)
    parser.add_argument("--without", type=int, default=10, help="rounds without a draft")
    parser.add_argument("--rounds", type=int, default=6, help="rounds with a draft")
    parser.add_argument("--limits", action="store_true", help="other nodes, secants and curves without a draft")
    parser.add_argument("--into", action="store_true", help="keep what the JSON has")
    options = parser.parse_args()
    bench, title = Bench(options), f"U-Net of {CHANNELS} channels, {options.data}: fewest rounds (calls of the network)"
    seed = f"_seed{options.seed}" if options.seed else ""
    path = options.results / f"image_networks{'_limits' * options.limits}{seed}.json"
    runs = json.loads(path.read_text())["runs"] if options.into and path.exists() else []
    parts: dict[str, Any] = {}
    if not options.limits:
        parts = {"UniPC3": bench.sequential}
        parts |= {f"ParallelMidpoint({n})": partial(bench.by_itself, n) for n in (32, 64)}
    parts |= {name: partial(bench.window, name, of) for name, of in windows(bench.net, options).items()}
    for name, part in parts.items():
        if name in {run["sampler"] for run in runs}:
            continue
        for run in part():
            runs.append(run)
            print({key: round(v, 6) if isinstance(v, float) else v for key, v in run.items()}, flush=True)
        write(path, about(title, options, ("flax", "optax")) | {"rows": summary(runs), "runs": runs})
    show(title, summary(runs))


if __name__ == "__main__":
    main()
