"""Restricted Boltzmann machines learned from samples."""

import inspect
import shutil
import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.optimize import minimize

import jaxsamp as js
from jaxsamp.learning import rbm as door
from jaxsamp.learning import rbm_steps as steps
from jaxsamp_kernels import hermite
from tests.discrete.rbms import rbm7, rbm9

fit = inspect.unwrap(js.learning.fit_rbm)
SMALL = {"steps": 4, "batch_size": 256, "chains": 256, "sweeps": 3, "temperatures": 4}


@pytest.fixture(scope="module")
def data():
    return np.asarray(rbm7().sample(jax.random.key(1), 2000))


def params(rbm):
    return {"weights": rbm.weights, "visible": rbm.visible, "hidden": rbm.hidden}


def test_the_gradient_from_chains_is_that_of_the_log_likelihood(key, data):
    # 20,000 chains that start from exact draws: every entry within 4.5 standard errors, a false alarm in 5,000 runs.
    rbm, x = rbm7(), jnp.asarray(data, float)
    chains = jax.jit(steps.moved)(key, params(rbm), rbm.sample(key, 20_000)[None].astype(float), 2)
    slope = jax.jit(jax.grad(steps._loss))
    chance, exact = (slope(params(rbm), x, None, drawn, 0.01) for drawn in (chains[0], None))
    for name in exact:
        assert np.abs(chance[name] - exact[name]).max() < 4.5 / np.sqrt(20_000), name


@pytest.mark.slow
def test_tempered_chains_have_the_law_of_each_temperature(key):
    # Exact draws at every temperature stay such through sweeps and exchanges; a wrong sign of these does not pass.
    rbm, n, move = rbm7().annealed(1.5), 10_000, jax.jit(steps.moved)
    beta = np.linspace(0, 1, 3)
    start = jnp.stack([rbm.annealed(b).sample(jax.random.fold_in(key, k), n) for k, b in enumerate(beta)])
    found = start.astype(float)
    for k in range(3):
        found = move(jax.random.fold_in(key, 10 + k), params(rbm), found, 1)
    for x, b in zip(found, beta, strict=True):
        moments = rbm.annealed(b).enumerate()
        assert np.abs(x.mean(0) - moments.mean).max() < 4.5 / np.sqrt(n)
        assert np.abs(x.T @ x / n - moments.second).max() < 4.5 / np.sqrt(n)


def test_the_exact_method_finds_the_law(key, data):
    # The best fit makes the samples at least as likely as the truth does.
    truth, found = rbm7(), fit(key, data, 3, "exact", steps=300, learning_rate=0.1, weight_decay=0)
    log_prob = jax.jit(lambda law, x: law.log_prob(x).mean())
    assert log_prob(found, data) > log_prob(truth, data) - 0.01
    p, q = (np.asarray(rbm.probabilities(), float) for rbm in (truth, found))
    assert p @ np.log(p / q) < 0.03


@pytest.mark.parametrize("method", ["pcd", pytest.param("tempered_pcd", marks=pytest.mark.slow), "cd"])
def test_chains_learn_the_law(key, data, method):
    found = fit(key, data, 3, method, **SMALL | {"steps": 150}, learning_rate=0.05)
    p, q = (np.asarray(rbm.probabilities(), float) for rbm in (rbm7(), found))
    independent = np.asarray(js.discrete.RBM(np.zeros((7, 1)), np.arctanh(data.mean(0))).probabilities(), float)
    assert p @ np.log(p / q) < 0.12 < 0.5 * p @ np.log(p / independent)


@pytest.mark.parametrize("method", ["pcd", "cd", "exact"])
def test_a_fit_is_a_function_of_its_key_however_it_is_cut(key, data, tmp_path, method):
    whole = fit(key, data, 3, method, **SMALL)
    fit(key, data, 3, method, **SMALL, checkpoint=tmp_path, checkpoint_every=3)
    shutil.rmtree(tmp_path / "4")  # the run was killed after its third step
    resumed = fit(key, data, 3, method, **SMALL, checkpoint=tmp_path, checkpoint_every=3, resume=True, progress=True)
    for a, b in zip(jax.tree.leaves(whole), jax.tree.leaves(resumed), strict=True):
        np.testing.assert_array_equal(a, b)
    with pytest.raises(ValueError, match="^checkpoint must be a folder without checkpoints, or give resume=True"):
        fit(key, data, 3, method, **SMALL, checkpoint=tmp_path)
    # Once more the first row: for "exact" the same states, in other shares.
    with pytest.raises(ValueError, match="is of another configuration: "):
        fit(key, np.concatenate([data, data[:1]]), 3, method, **SMALL, checkpoint=tmp_path, resume=True)


def test_other_settings_do_not_compile_anew(key, data):
    fit(key, data, 3, **SMALL)
    before = steps.advance._cache_size()
    fit(jax.random.key(1), data, 3, **SMALL | {"steps": 6, "sweeps": 3}, learning_rate=0.02, weight_decay=0.1)
    assert steps.advance._cache_size() == before


