"""Networks of few ReLUs: recovered exactly and with noise, their signs, what is merged, streams, and bad input."""

import tracemalloc
import warnings

import jax
import numpy as np
import pytest

from jaxsamp.supervised import ReLU, fit_relu, relu, relu_polish, relu_search

KEY = jax.random.key(0)


def network(x, w, a):
    return np.maximum(x @ w.T, 0) @ a


def unit(w):
    return w / np.linalg.norm(w, axis=1, keepdims=True)


def generic(rng, k, d):
    return unit(rng.standard_normal((k, d))), rng.choice([-1, 1], k) * rng.uniform(0.5, 1.5, k)


def cancelling(rng, d):
    angle = np.arange(4) * np.pi / 4
    plane = np.linalg.qr(rng.standard_normal((d, 2)))[0]
    return np.stack([np.cos(angle), np.sin(angle)], 1) @ plane.T, np.array([1.0, -1, 1, -1])


def close(rng, d):
    first, other = unit(rng.standard_normal((2, d)))
    return np.stack([first, first + 0.1 * rng.standard_normal(d), other]), np.array([1.0, -0.9, 1.0])


def learned(seed, d, n, noise, made, *arguments, k=None, settings=None):
    """The fit, its R^2 for clean labels, the least |cos| of a weight with its nearest, and the truth."""
    rng = np.random.default_rng(seed)
    w, a = made(rng, *arguments, d)
    x = rng.standard_normal((n, d))
    y = network(x, w, a) + noise * rng.standard_normal(n)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = fit_relu(jax.random.key(seed), x, y, k or len(a), settings)
    fresh = rng.standard_normal((10_000, d))
    clean = network(fresh, w, a)
    r2 = 1 - np.mean((found.predict(fresh) - clean) ** 2) / clean.var()
    return found, r2, np.abs(found.weights @ unit(w).T).max(0).min(), (w, a)


@pytest.mark.parametrize("case", [(generic, 3), (cancelling,), (close,)], ids=["generic", "cancelling", "close"])
def test_a_network_without_noise_is_found_to_the_digit(case):
    found, r2, cosine, (w, a) = learned(1, 8, 20_000, 0.0, *case)
    assert r2 > 1 - 1e-9 and found.test_r2 > 1 - 1e-9 and cosine > 1 - 1e-9
    assert found.identified and found.merged == 0 and abs(found.constant) < 1e-6
    order = np.abs(found.weights @ unit(w).T).argmax(0)
    np.testing.assert_allclose(found.weights[order], unit(w), atol=1e-5)
    np.testing.assert_allclose(found.coefficients[order], a * np.linalg.norm(w, axis=1), rtol=1e-4)
    np.testing.assert_allclose(found.linear, a @ w / 2, atol=1e-5)


def test_with_noise_weights_and_signs_are_found_and_no_more_neurons_than_there_are():
    found, r2, cosine, (w, _) = learned(2, 8, 30_000, 0.5, generic, 2, k=4)
    assert r2 > 0.995 and cosine > 0.99
    assert found.merged == 2 and found.identified and len(found.weights) == 2
    assert (np.abs(found.weights @ unit(w).T).max(0) == (found.weights @ unit(w).T).max(0)).all()


@pytest.mark.slow
@pytest.mark.parametrize("k", [2, 3])
def test_generic_networks_in_twenty_dimensions(k):
    found = [learned(seed, 20, 100_000, 0.0, generic, k)[1:3] for seed in range(10)]
    assert sum(r2 > 0.9999 and cosine > 0.9999 for r2, cosine in found) >= (10 if k == 2 else 8)


@pytest.mark.slow
@pytest.mark.parametrize("made", [cancelling, close])
def test_hard_networks_in_ten_dimensions(made):
    assert sum(learned(seed, 10, 40_000, 0.0, made)[1] > 0.999 for seed in range(8)) >= 7


@pytest.mark.slow
def test_signs_are_found_as_often_as_is_said():
    """Of 60 noisy fits: 99.73 % each, so that more than three failures are a false alarm in 2e-5."""
    found = [learned(seed, 4, 4000, 0.3, generic, 1) for seed in range(60)]
    right = [fit.identified and (fit.weights @ unit(w)[0] > 0.9).any() for fit, _, _, (w, _) in found]
    assert sum(right) >= 57


def test_two_opposite_neurons_of_one_size_are_one_line():
    rng = np.random.default_rng(5)
    w = unit(rng.standard_normal((1, 5)))
    x = rng.standard_normal((8000, 5))
    found = fit_relu(KEY, x, 2 * np.abs(x @ w[0]), 2)
    assert found.identified and found.merged == 1 and found.test_r2 > 1 - 1e-9
    np.testing.assert_allclose(np.sort(found.weights @ w[0]), [-1, 1], atol=1e-6)
    np.testing.assert_allclose(found.coefficients, [2, 2], atol=1e-5)
    alone = fit_relu(KEY, x, 2 * np.abs(x @ w[0]), 1)  # no pattern of one ReLU has no linear part
    assert not alone.identified and alone.test_r2 > 1 - 1e-9


