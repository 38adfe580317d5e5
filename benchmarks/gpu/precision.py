"""Are densities, scores, distances and clocks in full float32 on the device?

NVIDIA's default for float32 products is TF32, which rounds the factors to ten bits, 5e-4 of each. Every product that
feeds a logit, a density, a distance or a step asks for more. Each value in float32 on the device is compared with
float64 on the CPU from the same numbers: the largest difference over the largest value. It passes within ten times what
float32 on the CPU gives, or 1e-5 where that is less. The last row is a plain product, for comparison: what the others
would be without care.
"""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import jaxsamp as js
from gpu.clock import Clock
from jaxsamp.calibration import from_curve
from jaxsamp.calibration.bases import Orthogonal
from jaxsamp.metrics import energy_distance, frechet_distance, mmd_distance, sliced_wasserstein
from jaxsamp.metrics.rao_scores import BLOCKS, components_of, score
from jaxsamp.metrics.truth import Truth

TITLE = "float32 on the device against float64 on a CPU"
SECONDS = 60.0
LEVEL = js.Level(np.float32(0.8), np.float32(0.6))
K, D, N, POINTS = 5, 64, 128, 16  # few points in distances, so that rounding does not average out
METHODS = ("log_prob", "responsibilities", "score", "posterior_mean", "posterior_covariance", "laplacian")
LEAST, SLACK = 1e-5, 10.0
PLAIN = "a plain product"

Case = tuple[Callable[..., Any], Any]  # arguments -> name: value; compiled unless it ends on the host


@jax.jit
def _mixture(law: Any, x: Any) -> dict[str, Any]:
    values = {name: getattr(law, name)(x, LEVEL) for name in METHODS}
    return values | {"hessian_vector": law.hessian_vector(x, x[::-1], LEVEL)}


@jax.jit
def _empirical(law: Any, x: Any, level: Any) -> dict[str, Any]:
    return {"log_prob": law.log_prob(x, level), "posterior_mean": law.posterior_mean(x, level)}


@jax.jit
def _calibration(held: Any, x: Any) -> dict[str, Any]:
    lam = jnp.linspace(-3, 3, 9).astype(x.dtype)
    return {
        "into": jax.vmap(held.basis.into)(x),
        "out_of": jax.vmap(held.basis.out_of)(x),
        "clock": jax.vmap(held.frame.clock_delta)(lam[:-1], lam[1:]),
    }


@jax.jit
def _plain(x: Any) -> dict[str, Any]:
    return {"at the default precision": x @ x.T}


def _rao(law: Any, x: Any) -> dict[str, Any]:
    components = components_of(Truth(law, LEVEL))
    return {block: score(block, components, x) for block in BLOCKS}


def _distances(x: Any, y: Any, theta: Any) -> dict[str, Any]:
    return {
        "energy": energy_distance(x, y),
        "mmd": mmd_distance(x, y, 3.0),
        "sliced": sliced_wasserstein(x, y, theta),
        "frechet, on the host": frechet_distance(x, y),
    }


def cases() -> dict[str, Case]:
    """Functions, and their arguments in float32."""
    rng = np.random.default_rng(0)
    full = js.targets.GaussianMixture.random(jax.random.key(0), K, D)
    weights, means = np.asarray(full.weights, float), np.asarray(full.means)
    mixtures = {
        "full": full,
        "diagonal": js.targets.GaussianMixture.diagonal(weights, means, rng.uniform(0.2, 1, (K, D))),
        "spherical": js.targets.GaussianMixture.spherical(weights, means, 0.5),
        "low rank": js.targets.GaussianMixture.low_rank(weights, means, rng.standard_normal((K, D, 4)) / 4, 0.3),
    }
    x, y = full.sample(jax.random.key(1), N), full.sample(jax.random.key(2), N)
    z = 0.8 * x + 0.6 * jax.random.normal(jax.random.key(3), x.shape)
    basis = Orthogonal(jnp.asarray(np.linalg.qr(rng.standard_normal((D, D)))[0], jnp.float32), (D,))
    curves = np.geomspace(0.9, 0.1, 12)[:, None] * np.linspace(0.6, 1, D)
    held = from_curve(np.linspace(-5, 5, 12), curves, mean=np.zeros(D), variance=np.ones(D), basis=basis)
    theta = rng.standard_normal((8, D))
    theta = jnp.asarray(theta / np.linalg.norm(theta, axis=1, keepdims=True), jnp.float32)
    # Two clusters, far apart beside their width: squares nearly cancel, which shows the rounding of products.
    apart = jnp.where(jnp.arange(POINTS) % 2, 2.0, -2.0)[:, None]
    clean = js.Level(np.float32(1), np.float32(0.01))
    return {
        **{f"mixture, {form}": (_mixture, (law, z)) for form, law in mixtures.items()},
        "empirical": (_empirical, (js.targets.Empirical(y, chunk=32), z, LEVEL)),
        "empirical, clean": (_empirical, (js.targets.Empirical(y, chunk=32), y + 0.01 * x, clean)),
        "calibration, pca": (_calibration, (held, x)),
        "Rao's test": (_rao, (full, z[:32])),
        "distance": (_distances, (0.3 * x[:POINTS] + apart, 0.3 * y[:POINTS] + apart + 0.1, theta)),
        PLAIN: (_plain, (x,)),
    }


def values(case: Case, device: Any, dtype: Any) -> dict[str, np.ndarray]:
    """The values of a case on a device, from the same numbers in this dtype."""
    function, arguments = case
    with jax.enable_x64(dtype == np.float64), jax.default_device(device):
        put = partial(jax.device_put, device=device)
        given = jax.tree.map(lambda leaf: put(_cast(leaf, dtype)), arguments)
        return {name: np.asarray(value, np.float64) for name, value in function(*given).items()}


def _cast(leaf: Any, dtype: Any) -> np.ndarray:
    leaf = np.asarray(leaf)
    return leaf.astype(dtype) if np.issubdtype(leaf.dtype, np.floating) else leaf


def judged(value: str, exact: np.ndarray, found: np.ndarray, on_cpu: np.ndarray) -> dict[str, Any]:
    """The row of a value: its error on the device, that on the CPU, and whether the first is within its bound."""
    error, there = (float(np.abs(got - exact).max() / np.abs(exact).max()) for got in (found, on_cpu))
    bound = max(LEAST, SLACK * there)
    passes = "yes" if error <= bound else "NO"
    return {"value": value, "error": error, "error on the CPU": there, "bound": bound, "passes": passes}


def rows(options: Any, clock: Clock) -> Iterator[dict[str, Any]]:
    """One row a value; a plain product is not asked to pass."""
    here, cpu = jax.devices()[0], jax.devices("cpu")[0]
    for group, case in cases().items():
        exact, there = values(case, cpu, np.float64), values(case, cpu, np.float32)
        found = there if here == cpu else values(case, here, np.float32)
        for name, want in exact.items():
            row = judged(f"{group}: {name}", want, found[name], there[name])
            yield row if group != PLAIN else row | {"passes": "-"}
        clock.check()
