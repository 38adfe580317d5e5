"""Short runs of `jaxsamp train`, and what they leave."""

import jax
import numpy as np

import jaxsamp as js

SMALL = ("--network", "mlp", "--width", "16", "--depth", "1", "--batch-size", "16")
RUN = (*SMALL, "--steps", "8", "--checkpoint-every", "3", "--report-every", "2", "--ema", "0.5", "--samples-every", "0")


def weights(folder, ema=True):
    return jax.tree.leaves(js.training.load_weights(folder, ema))


def assert_same_weights(a, b):
    for ema in (True, False):
        assert all(np.array_equal(x, y) for x, y in zip(weights(a, ema), weights(b, ema), strict=True))
