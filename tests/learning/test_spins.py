"""Couplings from samples of spins."""

import inspect

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxsamp as js
from jaxsamp.learning import spins_data, spins_nodes, spins_sparsitron
from jaxsamp.learning.spins import field_coefficients
from jaxsamp_kernels.hermite import products
from tests.discrete.instances import r1, r2

fit_spins = js.learning.fit_spins
STATES = np.asarray(js.discrete.states(10))
# Counts of the states (x0, x1, x2) and what GraphicalModelLearning.jl has found from them (its test data b).
COUNTED = np.array(
    [[-1, -1, -1], [-1, -1, 1], [1, 1, 1], [-1, 1, -1], [1, 1, -1], [1, -1, 1], [-1, 1, 1], [1, -1, -1]], np.int8
)
COUNTS = np.array([106038, 47689, 351641, 70850, 105741, 105882, 106371, 105788])
PUBLISHED = {  # h0, J01, J02, h1, J12, h2
    "rple": [0.298882272, 0.099629526, 0.198813014, 0.199947111, 0.300113186, 0.101480670],
    "rise": [0.299069126, 0.099200057, 0.198403153, 0.200178396, 0.299706794, 0.101724193],
    "logrise": [0.299325660, 0.098472876, 0.197657903, 0.200528017, 0.298957661, 0.102159938],
}


@pytest.fixture(scope="module")
def law():
    with jax.enable_x64(True):
        found = r1()
        return np.asarray(found.couplings), np.asarray(found.fields), np.asarray(found.probabilities())


def draws(law, m, seed):
    return STATES[np.random.default_rng(seed).choice(1024, m, p=law[2])]


def errors(fit, law):
    """The largest error of a coupling, and the total variation of the laws."""
    p = np.asarray(fit.model.probabilities())
    return np.abs(fit.model.couplings - law[0]).max(), 0.5 * np.abs(p - law[2]).sum()


@pytest.mark.parametrize(
    ("method", "loss"), [("rple", 0.50485502), ("rise", 0.79583986), ("logrise", np.log(0.79583986))]
)
def test_the_law_itself_gives_back_its_couplings(law, method, loss, x64):
    fit = fit_spins(STATES, method=method, weights=law[2])
    np.testing.assert_allclose(fit.model.couplings, law[0], atol=1e-6)
    np.testing.assert_allclose(fit.model.fields, law[1], atol=1e-6)
    assert fit.asymmetry < 1e-6 and abs(fit.width - 4.72952749) < 1e-5
    assert abs(fit.loss_per_node[0] - loss) < 1e-8


def test_terms_of_three_spins_come_back(x64):
    law = r2()
    fit = fit_spins(js.discrete.states(8), 3, weights=np.asarray(law.probabilities()), l1=0)
    found = fit.model.terms
    for term, weight in law.terms.items():
        assert abs(found.pop(term) - weight) < 1e-6
    assert max(map(abs, found.values())) < 1e-6 and {len(term) for term in found} <= {1, 2}
    pairs = fit_spins(js.discrete.states(8), 2, weights=np.asarray(law.probabilities()), l1=0)
    assert pairs.loss_per_node.mean() > fit.loss_per_node.mean() + 0.01  # which no pairs describe


@pytest.mark.parametrize("method", PUBLISHED)
def test_penalized_couplings_are_those_of_the_published_program(method, x64):
    l1 = {"rple": 0.2, "rise": 0.4, "logrise": 0.8}[method] * np.sqrt(np.log(9 / 0.05) / 1e6)
    fit = fit_spins(COUNTED, method=method, weights=COUNTS, l1=l1)
    j, h = np.asarray(fit.model.couplings), np.asarray(fit.model.fields)
    np.testing.assert_allclose([h[0], j[0, 1], j[0, 2], h[1], j[1, 2], h[2]], PUBLISHED[method], atol=2e-8)


