"""How long does a network of diffusers take to load, and how much memory at most?

A U-Net of 100 million weights in one file, and the same file read by safetensors.numpy.load_file with one copy of each
tensor in Flax's order of axes, in turn; the median of five. The peak is that of a process that loads the network and
nothing else, above what it held before, with the pages of the mapped file counted, over the size of the file.
"""

import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from common import arguments, interleaved, ratio, report
from peers import high_water
from safetensors.numpy import load_file

import jaxsamp as js
from jaxsamp.models.diffusers import UNet2DModel

SCHEDULER = {"_class_name": "DDIMScheduler"}
AXES = {4: (2, 3, 1, 0), 2: (1, 0)}
BLOCKS = {
    "down_block_types": ("DownBlock2D", "DownBlock2D", "AttnDownBlock2D", "DownBlock2D"),
    "up_block_types": ("UpBlock2D", "AttnUpBlock2D", "UpBlock2D", "UpBlock2D"),
}


def network(width):
    return UNet2DModel(sample_size=32, block_out_channels=(width, 2 * width, 2 * width, 4 * width), **BLOCKS)


def save(folder, width):
    """A network with random weights; returns how many."""
    made, random = network(width), np.random.default_rng(0)
    shapes = jax.eval_shape(made.init, jax.random.key(0), jnp.zeros((1, 8, 8, 3)), jnp.zeros(1, int))["params"]
    params = jax.tree.map(lambda leaf: random.standard_normal(leaf.shape, np.float32), shapes)
    js.models.save_pretrained(folder, made, params, SCHEDULER)
    return sum(leaf.size for leaf in jax.tree.leaves(shapes))


def bare(folder):
    """The file alone, and one copy of each tensor with its axes turned."""
    tensors = load_file(folder / "diffusion_pytorch_model.safetensors")
    turned = [np.ascontiguousarray(a.transpose(AXES[a.ndim])) if a.ndim in AXES else a for a in tensors.values()]
    return len(turned)


def resident():
    """Bytes that this process holds now."""
    with open("/proc/self/status") as status:
        return 1024 * int(next(line for line in status if line.startswith("VmRSS")).split()[1])


def main():
    parser = arguments(__doc__)
    parser.add_argument("--width", type=int, default=160, help="channels at the finest resolution")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--weigh", type=Path, help="load this folder, print the peak in bytes and stop")
    options = parser.parse_args()
    if options.weigh:
        jnp.zeros(1).block_until_ready()
        before = resident()
        jax.block_until_ready(js.models.pretrained(options.weigh).params)
        print(high_water() - before)
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        count, size = save(folder, options.width), (folder / "diffusion_pytorch_model.safetensors").stat().st_size
        calls = {
            "load_file and a copy": lambda: bare(folder),
            "pretrained": lambda: js.models.pretrained(folder).params,
        }
        seconds = interleaved(calls, options.repeats)
        command = [sys.executable, sys.argv[0], "--weigh", name]
        peak = int(
            subprocess.run(command, check=True, capture_output=True, text=True, env=os.environ).stdout.split()[-1]
        )
    rows = [
        {
            "way": way,
            "weights / 10^6": count / 1e6,
            "file MB": size / 1e6,
            "seconds": statistics.median(taken),
            "over the bare one": ratio(taken, seconds["load_file and a copy"]),
            "peak over file": peak / size if way == "pretrained" else None,
        }
        for way, taken in seconds.items()
    ]
    report("load_pretrained", "Loading a network of diffusers", rows, options, ["safetensors"], seconds=seconds)


if __name__ == "__main__":
    main()
