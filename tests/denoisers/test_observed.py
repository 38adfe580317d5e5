"""One observation of each sample: what a sample is does not depend on which others were observed beside it."""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.tree_util import Partial

import jaxsamp as js
from jaxsamp.corruptions import DenseOperator, MaskOperator
from jaxsamp.denoisers import Observed, inpaint, posterior
from jaxsamp.samplers import DDPM
from tests.cases import SCHEDULES, quick

N, DIM = 7, 5
RNG = np.random.default_rng(1)
FACTOR, MEAN, MATRICES = RNG.normal(size=(DIM, DIM)), RNG.normal(size=DIM), RNG.normal(size=(N, 3, DIM))
MASKS = RNG.random((N, DIM)) < 0.5
NOISE = np.linspace(0.1, 0.7, N)
SEEN = np.where(MASKS, RNG.normal(size=(N, DIM)), np.nan)
MEASURED = RNG.normal(size=(N, 3))
KEY = jax.random.key(0)


def normal():
    """One correlated Gaussian in five dimensions."""
    return js.targets.GaussianMixture([1.0], [MEAN], [FACTOR @ FACTOR.T / 5 + 0.1 * np.eye(DIM)])


def network(params, x, t, cond):
    """A denoiser that is not linear, couples the coordinates and compiles fast."""
    return jnp.tanh(x @ params) / (1 + t[:, None])


PRIOR = normal().denoiser(SCHEDULES["ve"])
FAST = js.denoiser(network, FACTOR @ FACTOR.T / 5, SCHEDULES["ve"], "x0")


class Case(NamedTuple):
    """A denoiser of all samples, what each observed, and the denoiser that holds the observation of sample i."""

    denoiser: object
    cond: Observed
    alone: object


CASES = {
    "mask": Case(posterior(FAST), Observed(SEEN, MASKS, NOISE), lambda i: posterior(FAST, SEEN[i], MASKS[i], NOISE[i])),
    "dense": Case(
        posterior(FAST, noise=0.3, variance=0.5),
        Observed(MEASURED, DenseOperator(MATRICES)),
        lambda i: posterior(FAST, MEASURED[i], DenseOperator(MATRICES[i]), 0.3, variance=0.5),
    ),
    "inpaint": Case(inpaint(FAST), Observed(SEEN, MASKS), lambda i: inpaint(FAST, SEEN[i], MASKS[i])),
}


def draw(denoiser, n, **options):
    return js.sample(KEY, denoiser, (n, DIM), DDPM(), 4, **options).x


def rows(tree, some):
    return jax.tree.map(lambda leaf: leaf[some], tree)


@pytest.mark.parametrize("name", quick(["mask", "inpaint", "dense"], "inpaint"))
def test_each_sample_is_that_of_a_run_with_its_observation_alone(x64, name):
    """Whatever divides the samples: DDPM draws noise in every step, so that the sample's key counts too."""
    denoiser, cond, alone = CASES[name]
    expected = np.concatenate([draw(alone(i), 1, first=i) for i in range(N)])
    close = partial(np.testing.assert_allclose, rtol=1e-9, atol=1e-9)
    assert np.ptp(expected, 0).min() > 0.05
    for options in (
        {},
        {"microbatch": 2},
        {"mesh": js.mesh(4)},
        {"mesh": js.mesh(4), "microbatch": 1},
        {"progress": True, "microbatch": 2},
    ):
        close(draw(denoiser, N, cond=cond, **options), expected, err_msg=str(options))
    close(draw(denoiser, 1, cond=rows(cond, slice(1))), expected[:1])
    close(draw(denoiser, 3, first=4, cond=rows(cond, slice(4, None))), expected[4:])
    close(jax.jit(lambda cond: draw(denoiser, N, cond=cond))(cond), expected)
    # The order matters: had each sample another's observation, this test would see it.
    assert np.abs(draw(denoiser, N, cond=rows(cond, slice(None, None, -1))) - expected).max() > 0.1


def test_shards_take_the_observations_of_their_own_samples(x64, tmp_path):
    denoiser, cond, _ = CASES["mask"]
    shards = js.sample_shards(tmp_path, KEY, denoiser, (N, DIM), DDPM(), 4, cond=cond, shard_size=3)
    np.testing.assert_allclose(shards[:], draw(denoiser, N, cond=cond), rtol=1e-9, atol=1e-9)
    with pytest.raises(ValueError, match="other settings"):
        other = cond._replace(operator=~MASKS, y=np.zeros((N, DIM)))
        js.sample_shards(tmp_path, KEY, denoiser, (N, DIM), DDPM(), 4, cond=other, shard_size=3)


