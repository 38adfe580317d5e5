"""What the comparisons with other libraries rest on: one denoiser and one flow for everyone."""

import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxsamp.schedules import VarianceExploding

sys.path.append(str(Path(__file__).parents[1] / "benchmarks"))
import common  # noqa: E402
import peers  # noqa: E402


@pytest.mark.parametrize("sigma", [80.0, 1.0, 0.02])
def test_denoiser_is_that_of_g64(x64, sigma):
    x = peers.MEANS + sigma * np.random.default_rng(0).standard_normal((5, 64))
    exact = jax.jit(common.g64().posterior_mean)(x, VarianceExploding().at(sigma))
    np.testing.assert_allclose(jax.jit(peers.denoise)(x, sigma), exact, atol=1e-10)


@pytest.mark.parametrize("alpha", [1.0, 0.3])
def test_torch_runs_the_same_denoiser(x64, alpha):
    torch = pytest.importorskip("torch")
    import vs_torch

    x = np.random.default_rng(0).standard_normal((7, 64))
    theirs = vs_torch.mixture(torch.float64)(torch.tensor(alpha * x), alpha, 0.5 * alpha)
    np.testing.assert_allclose(theirs.numpy(), peers.denoise(jnp.asarray(x), 0.5), atol=1e-12)


def test_general_ode_solver_finds_the_same_flow(x64):
    diffrax = pytest.importorskip("diffrax")
    field = diffrax.ODETerm(lambda lam, x, _: peers.denoise(x, jnp.exp(-lam)) - x)
    span, start = (-np.log(peers.HIGH), -np.log(peers.LOW)), jnp.asarray(peers.starts(4), float)
    control = diffrax.PIDController(rtol=1e-9, atol=1e-10)
    run = jax.jit(lambda x: diffrax.diffeqsolve(field, diffrax.Dopri8(), *span, None, x, stepsize_controller=control))
    np.testing.assert_allclose(run(start).ys[0], peers.converged(4), atol=1e-6)


def test_search_finds_the_cheapest_setting_that_reaches():
    errors = {steps: 1.0 / steps for steps in range(1, 100)}
    exact = np.zeros((2, 64))
    solver = peers.Solver(lambda steps, init, dtype: lambda: (np.full((2, 64), errors[steps]), steps), range(1, 100))
    index, distance = peers.cheapest(solver, exact, "float64", 0.03)
    assert solver.settings[index] == 34 and distance == pytest.approx(1 / 34)
    assert peers.cheapest(solver, exact, "float64", 1e-9)[0] == 98


def test_missing_package_is_one_sentence(capsys):
    assert peers.optional("no_such_package.inner") is None
    assert capsys.readouterr().out.count("\n") == 1 and "no_such_package" in peers.MISSING
    del peers.MISSING["no_such_package"]
