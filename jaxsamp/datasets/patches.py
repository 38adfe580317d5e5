"""Small patches of scikit-learn's two photographs."""

import numpy as np

from jaxsamp.core import extras

BLOCK, PATCH, HEIGHT = 64, 8, 427  # sides of a block and a patch by default, and height of the photographs, in pixels
MIN_STD = 0.15  # of a patch that is kept: flat ones, such as the sky, are left out
TRAINING_SHARE = 0.7  # of the blocks


def photo_patches(
    seed: int = 0, stride: int = PATCH, block: int = BLOCK, size: int = PATCH
) -> tuple[np.ndarray, np.ndarray]:
    """Training and test patches, (n, size, size), gray in [-1, 1], with a standard deviation above 0.15.

    1,281 and 756 of them with the default settings.

    The photographs are cut into square blocks, which are shuffled and split 70 / 30 before they are cut into
    patches, so that no test patch borders on a training patch inside a block.

    Args:
        seed: of the split.
        stride: distance of neighboring patches in pixels, from 1 to `size`; below `size` they overlap.
        block: side of the blocks in pixels, from `size` to 427. Smaller blocks make the two parts more alike.
        size: side of the patches in pixels, from 2 to 427.

    Raises:
        ValueError: `stride`, `block` or `size` is out of range.
    """
    if not 2 <= size <= HEIGHT:
        raise ValueError(f"size must be from 2 to {HEIGHT}; got {size}.")
    if not 1 <= stride <= size:
        raise ValueError(f"stride must be from 1 to {size}; got {stride}.")
    if not size <= block <= HEIGHT:
        raise ValueError(f"block must be from {size} to {HEIGHT}; got {block}.")
    with extras.needed("photo_patches"):
        from sklearn.datasets import load_sample_images

    blocks = np.concatenate([_cut(image.mean(-1) / 127.5 - 1, block, block) for image in load_sample_images().images])
    blocks = blocks[np.random.default_rng(seed).permutation(len(blocks))]
    split = round(TRAINING_SHARE * len(blocks))
    return _patches(blocks[:split], stride, size), _patches(blocks[split:], stride, size)


def _cut(image: np.ndarray, size: int, stride: int) -> np.ndarray:
    """Whole squares of an image, (n, size, size); what is left at the edges is dropped."""
    windows = np.lib.stride_tricks.sliding_window_view(image, (size, size))[::stride, ::stride]
    return windows.reshape(-1, size, size)


def _patches(blocks: np.ndarray, stride: int, size: int) -> np.ndarray:
    patches = np.concatenate([_cut(block, size, stride) for block in blocks])
    return patches[patches.std((1, 2)) > MIN_STD].astype(np.float32)