def test_normal_data_have_the_exact_posterior_mean_under_a_mask_of_each_sample(x64):
    """Against the law given each observation, in closed form."""
    x, level = jnp.asarray(RNG.normal(size=(N, DIM))), SCHEDULES["ve"].level(jnp.linspace(-2.0, 2.0, N))
    law = [normal().condition(SEEN[i][MASKS[i]], np.eye(DIM)[MASKS[i]], NOISE[i]) for i in range(N)]

    @jax.jit
    def both():
        exact = [law[i].denoiser(SCHEDULES["ve"])(x[i : i + 1], rows(level, slice(i, i + 1)))[0] for i in range(N)]
        found = [
            posterior(PRIOR, iterations=6)(x, level, Observed(SEEN, operator, NOISE))
            for operator in (MASKS, MaskOperator(MASKS))
        ]
        return found, jnp.stack(exact)

    found, exact = both()
    for got in found:
        np.testing.assert_allclose(got, exact, rtol=1e-6, atol=1e-7)


def test_what_is_the_same_for_all_may_stay_with_the_denoiser(x64):
    """The operator or the noise held, an operator without arrays, a noise of each number."""
    x, level, mask = jnp.asarray(RNG.normal(size=(N, DIM))), js.Level(1.0, 0.5), MASKS[0]
    y, first, tile = np.where(mask, SEEN[::-1], np.nan), Partial(lambda v: v[:3]), lambda v: np.tile(v, (N, 1))
    y = np.where(np.isnan(y), np.where(mask, 0.3, np.nan), y)
    each = np.abs(RNG.normal(size=(N, 3)))
    cases = (
        ({"operator": mask, "noise": 0.3}, Observed(y), Observed(y, tile(mask), np.full(N, 0.3))),
        ({"operator": MaskOperator(mask)}, Observed(y, noise=NOISE), Observed(y, tile(mask), NOISE)),
        (
            {"operator": lambda v: v[:3], "noise": np.ones(3)},
            Observed(MEASURED),
            Observed(MEASURED, first, np.ones((N, 3))),
        ),
        ({"operator": first}, Observed(MEASURED, noise=each), Observed(MEASURED, Partial(lambda v: v[:3]), each)),
    )

    @jax.jit
    def both():
        pairs = [
            (posterior(PRIOR, **held)(x, level, given), posterior(PRIOR)(x, level, full)) for held, given, full in cases
        ]
        painted = inpaint(PRIOR, mask=mask)(x, level, Observed(y)), inpaint(PRIOR)(x, level, Observed(y, tile(mask)))
        return pairs, painted

    pairs, painted = both()
    for got, want in pairs:
        np.testing.assert_allclose(got, want, rtol=1e-12)
    np.testing.assert_array_equal(*painted)


def test_the_inner_denoiser_has_its_own_conditions_and_wrappers_nest(x64):
    def labeled(params, x, t, cond):
        return params * x / (1 + t[:, None] ** 2) + cond[:, None]

    inner, labels = js.denoiser(labeled, 0.7, SCHEDULES["ve"], "x0"), jnp.linspace(-1.0, 1.0, N)
    x, level = jnp.asarray(RNG.normal(size=(N, DIM))), js.Level(1.0, 0.5)

    @jax.jit
    def one(i, seen, mask, noise, label):
        return js.clip(posterior(inner, seen, mask, noise), -2.0, 2.0)(x[i][None], level, label[None])[0]

    got = jax.jit(js.clip(posterior(inner), -2.0, 2.0))(x, level, Observed(SEEN, MASKS, NOISE, labels))
    for i in range(N):
        np.testing.assert_allclose(got[i], one(i, SEEN[i], MASKS[i], NOISE[i], labels[i]), rtol=1e-10)
    # One observation of all, held outside, and one of each sample inside; and both in `cond`.
    outer, within = posterior(posterior(inner), SEEN[0], MASKS[0], 0.2), Observed(SEEN, MASKS, NOISE, labels)
    both = Observed(np.tile(SEEN[0], (N, 1)), np.tile(MASKS[0], (N, 1)), np.full(N, 0.2), within)
    found = jax.jit(lambda: (outer(x, level, within), posterior(posterior(inner))(x, level, both)))()
    np.testing.assert_allclose(*found, rtol=1e-10)


def test_new_observations_and_operators_do_not_compile_anew():
    def apply(params, x, t, cond):
        return params * x / (params + t[:, None] ** 2)

    known = posterior(js.denoiser(apply, jnp.arange(1.0, 6.0), SCHEDULES["ve"], "x0"))
    first = draw(known, N, cond=Observed(SEEN, MASKS, NOISE))
    with jax.no_tracing(True):
        again = draw(known, N, cond=Observed(SEEN[::-1] + 1, MASKS[::-1].copy(), NOISE / 2))
    assert not np.allclose(first, again)


