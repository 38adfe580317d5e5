"""Rounds of a U-Net on images of 28 x 28, trained in this run: the network that people have, in small.

Scikit-learn's digits, enlarged by cubic interpolation and clipped to their range; `--data photos` takes gray patches of
its two photographs instead, and any other name, file or folder is read as `jaxsamp train --data` does. The U-Net has 16
channels. Calibrated on held-out images. Training continues from `--folder`, where a finished network is only loaded.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from common import arguments

import jaxsamp as js
from jaxsamp import recipes
from jaxsamp.datasets import digits, photo_patches

SIDE, CHANNELS = 28, 16
DRAFTS = (8, 6, 4)  # channels
SCHEDULE = js.schedules.VarianceExploding()


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


def options_of(doc: str | None) -> Any:
    """A parser with the settings of training."""
    parser = arguments(doc)
    parser.add_argument("--data", default="digits", help="digits, photos, or data as `jaxsamp train` takes them")
    parser.add_argument("--train-steps", type=int, default=1000)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--folder", type=Path, help="of the networks; training that was stopped goes on")
    return parser


def main() -> None:
    options = options_of(__doc__).parse_args()
    train, _ = images(options.data)
    for channels in (CHANNELS, *DRAFTS):
        trained(channels, train, options)


if __name__ == "__main__":
    main()
