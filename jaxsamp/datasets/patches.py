"""Small patches of scikit-learn's two photographs."""

import numpy as np

from jaxsamp.core import extras

BLOCK, PATCH = 64, 8  # sides, in pixels
MIN_STD = 0.15  # of a patch that is kept: flat ones, such as the sky, are left out
TRAINING_SHARE = 0.7  # of the blocks


def photo_patches(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Training and test patches, (n, 8, 8), gray in [-1, 1], with a standard deviation above 0.15.

    The photographs are cut into 64-pixel blocks, which are shuffled and split 70 / 30 before they are cut into
    patches, so that no test patch borders on a training patch inside a block.
    """
    with extras.needed("photo_patches"):
        from sklearn.datasets import load_sample_images

    blocks = np.concatenate([_cut(image.mean(-1) / 127.5 - 1, BLOCK) for image in load_sample_images().images])
    blocks = blocks[np.random.default_rng(seed).permutation(len(blocks))]
    split = round(TRAINING_SHARE * len(blocks))
    return _patches(blocks[:split]), _patches(blocks[split:])


def _cut(image: np.ndarray, size: int) -> np.ndarray:
    """Whole squares of an image, (n, size, size); what is left at the edges is dropped."""
    height, width = (side // size for side in image.shape)
    squares = image[: height * size, : width * size].reshape(height, size, width, size)
    return squares.swapaxes(1, 2).reshape(-1, size, size)


def _patches(blocks: np.ndarray) -> np.ndarray:
    patches = np.concatenate([_cut(block, PATCH) for block in blocks])
    return patches[patches.std((1, 2)) > MIN_STD].astype(np.float32)
