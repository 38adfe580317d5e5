"""Packages that may be missing: which extra of jaxsamp brings each, and the sentence that says how to install it."""

from collections.abc import Iterator
from contextlib import contextmanager

OPTIONAL = {  # per module: the package, and the extra that brings it, if one does
    "arviz_base": ("arviz-base", "chains"),
    "arviz_stats": ("arviz-stats", "chains"),
    "blackjax": ("blackjax", "mcmc"),
    "tyro": ("tyro", "cli"),
    "matplotlib": ("matplotlib", "cli"),
    "sklearn": ("scikit-learn", "cli"),
    "PIL": ("pillow", "cli"),
    "grain": ("grain", "data"),
    "flax": ("flax", "train"),
    "optax": ("optax", "train"),
    "orbax": ("orbax-checkpoint", "train"),
    "safetensors": ("safetensors", "train"),
    "skrf": ("scikit-rf", "rf"),
    "datasets": ("datasets", None),
    "huggingface_hub": ("huggingface-hub", None),
    "thrml": ("thrml", None),
    "tensorboardX": ("tensorboardX", None),
    "tensorflow_datasets": ("tensorflow-datasets", None),
}


@contextmanager
def needed(by: str) -> Iterator[None]:
    """Around imports of optional packages: if one is missing, the error is a sentence that begins with `by`.

    Raises:
        ModuleNotFoundError: a package is not installed; its `name` is that of the module.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        if (said := sentence(error, by)) is None:
            raise
        raise ModuleNotFoundError(said, name=error.name, path=error.path) from error


def sentence(error: ModuleNotFoundError, by: str, *extras: str) -> str | None:
    """How to install an optional package that `by` needs, with these extras too; None for any other module."""
    package, extra = OPTIONAL.get((error.name or "").partition(".")[0], (None, None))
    if package is None:
        return None
    install = package if extra is None else f'"jaxsamp[{",".join(sorted({extra, *extras}))}]"'
    return f"{by} needs {package}, which is not installed: pip install {install}."