@pytest.mark.parametrize("seed", [0, 3, 6, 8])
def test_lines_that_differ_where_there_are_no_rows_are_one(seed):
    rng = np.random.default_rng(seed)
    x, w = rng.standard_normal((4000, 5)), rng.standard_normal(5)
    found = fit_relu(KEY, x, 1e3 * np.abs(x @ w), 2)
    assert found.identified and found.merged == 1 and found.test_r2 > 1 - 1e-12
    np.testing.assert_allclose(found.coefficients, 1e3 * np.linalg.norm(w), rtol=1e-9)
    one = fit_relu(KEY, x, np.maximum(x @ w, 0), 2)
    assert one.identified and len(one.weights) == 1 and one.test_r2 > 1 - 1e-12


def test_lines_of_one_degree_are_two_where_there_are_rows():
    rng = np.random.default_rng(0)
    x, (w, v) = rng.standard_normal((20_000, 4)), unit(rng.standard_normal((2, 4)))
    w = unit(np.stack([w, w + np.deg2rad(1) * v]))
    found = fit_relu(KEY, x, network(x, w, np.array([1.0, 1.0])), 2)
    assert found.merged == 0 and found.test_r2 > 1 - 1e-9


@pytest.mark.parametrize("size", [1e-25, 1e20])
def test_singular_values_have_the_unit_of_the_labels(size):
    rng = np.random.default_rng(0)
    x = rng.standard_normal((4000, 3))
    y = np.maximum(x[:, 0], 0) + 0.1 * rng.standard_normal(4000)
    near, far = (fit_relu(KEY, x, y * u, 1) for u in (1.0, size))
    np.testing.assert_allclose(far.singular_values / size, near.singular_values, rtol=1e-4)
    assert far.noise_level == pytest.approx(size * near.noise_level, rel=1e-4)


@pytest.mark.parametrize("offset", [1e6, 1e8])
def test_the_share_of_variance_does_not_depend_on_an_offset(offset):
    rng = np.random.default_rng(0)
    x = rng.standard_normal((4000, 3))
    y = np.maximum(x[:, 0], 0) + 0.1 * rng.standard_normal(4000)
    near, far = (fit_relu(KEY, x, y + o, 1) for o in (0.0, offset))
    assert far.test_r2 == pytest.approx(near.test_r2, abs=1e-4)


def test_a_linear_part_of_its_own_leaves_signs_open_and_the_function_right():
    rng = np.random.default_rng(6)
    (w, a), b = generic(rng, 2, 6), rng.standard_normal(6)
    x = rng.standard_normal((10_000, 6))
    found = fit_relu(KEY, x, network(x, w, a) + x @ b + 3, 2)
    assert not found.identified and len(found.weights) == 4
    np.testing.assert_allclose(found.linear, a @ w / 2 + b, atol=1e-5)
    np.testing.assert_allclose(found.predict(x[:9]), network(x[:9], w, a) + x[:9] @ b + 3, atol=1e-5)
    assert found.constant == pytest.approx(3, abs=1e-5)


@pytest.mark.parametrize("value", [0.0, 3.0])
def test_constant_labels_have_no_relus(value):
    x = np.random.default_rng(7).standard_normal((2000, 5))
    found = fit_relu(KEY, x, np.full(2000, value), 2)
    assert found.weights.shape == (0, 5) and found.merged == 2 and np.isnan(found.test_r2)
    module, params = found.network()
    for made in (found.predict(x[:9]), module.apply(params, jax.numpy.asarray(x[:9]))):
        np.testing.assert_allclose(made, value, rtol=1e-6)


def test_without_polishing_directions_are_those_of_the_subspace():
    found, r2, cosine, _ = learned(1, 8, 20_000, 0.0, generic, 2, settings=ReLU(polish=False))
    inside = found.weights[:2] - found.weights[:2] @ found.subspace.T @ found.subspace
    assert np.abs(inside).max() < 1e-9 and 0.97 < r2 < 1 - 1e-6 and cosine > 0.97


def test_lines_that_were_merged_are_found_in_what_is_left(monkeypatch):
    """The first search ends with two of three lines in one place, from which least squares do not come away."""
    rng, calls = np.random.default_rng(5), []
    w, a = generic(rng, 3, 5)

    def ends_badly(z, y, k, *starts):
        calls.append(k)
        found = relu_search.search(z, y, k, *starts)
        return found if k < 3 else found[[0, 1, 1]]

    monkeypatch.setattr(relu, "search", ends_badly)
    x, fresh, missed = rng.standard_normal((10_000, 5)), rng.standard_normal((10_000, 5)), []
    y = network(x, w, a) + 0.1 * rng.standard_normal(len(x))
    for multiscale in (False, True):
        found = fit_relu(KEY, x, y, 3, ReLU(starts=2, multiscale=multiscale))
        missed.append(np.mean((found.predict(fresh) - network(fresh, w, a)) ** 2) / network(fresh, w, a).var())
    assert missed[0] > 1e-3 and missed[1] < 1e-3 and calls == [3, 3, 1]
    assert found.identified and found.merged == 0


