"""Laws of spins by name and in files, and samples of spins in files."""

from pathlib import Path
from typing import Any

import numpy as np

from jaxsamp import discrete
from jaxsamp.core import checks
from jaxsamp.core.types import Array
from jaxsamp.datasets.files import FILES, arrays, check_exists, parted, read_file
from jaxsamp.discrete.rbm import Scaled


def _mrf(members: np.ndarray, weights: np.ndarray, n: np.ndarray) -> discrete.MRF:
    return discrete.MRF.from_arrays(members, weights, int(n))


# How each file holds a law: the arrays of it, and what makes it of them.
STORED: dict[str, tuple[tuple[str, ...], Any]] = {
    "Ising": (("couplings", "fields"), discrete.Ising),
    "SparseIsing": (("edges", "weights", "fields"), discrete.SparseIsing),
    "MRF": (("members", "weights", "n"), _mrf),
    "RBM": (("weights", "visible", "hidden"), discrete.RBM),
}
SETTINGS = ("size", "dim", "beta", "field")
# Laws by name: what makes them of a key and settings, and the settings that they take.
INSTANCES: dict[str, tuple[Any, tuple[str, ...]]] = {
    "sk": (lambda key, size, beta: discrete.sk(key, size, beta), ("size", "beta")),
    "p-spin": (lambda key, size, beta: discrete.p_spin(key, size, beta), ("size", "beta")),
    "lattice": (lambda key, **given: discrete.lattice(**given), SETTINGS),
    "edwards-anderson": (discrete.edwards_anderson, ("size", "dim", "beta")),
    "curie-weiss": (lambda key, size, beta, field: discrete.curie_weiss(size, beta, field), ("size", "beta", "field")),
}
DEFAULTS = {"size": 16, "dim": 2, "beta": 0.4, "field": 0.0}


def spin_law(key: Array, model: str | Path, **settings: Any) -> Any:
    """A law of spins by name or from a file that `save_spin_law` wrote.

    Args:
        key: a typed key; draws random couplings.
        model: "sk", "p-spin", "lattice", "edwards-anderson", "curie-weiss", or an .npz file.
        **settings: `size` (16; of lattices and edwards-anderson the side), `dim` (2), `beta` (0.4) and `field` (0), as
            the functions of `jaxsamp.discrete` take them; None for a default. A file takes `beta` alone, which
            multiplies its exponent.

    Raises:
        ValueError: there is no such law, it does not take a setting, or the file does not hold one.
    """
    given = {name: value for name, value in settings.items() if value is not None}
    if str(model) not in INSTANCES and (Path(model).suffix.lower() in FILES or Path(model).exists()):
        _refuse(given, ("beta",), str(model))
        law = load_spin_law(model)
        return law.scaled(given["beta"]) if "beta" in given else law
    make, takes = INSTANCES[checks.one_of("model, where no such file exists,", str(model), INSTANCES)]
    _refuse(given, takes, str(model))
    return make(key, **{name: given.get(name, DEFAULTS[name]) for name in takes})


def save_spin_law(law: Any, path: str | Path) -> None:
    """Write the arrays of a law of `jaxsamp.discrete` as an .npz file, and `beta`, if it is a power of an RBM.

    Raises:
        TypeError: the law is another one.
    """
    powers: dict[str, Any] = {}
    if isinstance(law, Scaled):
        law, powers = law.law, {"beta": np.asarray(law.beta)}
    kind = type(law).__name__
    if kind not in STORED or not isinstance(law, discrete.SpinLaw):
        raise TypeError(f"law must be one of jaxsamp.discrete; got a {kind}.")
    stored: dict[str, Any] = {name: np.asarray(getattr(law, name)) for name in STORED[kind][0]}
    np.savez(path, **stored, **powers)


def load_spin_law(path: str | Path) -> Any:
    """The law in an .npz file of `couplings` and `fields`; of `edges`, `weights` and `fields`; of `members`, `weights`
    and `n`; or of `weights`, `visible` and `hidden`.

    Raises:
        ValueError: there is no such file, or it holds no valid law.
    """  # fmt: skip
    check_exists(Path(path), "model")
    for names, make in STORED.values():
        stored = arrays(Path(path), names)
        if len(stored) == len(names):
            try:
                law = make(*(stored[name] for name in names))
            except ValueError as error:
                raise ValueError(f"model must be a valid law of spins; {path} is not: {error}") from error
            powers = arrays(Path(path), ("beta",))
            return law.scaled(float(powers["beta"])) if powers else law
    every = "; ".join(", ".join(names) for names, _ in STORED.values())
    raise ValueError(f"model must be an .npz file with the arrays of a law ({every}); {path} has none of these sets.")


def load_spins(data: str | Path) -> np.ndarray:
    """The samples (m, n) in a .npy or .npz file, as they are: of -1 and +1, or of 0 and 1.

    Raises:
        ValueError: there is no such file, or it holds no table of numbers.
    """
    check_exists(parted(Path(data))[0], "data")
    x = read_file(Path(data))
    if x.ndim < 2 or x.dtype.kind not in "fiub":
        raise ValueError(f"data must hold spins of shape (m, n); {data} holds shape {x.shape} of {x.dtype}.")
    return x.reshape(len(x), -1)


def load_labeled_spins(data: str | Path, labels: str | Path | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Samples (m, n) and their labels (m,): of an .npz file with both, such as x and y, or of two files.

    Raises:
        ValueError: there is no such file, it holds no table of numbers, or labels are missing or no numbers (m,).
    """
    x = load_spins(data)
    if labels is None:
        y = read_file(Path(data), labels=True)[1]
        if y is None:
            raise ValueError(f"data must hold labels y (m,) beside x, or labels be given; {data} holds none.")
    else:
        check_exists(parted(Path(labels))[0], "labels")
        y = read_file(Path(labels), "labels")
    y = np.asarray(y)
    if y.shape != (len(x),) or y.dtype.kind not in "fiub":
        raise ValueError(
            f"labels must be {len(x)} numbers, one for each row of data; got {y.dtype} of shape {y.shape}."
        )
    return x, y


def _refuse(given: dict[str, Any], takes: tuple[str, ...], model: str) -> None:
    for name, value in given.items():
        if name not in takes:
            raise ValueError(f"{name} must be left out for model {model}, which takes {', '.join(takes)}; got {value}.")