def test_the_default_penalty_is_that_of_few_samples():
    assert spins_nodes.default_penalty("rple", 10, 2, 501.0) == 0
    expected = 0.4 * np.sqrt(np.log(100 / 0.05) / 500)
    assert abs(spins_nodes.default_penalty("rise", 10, 2, 500.0) - expected) < 1e-12
    assert spins_nodes.default_penalty("rple", 10, 3, 2300.0) > 0  # 46 coefficients of a node
    rng = np.random.default_rng(0)
    fit = fit_spins(rng.choice([-1, 1], (60, 10)))  # independent spins: many couplings are exactly 0
    assert (np.asarray(fit.model.couplings)[np.triu_indices(10, 1)] == 0).sum() > 10  # measured 16 of 45
    counted = spins_data.SpinRows(COUNTED, COUNTS)
    assert counted.samples == 1e6 and spins_data.SpinRows(COUNTED, COUNTS / 7).samples == 8


def test_sparsitron_is_the_algorithm_as_published(x64):
    t = np.arange(500)
    x = np.stack([np.where(5 * t % 7 < 3, 1.0, -1.0), np.where(2 * t % 9 < 5, 1.0, -1.0)], 1)
    y = ((x[:, :1] > 0) | (x[:, 1:] < 0)).astype(float)
    b = 1 - np.sqrt(np.log(5) / 500)
    assert abs(b - 0.94326486) < 1e-8
    mask = jnp.ones((1, 2))
    rule = spins_sparsitron.Rule(jnp.asarray(2.0), -np.log(b) / 2, 0, 500, mask)
    state = spins_sparsitron.begin(mask)
    rows = (x[:, None], y[:, None], jnp.ones((500, 1)))
    state, _ = jax.lax.scan(lambda s, row: (spins_sparsitron.advance(s, rule, *row), None), state, rows)
    final = spins_sparsitron.coefficients(state.theta, jnp.asarray(2.0), mask)
    np.testing.assert_allclose(final, [[0.82443549, -0.90657690]], atol=1e-5)
    np.testing.assert_allclose(state.total / state.counted, [[0.60251882, -0.64258454]], atol=1e-5)


def test_couplings_are_half_of_the_weights_of_logistic_regression(law):
    x = draws(law, 4000, 0)
    features, y = np.concatenate([np.ones((4000, 1)), x[:, 1:]], 1), (1 + x[:, 0]) / 2
    logistic = np.zeros(10)
    for _ in range(8):  # Newton's method, to tell x_0 = 1 from x_0 = -1 by the others
        p = 1 / (1 + np.exp(-features @ logistic))
        logistic += np.linalg.solve((features.T * (p * (1 - p))) @ features, features.T @ (y - p))
    fit = spins_nodes.fit_nodes(spins_data.SpinRows(x), 2, "rple", 0.0)[0]
    np.testing.assert_allclose(field_coefficients(logistic), fit[0, [0, *range(2, 11)]], atol=1e-3)


def test_couplings_of_twenty_thousand_samples(law):
    # Medians of 3 draws; measured 0.027, 0.021 and 0.036, 0.032 of 5.
    found = {
        method: np.median(
            [errors(fit_spins(draws(law, 20_000, seed), method=method, **more), law) for seed in (0, 1, 2)], 0
        )
        for method, more in (("rple", {}), ("sparsitron", {"width": 8.0}))
    }
    assert found["rple"][0] < 0.04 and found["rple"][1] < 0.03
    assert found["sparsitron"][0] < 0.05 and found["sparsitron"][1] < 0.045


def test_held_out_samples_choose_among_moments_and_widths(law):
    x = draws(law, 20_000, 0)
    literal = fit_spins(x, method="sparsitron", width=8.0, step=1.0, choose="held out")
    assert errors(literal, law)[0] < 0.1  # measured 0.05
    assert fit_spins(x, method="sparsitron").width == 8.0  # the law has 4.73
    with pytest.warns(UserWarning, match=r"^width must be larger than 2: a spin uses \d+% of it"):
        fit_spins(x, method="sparsitron", width=2.0)