def test_a_line_that_rows_need_is_kept(monkeypatch):
    monkeypatch.setattr(relu_polish, "_candidates", lambda found: [found.lines.without(0)][: len(found.lines.v) - 1])
    found, r2, *_ = learned(1, 5, 5000, 0.5, generic, 2)
    assert found.merged == 0 and r2 > 0.98


def test_opposite_directions_of_one_line_add_up():
    lines = relu_polish.Lines(np.array([[1.0, 0], [-1, 0.001]]), np.ones(2), np.zeros(2), 0.0)
    (merged,) = relu_polish._candidates(relu_polish.Polished(lines, 1.0, 1.0, 1e-3 * np.eye(7)))
    np.testing.assert_allclose(merged.v, [[-2, 0.001]], atol=1e-12)
    assert merged.signs.tolist() == [1.0]


def test_memory_maps_are_read_some_at_a_time(tmp_path, monkeypatch):
    rng = np.random.default_rng(7)
    w, a = generic(rng, 2, 6)
    x = rng.standard_normal((120_000, 6)).astype(np.float32)
    for name, array in (("x", x), ("y", network(x, w, a).astype(np.float32))):
        np.save(tmp_path / f"{name}.npy", array)
    whole = fit_relu(KEY, x, network(x, w, a), 2)
    for name, number in (("NUMBERS", 30_000), ("SEARCHED", 1000), ("DICTIONARY", 20)):
        monkeypatch.setattr(relu, name, number)
    settings, peaks = ReLU(starts=1), []
    for n in (30_000, 120_000):
        lazy = [np.load(tmp_path / f"{name}.npy", mmap_mode="r")[:n] for name in "xy"]
        fit_relu(KEY, lazy[0][:3000], lazy[1][:3000], 2, settings)
        tracemalloc.start()
        found = fit_relu(KEY, *lazy, 2, settings)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.1 * peaks[0]
    for name in ("singular_values", "linear"):
        np.testing.assert_allclose(getattr(found, name), getattr(whole, name), atol=1e-5)


def test_the_network_of_flax_is_the_same_function():
    found, *_ = learned(1, 5, 5000, 0.1, generic, 2)
    module, params = found.network()
    x = np.random.default_rng(8).standard_normal((4, 3, 5)).astype(np.float32)
    flat = found.predict(x.reshape(-1, 5)).reshape(4, 3)
    np.testing.assert_allclose(jax.jit(module.apply)(params, x), flat, atol=1e-5)


def test_rows_of_another_law_are_said():
    rng = np.random.default_rng(9)
    x = rng.laplace(size=(4000, 3)) / np.sqrt(2)
    with pytest.warns(UserWarning, match=r"x must be standard normal .* its E .* standard errors"):
        fit_relu(KEY, x, network(x, *generic(rng, 2, 3)), 2, ReLU(starts=0))


X = np.random.default_rng(10).standard_normal((50, 4))
BAD = X.copy()
BAD[7, 2] = np.nan


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: fit_relu(KEY, X[0], X[0], 1), r"x must be rows, \(n, d\); got shape \(4,\)"),
        (lambda: fit_relu(KEY, X, X, 1), r"y must have shape \(50,\), one label per row of x; got \(50, 4\)"),
        (lambda: fit_relu(KEY, X[:1], X[:1, 0], 1), "x must have at least 2 rows; got 1"),
        (lambda: fit_relu(KEY, BAD, X[:, 0], 1), "x must be finite; got .* in row 7"),
        (lambda: fit_relu(KEY, X, BAD[:, 2], 1), "y must be finite; got nan in row 7"),
        (lambda: fit_relu(KEY, X, X[:, 0], 0), "k must be at least 1; got 0"),
        (lambda: fit_relu(KEY, X, X[:, 0], 11), "k must be at most 10, .*; got 11"),
        (
            lambda: fit_relu(KEY, X, X[:, 0], 2, ReLU(rank=3)),
            r"rank must be 'auto' or from 0 to min\(k, d\) = 2; got 3",
        ),
        (lambda: fit_relu(KEY, X, X[:, 0], 2, ReLU(starts=-1)), "starts must be at least 0; got -1"),
        (lambda: fit_relu(KEY, X, X[:, 0], 2, ReLU(contractions=0)), "contractions must be at least 1; got 0"),
    ],
    ids=range(10),
)
def test_what_cannot_be_fitted_is_a_sentence(call, sentence):
    with pytest.raises(ValueError, match=sentence):
        call()
