"""Metrics as `evaluate` knows them: listed once, described once, and a user's own beside them."""

import inspect
from pathlib import Path

import jax
import numpy as np
import pytest

import jaxsamp as js
from jaxsamp import metrics
from jaxsamp.metrics.null import compare, judged

KEY = jax.random.key(0)
LAW = js.targets.GaussianMixture.spherical([1.0], np.zeros((1, 2)), 1.0)
X, TRUE = (np.asarray(LAW.sample(jax.random.key(i), 60)) for i in (1, 2))


def test_names_and_labels_are_each_metrics_own():
    assert len(set(metrics.NAMES)) == len(metrics.NAMES)
    labels = [metrics.label(metric.name) for metric in metrics.METRICS]
    assert len(set(labels)) == len(labels) and all(labels)
    assert metrics.label("mmd") == "MMD, squared"
    with pytest.raises(ValueError, match="name must be one of .* Did you mean 'energy'"):
        metrics.label("energi")


def test_help_and_the_page_describe_every_metric_as_its_file_does():
    page = (Path(__file__).parents[2] / "docs" / "metrics.md").read_text()
    for metric in metrics.METRICS:
        assert f"| `{metric.name}` | {metric.applies_to} | {metric.sees} |" in page
        row = next(line for line in js.evaluate.__doc__.splitlines() if line.split()[:1] == [metric.name])
        assert row.split("  ")[-1].strip() == metric.sees and metric.applies_to in row


def spread(comparison):
    """The difference of the standard deviations."""

    def distance_to(y):
        return lambda x: float(np.std(x) - np.std(y))

    x, truth, key = comparison.x, comparison.truth, comparison.key
    return judged(*compare(distance_to, x, truth, key, comparison.null_sets, name="spread"))


SPREAD = metrics.MetricSpec("spread", "spread", spread)


class OfPoints:
    """A class that keeps the protocol without a base or a decorator."""

    name, label = "mean norm", "mean norm"

    def __init__(self, limit):
        self.limit = limit

    def needs(self, comparison):
        return None if len(comparison.x) >= self.limit else f"{self.limit} samples"

    def run(self, comparison):
        value = float(np.linalg.norm(comparison.x, axis=1).mean())
        return metrics.Metric(value, None, 0.0, 2.0, 1.0, 0.0)


@pytest.mark.parametrize("reference", [LAW, TRUE, metrics.NullBank(LAW, 60, KEY)], ids=["law", "array", "bank"])
def test_a_metric_of_a_users_own_runs_beside_the_others(reference):
    own = OfPoints(9)
    still = js.evaluate(X, reference, KEY, metrics=["energy", SPREAD, own], null_sets=20)
    assert list(still) == ["energy", "spread", "mean norm"]
    assert still["energy"] == metrics.energy(X, reference, KEY, null_sets=20)
    assert still["spread"].inside and still["mean norm"].value == np.linalg.norm(X, axis=1).mean()
    moved = js.evaluate(3 * X, reference, KEY, metrics=SPREAD, null_sets=20)
    assert not moved["spread"].inside


def test_a_metric_of_a_users_own_that_does_not_apply_is_refused_in_one_sentence():
    class Named(OfPoints):
        name = "energy"

    wrong = metrics.MetricSpec("number", "number", lambda comparison: 1.0)
    for own, error, words in [
        (OfPoints(61), ValueError, "metrics: 'mean norm' does not apply here, because it needs 61 samples"),
        (["energy", Named(2)], ValueError, "metrics must have different names; got two different ones named 'energy'"),
        ([wrong], TypeError, "the `run` of 'number' must return a jaxsamp.metrics.Metric; got a float"),
    ]:
        with pytest.raises(error, match=words):
            js.evaluate(X, TRUE, KEY, metrics=own, null_sets=20)


def test_what_is_no_metric_is_refused_in_one_sentence():
    evaluate = inspect.unwrap(js.evaluate)  # without the types that the tests check at the door
    with pytest.raises(TypeError, match="metrics must be names, or objects with .* got a function"):
        evaluate(X, TRUE, KEY, metrics=[spread])


def test_a_group_is_its_metrics_that_apply():
    named = js.evaluate(X, LAW, KEY, metrics=("rao_means", "rao_score_test"))
    assert list(named) == ["rao_means", "rao_cov_diag", "rao_cov_off"]  # one component has no weights to test
    with pytest.raises(ValueError, match="'rao_weights' does not apply here"):
        js.evaluate(X, TRUE, KEY, metrics="rao_score_test")
