"""Packages that may be missing: in Python too, the error is one sentence that says how to install them."""

import ast
import json
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from jaxsamp.core.extras import OPTIONAL, needed

ROOT = Path(__file__).parents[2]
DOORS = {  # per call: the beginning of the sentence
    "js.fit": 'jaxsamp.training needs optax, which is not installed: pip install "jaxsamp[train]".',
    "js.models.MLP": 'jaxsamp.models needs flax, which is not installed: pip install "jaxsamp[train]".',
    "js.plots": 'jaxsamp.plots needs matplotlib, which is not installed: pip install "jaxsamp[cli]".',
    "js.learning.fit_gaussian_mixture(np.zeros((9, 2)), 2)": "fit_gaussian_mixture needs scikit-learn, which is not "
    'installed: pip install "jaxsamp[cli]".',
    "js.learning.DDPMGaussianMixture": "jaxsamp.learning.DDPMGaussianMixture needs scikit-learn, which is not "
    'installed: pip install "jaxsamp[cli]".',
    "js.learning.PiecewisePolynomialScore": "jaxsamp.learning.PiecewisePolynomialScore needs scikit-learn, which is "
    'not installed: pip install "jaxsamp[cli]".',
    "js.learning.fit_rbm": "jaxsamp.learning.fit_rbm needs optax, which is not installed: "
    'pip install "jaxsamp[train]".',
    "js.learning.JuntaSelector": "jaxsamp.learning.JuntaSelector needs scikit-learn, which is not installed: "
    'pip install "jaxsamp[cli]".',
    "js.learning.SpinRegressor": "jaxsamp.learning.SpinRegressor needs scikit-learn, which is not installed: "
    'pip install "jaxsamp[cli]".',
    "js.supervised.fit_attention(KEY, np.ones((4, 2, 1)), np.ones((4, 2, 1)), 1)": "fit_attention needs optax, which "
    'is not installed: pip install "jaxsamp[train]".',
    "js.supervised.SmoothedPolynomialClassifier": "jaxsamp.supervised.SmoothedPolynomialClassifier needs scikit-learn, "
    'which is not installed: pip install "jaxsamp[cli]".',
    "js.supervised.fit_smooth(np.eye(20), np.where(np.arange(20) % 2, 1, -1), 0.1)": "fit_smooth needs "
    'scikit-learn, which is not installed: pip install "jaxsamp[cli]".',
    "js.supervised.ReLUNetRegressor": "jaxsamp.supervised.ReLUNetRegressor needs scikit-learn, which is not installed: "
    'pip install "jaxsamp[cli]".',
    "js.sample_density(KEY, NORMAL, (2, 1), js.mcmc.NUTS())": "NUTS needs blackjax, which is not installed: "
    'pip install "jaxsamp[mcmc]".',
    "js.sparameters.read('x.npy')": 'read needs scikit-rf, which is not installed: pip install "jaxsamp[rf]".',
    "js.datasets.digits()": 'digits needs scikit-learn, which is not installed: pip install "jaxsamp[cli]".',
    "js.datasets.read_folder('.', 8)": 'an image needs pillow, which is not installed: pip install "jaxsamp[cli]".',
    "js.datasets.folder('.', 8)": 'an image needs pillow, which is not installed: pip install "jaxsamp[cli]".',
    "js.datasets.memory_mapped('x.npy')[0]": "a data set on disk needs grain, which is not installed: "
    'pip install "jaxsamp[data]".',
    "js.datasets.hugging_face('x')": "hugging_face needs datasets, which is not installed: pip install datasets.",
    "js.Chains(None, np.zeros((2, 9, 1)), {}).summary()": "to_arviz needs arviz-base, which is not installed: "
    'pip install "jaxsamp[chains]".',
    "js.Chains(None, np.zeros((2, 9, 1)), {}).rhat()": "a diagnostic needs arviz-stats, which is not installed: "
    'pip install "jaxsamp[chains]".',
}
LATE = (
    "estimator",
    "ddpm_mixture",
    "ddpm_students",
    "junta_selector",
    "piecewise",
    "rbm_estimator",
    "rbm_steps",
    "smooth_estimator",
    "relu_estimator",
    "spins_estimator",
)  # modules that `jaxsamp.learning` and `jaxsamp.supervised` load when asked for
PROGRAM = """
import json, sys
sys.modules.update(dict.fromkeys(sys.argv[1].split()))
import jax
import numpy as np
import jaxsamp as js
KEY = jax.random.key(0)
NORMAL = js.targets.GaussianMixture([1.0], [[0.0]], [np.eye(1)])
np.save("x.npy", np.zeros((4, 2)))
open("photo.png", "w").close()
said = {}
for door in json.loads(sys.argv[2]):
    try:
        eval(door)
    except ImportError as error:
        said[door] = str(error)
print(json.dumps(said))
"""


@pytest.fixture(scope="module")
def said(tmp_path_factory):
    """What each door says in one process in which no optional package can be imported."""
    program = [sys.executable, "-c", PROGRAM, " ".join(OPTIONAL), json.dumps([*DOORS])]
    environment = {"PYTHONPATH": f"{ROOT}:{ROOT / 'kernels'}", "PATH": "", "JAX_PLATFORMS": "cpu"}
    folder = tmp_path_factory.mktemp("bare")
    run = subprocess.run(program, cwd=folder, env=environment, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout)


@pytest.mark.parametrize("door", DOORS)
def test_a_missing_package_is_a_sentence_with_the_way_to_install_it(said, door):
    assert said.get(door) == DOORS[door]


def test_a_missing_package_is_still_what_python_calls_it():
    with pytest.raises(ModuleNotFoundError, match="^it needs optax, which") as caught, needed("it"):
        raise ModuleNotFoundError("No module named 'optax'", name="optax")
    assert caught.value.name == "optax"


def test_modules_that_are_not_optional_keep_their_error():
    with pytest.raises(ModuleNotFoundError, match="^No module named 'jaxsamp.nothing'$"), needed("it"):
        import jaxsamp.nothing  # noqa: F401  (what is not there)


def test_every_optional_package_is_in_the_extra_that_is_named():
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    names = {extra: {Requirement(line).name for line in lines} for extra, lines in extras.items()}
    for package, extra in OPTIONAL.values():
        assert extra is None or package in names[extra], package


@pytest.mark.parametrize("path", sorted((ROOT / "jaxsamp").rglob("*.py")), ids=lambda path: path.stem)
def test_every_import_of_an_optional_package_is_explained(path):
    tree = ast.parse(path.read_text())
    room = path.relative_to(ROOT / "jaxsamp").parts[0]
    explained = room == "cli"  # which turns the error of any import into its own sentence
    top = tree.body if room in ("models", "plots", "training") or path.stem in LATE else []  # whose __init__ explains
    within = [block for block in ast.walk(tree) if isinstance(block, ast.With)]
    within = [block for block in within if ast.unparse(block.items[0]).startswith("extras.needed(")]
    safe = {*map(id, top), *(id(node) for block in within for node in block.body)}
    for node in ast.walk(tree):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        optional = [name for name in names if name.partition(".")[0] in OPTIONAL]
        assert not optional or explained or id(node) in safe, optional