@pytest.mark.usefixtures("x64")
def test_the_regression_of_one_spin_has_the_degree_of_a_hidden_one_less_one():
    # Hidden spins with three neighbors: products of two others are enough for the population, one at a time are not.
    rbm, conditional_mean = rbm9(), jax.jit(lambda law, x: law.conditional_mean(x))
    x, p = np.asarray(js.discrete.states(9), float), np.asarray(rbm.probabilities())
    mean = np.asarray(conditional_mean(rbm, x))
    worst = {}
    for degree in (1, 2):
        errors, of = [], hermite.products(8, degree, distinct=True)
        expanded = jax.jit(lambda others, of=of: hermite.monomials(others, of))
        for i in range(9):
            features = np.asarray(expanded(np.delete(x, i, 1)))

            def loss(a, features=features, i=i):
                f = features @ a
                value = p @ np.logaddexp(0, -2 * x[:, i] * f)
                return value, features.T @ (p * (np.tanh(f) - x[:, i]))

            found = minimize(loss, np.zeros(features.shape[1]), jac=True, method="BFGS", options={"gtol": 1e-11})
            errors.append(p @ (np.tanh(features @ found.x) - mean[:, i]) ** 2)
        worst[degree] = max(errors)
    assert worst[1] == pytest.approx(3.03e-3, rel=2e-3) and worst[2] < 1e-15
    law = js.learning.fit_spins(x, 3, l1=0, weights=p).model  # terms of three spins, all spins at once
    assert (p @ (np.asarray(conditional_mean(law, x)) - mean) ** 2).max() < 1e-9


def test_zeros_and_ones_are_the_same_data(key, data):
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        found = fit(key, (data + 1) // 2, 3, **SMALL)
    assert "x is of 0 and 1" in str(said[0].message)
    np.testing.assert_array_equal(found.weights, fit(key, data, 3, **SMALL).weights)


def test_an_estimator_has_what_the_machine_knows(data):
    zero_one = (data + 1) // 2
    made = js.learning.RBMEstimator(3, method="exact", steps=5, random_state=0).fit(zero_one)
    assert made.get_params()["n_components"] == 3
    x = jnp.asarray(data[:5])
    np.testing.assert_allclose(made.score_samples(zero_one[:5]), made.rbm_.log_prob(x), rtol=1e-5)
    np.testing.assert_allclose(made.transform(zero_one[:5]), (1 + made.rbm_.hidden_mean(x)) / 2, rtol=1e-5)
    drawn = made.sample(6)
    assert drawn.shape == (6, 7) and set(np.unique(drawn)) <= {0, 1}
    np.testing.assert_array_equal(drawn, made.sample(6))
    assert made.bracket_ is None and made.score(zero_one) == pytest.approx(made.score_samples(zero_one).mean())


def test_an_estimator_makes_spins_of_measurements(data):
    measured = data * np.arange(1.0, 8) + np.arange(7)  # column i is i - (i + 1) or i + (i + 1)
    settings = {"method": "exact", "steps": 5, "random_state": 0}
    made = js.learning.RBMEstimator(3, binarize=np.arange(7), **settings).fit(measured)
    plain = js.learning.RBMEstimator(3, **settings).fit(data)
    np.testing.assert_array_equal(made.rbm_.weights, plain.rbm_.weights)
    np.testing.assert_array_equal(made.score_samples(measured[:5]), plain.score_samples(data[:5]))
    assert set(np.unique(made.sample(6))) == {-1, 1}
    assert made.get_feature_names_out().tolist() == ["rbmestimator0", "rbmestimator1", "rbmestimator2"]
    with pytest.raises(ValueError, match="^X must be of -1 and .1, or of 0 and 1, unless binarize is given; got 2"):
        js.learning.RBMEstimator(3, **settings).fit(2 * data)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_it_is_an_estimator_of_scikit_learn():
    from sklearn.utils.estimator_checks import check_estimator

    made = js.learning.RBMEstimator(3, steps=3, chains=8, batch_size=8, sweeps=1, binarize="median")
    found = check_estimator(made, on_fail=None)
    assert not {one["check_name"]: str(one["exception"])[:200] for one in found if one["status"] == "failed"}
    assert sum(one["status"] == "passed" for one in found) > 40


@pytest.mark.parametrize(
    ("options", "error", "sentence"),
    [
        ({"x": np.full((9, 3), 2)}, ValueError, r"^x must be of -1 and \+1, or of 0 and 1; got 2 in row 0"),
        ({"x": np.array([[1, 1], [-1, 1]])}, ValueError, "^x must vary in every column; column 1 is constant"),
        ({"method": "pdc"}, ValueError, "^method must be one of .* Did you mean 'pcd'"),
        ({"hidden": 0}, ValueError, "^hidden must be at least 1; got 0"),
        ({"steps": 1.5}, TypeError, "^steps must be an integer; got 1.5"),
        ({"learning_rate": 0}, ValueError, "^learning_rate must be positive and finite; got 0"),
        ({"weight_decay": -1}, ValueError, "^weight_decay must be at least 0 and finite; got -1"),
        (
            {"learning_rate": 1e38, "last_rate": 1e38},
            FloatingPointError,
            "^weights must stay finite; they did not in the",
        ),
        ({"key": 0}, TypeError, "^key must be a typed key"),
    ],
)
def test_bad_input_is_a_sentence(key, data, options, error, sentence):
    with pytest.raises(error, match=sentence):
        fit(**{"key": key, "x": data, "hidden": 3} | SMALL | options)


def test_exact_sums_have_a_limit(key, monkeypatch, data):
    monkeypatch.setattr(door, "MOST", 2)
    with pytest.raises(
        ValueError, match="^method must be 'pcd' for more than 2 spins and more than 2 hidden ones; got"
    ):
        fit(key, data, 3, "exact")
