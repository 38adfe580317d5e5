"""From a folder of photographs, one folder in it per class, to new ones of each class, without training.

The photographs are cut from two that scikit-learn brings, in all proportions; put your own folder in their place. The
names of the folders are the labels, every image becomes one of 8 x 12 pixels, and a mixture of Gaussians is fitted to
those of a class. A network of all classes is trained by a command:

    jaxsamp train --data photos --labels --image-size 8 12 --out runs/photos && jaxsamp sample --checkpoint runs/photos
"""

import tempfile
from pathlib import Path

import jax
import numpy as np
from PIL import Image
from sklearn.datasets import load_sample_images

import jaxsamp as js

OUT = Path("runs/examples")
SCHEDULE, EACH, KEPT, NEW, SIZE = js.schedules.VarianceExploding(), 200, 150, 40, (8, 12)


def photographs(folder):
    """Write pieces of two photographs to FOLDER/temple and FOLDER/flower."""
    random = np.random.default_rng(0)
    for name, photo in zip(("temple", "flower"), load_sample_images().images, strict=True):
        (folder / name).mkdir()
        for i in range(EACH):
            height, width = random.integers(100, 300, 2)
            top, left = random.integers(len(photo) - height), random.integers(photo.shape[1] - width)
            Image.fromarray(photo[top : top + height, left : left + width]).save(folder / name / f"{i:03}.jpg")


def main():
    with tempfile.TemporaryDirectory() as folder:
        photographs(Path(folder))
        images, names = js.datasets.read_folder(folder, SIZE, labels=True)
    print(f"{len(images)} images {images.shape[1:]} from {images.min():.1f} to {images.max():.1f}")
    new, table, for_samples = [], np.unique(names), jax.random.key(0)
    for name in table:
        own = images[names == name].reshape(EACH, -1)
        law = js.learning.fit_gaussian_mixture(own[:KEPT], components=3, reg_covar=1e-3)
        x = js.sample(for_samples, law.denoiser(SCHEDULE), (NEW, own.shape[1]), steps=24).x
        copies = js.metrics.memorization(x, own[:KEPT], own[KEPT:])
        print(f"{name}: {copies.value:.0%} of new ones are copies; of real ones, at most {copies.null_high:.0%}")
        new.append(np.asarray(x).reshape(-1, *images.shape[1:]))
    OUT.mkdir(parents=True, exist_ok=True)
    for what, shown, labels in (("new", np.concatenate(new), np.repeat(table, NEW)), ("real", images, names)):
        js.plots.save(js.plots.grid(shown, labels=labels, limits=(-1, 1)), OUT / f"17_{what}.png")


if __name__ == "__main__":
    main()