BAD = [
    (posterior(PRIOR), None, TypeError, r"cond must be jaxsamp.denoisers.Observed\(y, ...\).*got None"),
    (inpaint(PRIOR), jnp.ones(N), TypeError, "because this denoiser holds none; got a "),
    (CASES["mask"].alone(0), CASES["mask"].cond, ValueError, "cond must not be an Observed.*holds an observation"),
    (posterior(PRIOR), Observed(SEEN, MASKS), ValueError, "noise must be given to the denoiser.*got neither"),
    (posterior(PRIOR, noise=0.1), Observed(SEEN, MASKS, NOISE), ValueError, "noise must be given .*got both"),
    (posterior(PRIOR, noise=0.1), Observed(SEEN), ValueError, "operator must be given .*got neither"),
    (inpaint(PRIOR, mask=MASKS[0]), Observed(SEEN, MASKS), ValueError, "operator must be given .*got both"),
    (inpaint(PRIOR), Observed(SEEN, MASKS, NOISE), ValueError, "Observed.noise must be None for inpaint"),
    (inpaint(PRIOR), Observed(MEASURED, DenseOperator(MATRICES)), TypeError, "must be boolean masks; got a DenseOp"),
    (
        inpaint(PRIOR),
        Observed(SEEN[:4], MASKS),
        ValueError,
        r"Observed.y must have .* shape \(7, ...\); got .*\(4, 5\)",
    ),
    (inpaint(PRIOR), Observed(SEEN, MASKS[:4]), ValueError, r"Observed.operator must .* \(7, ...\); got .*\(4, 5\)"),
    (inpaint(PRIOR), Observed(None, MASKS), ValueError, "Observed.y must be an array"),
    (inpaint(PRIOR), Observed(SEEN[:, :4], MASKS), ValueError, "Observed.y must have the masks' shape"),
    (
        inpaint(PRIOR),
        Observed(SEEN[:, :4], MASKS[:, :4]),
        ValueError,
        r"mask must be of .* \(5,\); got \(4,\)",
    ),
    (inpaint(PRIOR), Observed(SEEN, MASKS.astype(int)), TypeError, "or a boolean mask; got dtype int64"),
    (inpaint(PRIOR), Observed(SEEN, MaskOperator(1.0 * MASKS)), TypeError, "a boolean mask; got dtype float64"),
    (inpaint(PRIOR), Observed(np.full((N, DIM), np.nan), MASKS), ValueError, "Observed.y must be finite"),
    (posterior(PRIOR), Observed(SEEN, MASKS, -NOISE), ValueError, "Observed.noise must be at least 0"),
    (posterior(PRIOR), Observed(SEEN, MASKS, NOISE[:, None]), ValueError, r"Observed.noise must be of shape \(7,\)"),
    (posterior(PRIOR, noise=np.ones(2)), Observed(SEEN, MASKS), ValueError, r"noise must be a number or of y's shape"),
    (posterior(PRIOR, variance=0.0), Observed(SEEN, MASKS, 0 * NOISE), ValueError, "noise must be above 0"),
    (posterior(PRIOR), Observed(MEASURED, lambda v: v[:3], NOISE), TypeError, "a function, which only the denoiser"),
    (
        posterior(PRIOR),
        Observed(np.ones((N, 2)), DenseOperator(MATRICES), NOISE),
        ValueError,
        r"operator must return y's shape",
    ),
]


@pytest.mark.parametrize(("denoiser", "cond", "error", "words"), BAD)
def test_a_bad_observation_is_one_sentence(denoiser, cond, error, words):
    with pytest.raises(error, match=words):
        draw(denoiser, N, cond=cond)


def test_an_observation_needs_an_operator_and_a_noise():
    with pytest.raises(ValueError, match="operator must be given with y; got None"):
        posterior(PRIOR, SEEN[0], noise=0.1)
    with pytest.raises(ValueError, match="noise must be given with y; got None"):
        posterior(PRIOR, SEEN[0], MASKS[0])
    with pytest.raises(ValueError, match="mask must be given with y; got None"):
        inpaint(PRIOR, SEEN[0])
    for make in (lambda mask: posterior(PRIOR, operator=mask), lambda mask: inpaint(PRIOR, mask=mask)):
        with pytest.raises(ValueError, match=r"mask must have the event's shape \(5,\); got \(3,\)"):
            make(MASKS[0][:3])
