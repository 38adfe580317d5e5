"""Chains as a table and as the data of ArviZ."""

import inspect
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxsamp as js

KEY = jax.random.key(0)
DRAWS = jax.random.normal(KEY, (4, 500, 3))  # independent: the effective sample size is 2000
CHAINS = js.Chains(DRAWS[:, -1], DRAWS, {})
MAPS = {"scale": js.targets.Positive(), "layer": {"means": js.targets.Interval(-2.0, 2.0)}}
LIKE = {"scale": jnp.ones(()), "layer": {"means": jnp.zeros(2)}}
POSTERIOR = js.targets.transformed(lambda p: -p["scale"], MAPS, LIKE)


def test_the_table_says_how_exactly_each_mean_is_known():
    pytest.importorskip("arviz_base")
    table = CHAINS.summary()
    assert list(table.index) == ["x[0]", "x[1]", "x[2]"] and (table["r_hat"] < 1.01).all()
    np.testing.assert_allclose(table["mean"], DRAWS.mean((0, 1)), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(table["mcse_mean"], 2000**-0.5, rtol=0.15)  # sd / sqrt(n), which ArviZ estimates
    assert CHAINS.summary(round_to=1)["mcse_mean"].max() == 0


def test_parameters_that_are_a_pytree_are_named_by_their_paths():
    pytest.importorskip("arviz_base")
    table = CHAINS.summary(POSTERIOR.forward)
    assert set(table.index) == {"scale", "layer.means[0]", "layer.means[1]"}
    assert table.loc["scale", "mean"] == pytest.approx(float(jax.nn.softplus(DRAWS[..., 2]).mean()), rel=1e-4)
    tree = CHAINS.to_arviz(POSTERIOR.forward)["posterior"]
    assert tree["layer.means"].dims[:2] == ("chain", "draw") and tree["layer.means"].shape == (4, 500, 2)
    np.testing.assert_array_equal(tree["scale"], np.asarray(POSTERIOR.forward(DRAWS)["scale"]))
    assert CHAINS.to_arviz()["posterior"]["x"].shape == (4, 500, 3)


@pytest.mark.parametrize(
    ("chains", "transform", "error", "words"),
    [
        (
            CHAINS,
            POSTERIOR,
            TypeError,
            "transform must be a function of draws.*Transformed, its `forward`",
        ),
        (
            CHAINS,
            lambda y: y.mean(1),
            ValueError,
            r"axes .* = \(4, 500\) in front; got shape \(4, 3\) for 'x'",
        ),
        (CHAINS._replace(draws=DRAWS[:, :3]), None, ValueError, "at least 4 draws per chain; got 3"),
        (CHAINS._replace(draws=None), None, ValueError, "at least 4 draws per chain; got 0"),
    ],
)
def test_bad_input_is_one_sentence(chains, transform, error, words):
    with pytest.raises(error, match=words) as caught:
        inspect.unwrap(js.Chains.summary)(chains, transform)
    assert "\n" not in str(caught.value)


def test_without_arviz_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "arviz_base", None)
    with pytest.raises(ImportError, match=r'to_arviz needs arviz-base, .* pip install "jaxsamp\[chains\]"'):
        CHAINS.to_arviz()
    with pytest.raises(ValueError, match="draws must be kept for ArviZ; got thin = 0"):
        CHAINS._replace(draws=None).to_arviz()


def test_more_chains_than_draws_are_no_reason_to_warn(recwarn):
    pytest.importorskip("arviz_base")
    wide = DRAWS.swapaxes(0, 1)
    assert js.Chains(wide[:, -1], wide, {}).to_arviz()["posterior"].sizes["chain"] == 500
    assert not [one for one in recwarn if "chain dimension" in str(one.message)]