def test_many_rows_are_read_in_pieces_and_give_the_same(law, monkeypatch, tmp_path):
    x = draws(law, 5000, 1)
    monkeypatch.setattr(spins_data, "CONDENSED", 0)
    whole = fit_spins(x)
    monkeypatch.setattr(spins_nodes, "BYTES", 4 * (10 + 40) * 700)
    np.save(tmp_path / "x.npy", ((1 + x) // 2).astype(np.uint8))
    stored = np.load(tmp_path / "x.npy", mmap_mode="r")
    for same in (x.astype(float), [x[:100], x[100:]], stored):
        if same is stored:
            with pytest.warns(UserWarning, match="^x is of 0 and 1, which are read as the spins 2 x - 1.$"):
                found = fit_spins(same)
        else:
            found = fit_spins(same)
        np.testing.assert_allclose(found.model.couplings, whole.model.couplings, atol=5e-4)
    read = [chunk[0].shape for chunk in spins_data.SpinRows(x).chunks(1500, first=1000, last=4500)]
    assert read == [(1500, 10)] * 3


def test_few_rows_first_lead_to_the_same_minimum(law, monkeypatch, x64):
    monkeypatch.setattr(spins_data, "CONDENSED", 0)
    data = spins_data.SpinRows(draws(law, 5000, 2))
    for method in ("rple", "logrise"):
        direct = spins_nodes.fit_nodes(data, 2, method, 0.0)[0]
        monkeypatch.setattr(spins_nodes, "FIRST", 50)
        np.testing.assert_allclose(spins_nodes.fit_nodes(data, 2, method, 0.0)[0], direct, atol=1e-6)
        monkeypatch.undo()
        monkeypatch.setattr(spins_data, "CONDENSED", 0)


@pytest.mark.parametrize("method", ["rple", "rise"])
def test_sorted_rows_lead_to_the_same_couplings(method):
    rng = np.random.default_rng(0)
    x = np.cumprod(np.where(rng.random((20_000, 17)) < 0.88, 1, -1), 1)  # a chain with couplings near 1
    drawn = fit_spins(x, method=method).model.couplings
    for values in (x.sum(1), x[:, 0]):
        found = fit_spins(x[np.argsort(values, kind="stable")], method=method).model.couplings
        np.testing.assert_allclose(found, drawn, atol=1e-3)


def test_a_part_of_the_rows_is_drawn_from_all_of_them_by_weight():
    x = np.repeat(np.eye(4, dtype=np.int8), 1000, 0)  # 0 and 1, sorted by the column that is 1
    with pytest.warns(UserWarning, match="^x is of 0 and 1"):
        data = spins_data.SpinRows([x[:1500], x[1500:]], np.repeat([0.0, 1.0, 2.0, 5.0], 1000), finite="nothing")
    (chunk, weights), *_ = data.thinned(80).chunks(4000)
    np.testing.assert_allclose((weights / weights.sum()) @ (chunk > 0), np.array([0, 1, 2, 5]) / 8, atol=1 / 80)


def test_products_of_a_chunk_fit_into_memory():
    for n, features in ((128, 129), (128, 8257), (64, 43_745)):
        assert 4 * features * spins_nodes.chunk_rows(n, features, 10**7) <= spins_nodes.BYTES


def test_states_that_come_often_are_counted(law):
    x = draws(law, 3000, 3)
    counted = spins_data.SpinRows(x).condensed()
    assert counted.rows < 1024 and counted.samples == 3000
    chunk, w = next(counted.chunks(1024))
    kept = w > 0
    states, counts = np.unique(x, axis=0, return_counts=True)
    order = np.lexsort(chunk[kept].T[::-1])
    np.testing.assert_array_equal(chunk[kept][order], states)
    np.testing.assert_allclose(w[kept][order] / w.sum(), counts / 3000)


def test_sorted_samples_need_a_key(law):
    x = draws(law, 20_000, 4)
    x = x[np.argsort(x[:, 0], kind="stable")]
    wrong = errors(fit_spins(x, method="sparsitron", width=8.0), law)[1]
    right = errors(fit_spins(x, method="sparsitron", width=8.0, key=jax.random.key(0)), law)[1]
    assert right < 0.045 < 0.1 < wrong


@pytest.mark.parametrize("width", [2.0, None])
def test_small_steps_are_steps_too(width):
    x = np.random.default_rng(0).choice([-1, 1], (500, 4))
    fit = fit_spins(x, method="sparsitron", step=0.02, width=width)
    assert np.isfinite(fit.model.couplings).all() and np.isfinite(fit.loss_per_node).all()


GOOD = np.random.default_rng(0).choice([-1, 1], (40, 4))
FOUR = 1 - 2 * np.array([[0, 0, 0, 0], [0, 1, 1, 0], [1, 0, 1, 0], [1, 1, 0, 1]])


@pytest.mark.parametrize(
    ("kind", "arguments", "sentence"),
    [
        (ValueError, {"x": GOOD * 2}, r"x must be of -1 and \+1, or of 0 and 1; got -?2 in row 0, column 0."),
        (ValueError, {"x": np.where(GOOD > 0, np.nan, 1)}, "x must be of -1 and .* got nan in row"),
        (ValueError, {"x": np.concatenate([GOOD, 0 * GOOD])}, "x must be of -1 and .* got -1, 0 and 1."),
        (ValueError, {"x": GOOD[:1]}, "x must have at least 2 rows; got 1."),
        (ValueError, {"x": GOOD[:, 0]}, r"x must have shape \(m, n\), samples of n spins; got \(40,\)."),
        (ValueError, {"x": GOOD * [1, 1, 0, 0] + [0, 0, 1, 1]}, "x must vary in every column; columns 2, 3 are const"),
        *(
            (
                ValueError,
                {"x": GOOD * [1, 1, 0, 1] + [0, 0, 1, 0], "weights": weights},
                "x must vary in every column; column 2 is const",
            )
            for weights in np.random.default_rng(0).random((4, len(GOOD)))
        ),
        (
            ValueError,
            {"x": GOOD[:, [0, 1, 1]] * [1, 1, -1], "l1": 0},
            "x must not have columns that .* got columns 1 and 2.",
        ),
        (TypeError, {"x": iter([GOOD])}, "x must be an array, or arrays that can be read more than once; got a list_"),
        (TypeError, {"x": GOOD.astype(str)}, "x must be numbers; got dtype"),
        (ValueError, {"method": "ising"}, "method must be one of 'rple', 'rise', 'logrise', 'sparsitron'; got 'ising'"),
        (ValueError, {"order": 5}, "order must be 2, 3 or 4; got 5."),
        (ValueError, {"order": 1}, "order must be at least 2; got 1."),
        (ValueError, {"x": GOOD[:, :2], "order": 3}, "x must have at least order = 3 columns; got 2."),
        (ValueError, {"width": 0.0, "method": "sparsitron"}, "width must be positive and finite, or None; got 0.0."),
        (ValueError, {"step": -1.0, "method": "sparsitron"}, "step must be positive and finite; got -1.0."),
        (ValueError, {"choose": "last", "method": "sparsitron"}, "choose must be one of 'average', 'held out'; got"),
        (
            ValueError,
            {"width": 8.0},
            "width, key, step and choose are for method 'sparsitron' alone; got method 'rple'",
        ),
        (ValueError, {"l1": 0.1, "method": "sparsitron"}, "l1 must be left out for method 'sparsitron', which bounds"),
        (ValueError, {"l1": -0.1}, "l1 must be 'auto', or finite and at least 0; got -0.1."),
        (ValueError, {"l1": "none"}, "l1 must be one of 'auto'; got 'none'."),
        (
            ValueError,
            {"weights": np.ones(4)},
            r"weights must have shape \(m,\) = \(40,\), as the rows of x; got \(4,\).",
        ),
        (
            ValueError,
            {"weights": -np.ones(40)},
            "weights must be finite, at least 0 and not all zero; got -1.0 to -1.0.",
        ),
        (TypeError, {"weights": np.ones(40, bool)}, "weights must be real numbers; got dtype bool."),
        (
            ValueError,
            {"weights": np.append(np.ones(39), 60.0), "method": "sparsitron", "width": 2.0},
            "weights must leave a step in the second half of their sum",
        ),
        (ValueError, {"x": FOUR, "method": "sparsitron"}, "x must have more than 4 rows for 9 experts; got 4."),
        (
            ValueError,
            {"x": [GOOD, GOOD], "method": "sparsitron", "key": jax.random.key(0)},
            "key must be None unless x is one array",
        ),
    ],
)
def test_what_does_not_fit_is_a_sentence(kind, arguments, sentence):
    with pytest.raises(kind, match=f"^{sentence}"):
        inspect.unwrap(fit_spins)(**{"x": GOOD, **arguments})


def test_data_that_decide_a_spin_are_said(monkeypatch):
    monkeypatch.setattr(spins_nodes, "STEPS", 20)
    x = np.random.default_rng(0).choice([-1, 1], (200, 3))
    x = np.concatenate([x, np.prod(x[:, :2], 1, keepdims=True)], 1)
    with pytest.warns(UserWarning, match="^The couplings did not converge in 20 steps: some of them may not be finite"):
        fit_spins(x, 3, l1=0)


def test_a_penalty_bounds_the_coupling_of_equal_columns():
    fit = fit_spins(GOOD[:, [0, 1, 1]])
    assert 0.5 < fit.model.couplings[1, 2] < 5


def test_the_estimator_is_fit_spins(law):
    x = draws(law, 3000, 5)
    learner = js.learning.SpinRegressor().fit(x)
    fit = fit_spins(x)
    np.testing.assert_array_equal(learner.coef_, fit.model.couplings)
    # The loss is that of the nodes, the score that of the means of their coefficients.
    assert learner.score(x) == pytest.approx(-fit.loss_per_node.sum(), rel=1e-3)
    np.testing.assert_allclose(learner.predict(x[:5]), np.tanh(fit.model.local_fields(jnp.asarray(x[:5]))), atol=1e-6)
    same = js.learning.SpinRegressor(binarize="median").fit(x + np.random.default_rng(0).uniform(-1, 1, x.shape))
    assert np.abs(same.coef_).mean() > 0.02 and same.thresholds_.shape == (10,)
    with pytest.raises(ValueError, match="^X must be of -1 and .1, or of 0 and 1, unless binarize is given; got 3"):
        js.learning.SpinRegressor().fit(3 * x)
    with pytest.raises(ValueError, match="^X must be .* got -1, 0 and 1"):
        js.learning.SpinRegressor().fit(np.where(np.arange(len(x))[:, None] < 5, 0, x))
    with pytest.raises(ValueError, match="^binarize must be one of 'median'; got 'mean'"):
        js.learning.SpinRegressor(binarize="mean").fit(x)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_it_is_an_estimator_of_scikit_learn():
    from sklearn.utils.estimator_checks import check_estimator

    reason = "the default penalty depends on the number of samples, which weights that are no integers do not tell"
    expected = {"check_sample_weight_equivalence_on_dense_data": reason}
    learner = js.learning.SpinRegressor(binarize="median")
    found = check_estimator(learner, on_fail=None, expected_failed_checks=expected)
    failed = {one["check_name"]: str(one["exception"])[:200] for one in found if one["status"] == "failed"}
    assert not failed


@pytest.mark.slow
def test_pairs_of_sixty_four_spins_in_one_pass():
    law = js.discrete.sk(jax.random.key(1), 64, 0.5)
    x = js.sample_spins(jax.random.key(2), law, (500, 64), steps=500, warmup=200, thin=5).draws.reshape(-1, 64)
    error = {m: np.abs(fit_spins(x, method=m).model.couplings - law.couplings).max() for m in ("rple", "sparsitron")}
    assert error["rple"] < 0.04 and error["sparsitron"] < 0.08


def test_products_of_order_three_are_those_without_the_spin():
    mask = spins_nodes.used(4, products(4, 2, distinct=True))
    assert mask.sum(1).tolist() == [1 + 3 + 3] * 4
