"""The loss has the posterior mean as its minimizer and one value whatever is predicted; levels have their laws."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

import jaxsamp as js
from jaxsamp import losses
from jaxsamp_kernels import prediction as predictions
from tests.cases import SCHEDULES

MEAN, VARIANCE = 0.7, 0.3
WEIGHTINGS = [losses.UnitWeighting(), losses.SNRWeighting(), losses.MinSNRWeighting(), losses.EDMWeighting(0.4), None]


def discrete():
    return js.schedules.DiscreteTime(jnp.cumprod(1 - jnp.linspace(1e-4, 0.02, 1000)))


def affine(schedule, prediction):
    """A network whose posterior mean is params[0] x_t + params[1]."""

    def apply(params, x, t, cond):
        level = schedule.at(t[0])
        rates = schedule.rates(t[0]) if prediction == "velocity" else ()
        return predictions.from_x0(prediction, params[0] * x + params[1], x, level.alpha, level.sigma, *rates)

    return apply


def quadrature():
    """Points and weights of E over x_0 ~ N(MEAN, VARIANCE) and standard normal noise, exact for quadratics."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(4)
    a, b = np.meshgrid(nodes, nodes)
    return MEAN + np.sqrt(VARIANCE) * a.reshape(-1, 1), b.reshape(-1, 1), np.outer(weights, weights).ravel() / 2 / np.pi


@pytest.mark.parametrize(
    "prediction, weighting",
    [
        *((name, WEIGHTINGS[3]) for name in predictions.NAMES),
        *(("v", weighting) for weighting in WEIGHTINGS[:3]),
        ("v", None),
    ],
)
def test_the_minimizer_is_the_posterior_mean_and_the_minimum_its_variance(x64, prediction, weighting):
    schedule, x, noise, probability = SCHEDULES["cosine"], *map(jnp.asarray, quadrature())
    level = schedule.level(jnp.asarray(0.4))

    def loss(params):
        apply = affine(schedule, prediction)
        return probability @ losses.at_level(apply, params, x, noise, level, schedule, prediction, weighting)

    start = jnp.array([0.3, -2.0])  # the loss is quadratic: one Newton step
    both = jax.jit(lambda p: (loss(p), jax.hessian(loss)(p), jax.grad(loss)(p)))
    _, hessian, gradient = both(start)
    found = np.asarray(start) - np.linalg.solve(hessian, gradient)
    alpha, sigma = np.asarray(level.alpha), np.asarray(level.sigma)
    gain = alpha * VARIANCE / (alpha**2 * VARIANCE + sigma**2)
    np.testing.assert_allclose(found, [gain, MEAN - gain * alpha * MEAN], rtol=1e-9)
    if weighting is not None:
        posterior = 1 / (1 / VARIANCE + np.exp(0.8))
        np.testing.assert_allclose(both(found)[0], weighting(jnp.asarray(0.4)) * posterior, rtol=1e-9)


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_every_prediction_has_the_same_loss(x64, schedule):
    schedule, weighting = SCHEDULES[schedule], losses.EDMWeighting()
    x, noise = np.random.default_rng(0).normal(size=(2, 6, 1))
    params = np.array([0.6, 0.1])

    @jax.jit
    def of_all(params, x, noise, lam):
        level = schedule.level(lam)
        apply = {name: affine(schedule, name) for name in predictions.NAMES}
        found = [losses.at_level(apply[n], params, x, noise, level, schedule, n, weighting) for n in apply]
        return level.alpha, level.sigma, found

    for lam in (-4.0, 0.0, 6.0):
        alpha, sigma, by_prediction = of_all(params, x, noise, lam)
        direct = params[0] * (np.asarray(alpha) * x + np.asarray(sigma) * noise) + params[1]
        expected = (np.exp(2 * lam) + 4) * ((direct - x) ** 2)[:, 0]
        assert len(by_prediction) == len(predictions.NAMES)
        for found in by_prediction:
            np.testing.assert_allclose(found, expected, rtol=1e-7)


def test_answers_agree_with_the_conversion_table(x64):
    schedule = SCHEDULES["vp"]
    x, noise = np.random.default_rng(0).normal(size=(2, 5, 3))

    @jax.jit
    def pairs(x, noise):
        level = schedule.level(jnp.asarray(0.3))
        noisy, terms = level.alpha * x + level.sigma * noise, (level.alpha, level.sigma, *schedule.rates(level.t))
        of = predictions
        return [(of.from_noise(n, x, noise, *terms), of.from_x0(n, x, noisy, *terms)) for n in of.NAMES]

    for found, via_x0 in pairs(x, noise):
        np.testing.assert_allclose(found, via_x0, rtol=1e-9, atol=1e-12)


def test_plain_losses_are_the_weightings_that_their_docstrings_claim(x64):
    schedule = SCHEDULES["vp"]
    x, noise = jax.random.normal(jax.random.key(0), (2, 5, 3))
    level = schedule.level(jnp.linspace(-3, 3, 5))
    apply = lambda params, x, t, cond: jnp.tanh(x)  # noqa: E731
    plain = {"x0": losses.UnitWeighting(), "epsilon": losses.SNRWeighting(), "v": losses.EDMWeighting(1.0)}

    @jax.jit
    def pairs():
        of = lambda name, w: losses.at_level(apply, None, x, noise, level, schedule, name, w)  # noqa: E731
        return [(of(name, weighting), of(name, None)) for name, weighting in plain.items()]

    for weighed, bare in pairs():
        np.testing.assert_allclose(weighed, bare, rtol=1e-10)


def test_small_noise_costs_no_precision():
    """In float32 at sigma / alpha = 1e-4, where x_0 - x_t / alpha has lost three digits."""
    schedule = SCHEDULES["vp"]
    x, noise = jax.random.normal(jax.random.key(0), (2, 50, 4))
    level = schedule.level(-jnp.log(jnp.asarray(1e-4)))
    perfect = lambda params, x, t, cond: noise + 1e-5  # noqa: E731
    found = losses.at_level(perfect, None, x, noise, level, schedule, "epsilon", losses.SNRWeighting())
    np.testing.assert_allclose(found, 1e-10, rtol=0.05)


LAWS = {
    "log-normal": (losses.LogNormal(-0.5, 0.8), scipy.stats.norm(0.5, 0.8).cdf),
    "uniform": (losses.UniformLogSNR(0.1, 10.0), scipy.stats.uniform(-np.log(10), 2 * np.log(10)).cdf),
    "importance": (
        losses.Importance(jnp.array([-1.0, 0.0, 3.0]), jnp.array([0.7, 0.3])),
        lambda lam: np.interp(lam, [-1, 0, 3], [0, 0.7, 1]),
    ),
}


def drawn(law, seed, n, schedule):
    """Levels and factors of so many draws, by one program."""
    return jax.jit(lambda key: law.draw(key, n, schedule))(jax.random.key(seed))


@pytest.mark.parametrize("name", LAWS)
@pytest.mark.parametrize("schedule", ["vp", "ve"])
def test_drawn_levels_have_their_law(name, schedule):
    """Kolmogorov-Smirnov at false-alarm rate 1e-4."""
    law, cdf = LAWS[name]
    law.check()
    level, factor = drawn(law, 1, 20_000, SCHEDULES[schedule])
    lam = np.asarray(level.log_snr, float)
    assert scipy.stats.kstest(lam, cdf).pvalue > 1e-4
    again = jax.jit(lambda t: SCHEDULES[schedule].at(t).log_snr)(level.t)
    np.testing.assert_allclose(again, lam, atol=2e-3)
    expected = np.where(lam < 0, 1 / (4 * 0.7), 3 / (4 * 0.3)) if name == "importance" else 1.0
    np.testing.assert_allclose(factor, expected, rtol=1e-5)


@pytest.mark.parametrize("schedule", ["cosine", "flow", "vp"])
def test_uniform_times_are_uniform_over_the_schedule(schedule):
    level, _ = drawn(losses.UniformTime(), 2, 20_000, SCHEDULES[schedule])
    low, high = (float(SCHEDULES[schedule].level(-jnp.log(s)).t) for s in (0.002, 80.0))
    if schedule == "vp":
        high = 1.0  # the schedule's own end
    uniform = scipy.stats.uniform(low, high - low)
    assert scipy.stats.kstest(np.asarray(level.t, float), uniform.cdf).pvalue > 1e-4


def test_discrete_times_are_equally_likely_and_other_laws_are_rounded_to_trained_levels():
    """Chi-squared over the 1,000 times at false-alarm rate 1e-4."""
    schedule = discrete()
    level, _ = drawn(losses.UniformTime(), 3, 50_000, schedule)
    counts = np.bincount(np.asarray(level.t), minlength=1000)
    assert counts.size == 1000 and scipy.stats.chisquare(counts).pvalue > 1e-4
    level, _ = drawn(losses.LogNormal(-1.2), 4, 100, schedule)
    np.testing.assert_allclose(schedule.at(level.t).log_snr, level.log_snr, atol=1e-3)


def test_importance_keeps_the_loss_and_lowers_its_noise():
    """Mean within 5 standard errors (false alarm 6e-7)."""
    loss = lambda lam: np.exp(-2 * np.asarray(lam, float) ** 2)  # noqa: E731
    plain = losses.UniformLogSNR(np.exp(-4), np.exp(4))
    lam = np.asarray(drawn(plain, 0, 4000, SCHEDULES["ve"])[0].log_snr)
    found = losses.Importance.from_losses(lam, loss(lam))
    found.check()
    level, factor = drawn(found, 1, 20_000, SCHEDULES["ve"])
    weighed = np.asarray(factor) * loss(level.log_snr)
    exact = np.sqrt(np.pi / 2) / 8
    assert abs(weighed.mean() - exact) < 5 * weighed.std() / np.sqrt(20_000) + 1e-3 * exact  # ends from 4,000 draws
    assert weighed.std() < 0.4 * loss(lam).std()
    assert factor.max() < 10.001


def test_the_loss_is_the_mean_over_levels_and_noise_in_the_right_units():
    """E of the plain noise loss of a network that answers 0 is 1 (5 standard errors), whatever the event's size."""
    apply = lambda params, x, t, cond: 0 * x  # noqa: E731
    x = jnp.ones((4000, 3, 2))
    loss = lambda key: losses.denoising(key, apply, None, x, SCHEDULES["vp"], weighting=None, sigma_data=0.5)  # noqa: E731
    found = np.asarray(jax.jit(loss)(jax.random.key(0)))
    assert found.shape == (4000,) and abs(found.mean() - 1) < 5 * np.sqrt(2 / 6 / 4000)


def test_conditions_are_dropped_at_the_stated_rate_and_together():
    cond = {"label": jnp.arange(5000) % 7, "vector": jnp.ones((5000, 2))}
    found = jax.jit(lambda: losses.drop(jax.random.key(0), cond, {"label": 9, "vector": jnp.zeros(2)}, 0.2))()
    found, cond = jax.tree.map(np.asarray, (found, cond))
    gone = found["label"] == 9
    np.testing.assert_array_equal(found["vector"], np.repeat(np.where(gone, 0.0, 1.0)[:, None], 2, 1))
    np.testing.assert_array_equal(found["label"][~gone], cond["label"][~gone])
    assert abs(gone.mean() - 0.2) < 5 * np.sqrt(0.16 / 5000)
    assert found["label"].dtype == cond["label"].dtype


def test_the_law_of_levels_follows_the_standard_deviation_of_the_data_and_their_shape(key):
    """EDM's own for vectors of standard deviation 1/2; images are learned at more noise; the scale does not matter."""
    law = losses.LogNormal()
    law.check()
    assert law.resolved(0.5, (2,)) == losses.LogNormal(-1.2) and law.resolved(0.5, (8, 8)) == losses.LogNormal(-0.5)
    assert law.resolved(5.0, (2,)).mean == pytest.approx(-1.2 + np.log(10))
    assert law.resolved(5.0, (16, 16, 3)).mean == pytest.approx(-0.5 + np.log(10))
    assert law.resolved(5.0, (16, 16, 4)).mean == pytest.approx(-1.2 + np.log(10))
    assert losses.LogNormal(0.3).resolved(5.0, (2,)) == losses.LogNormal(0.3)
    assert losses.UniformTime().resolved(5.0, (2,)) == losses.UniformTime()
    apply, x = lambda params, x, t, cond: 0 * x, jax.random.normal(key, (6, 3))

    @jax.jit
    def of_scaled(scale):
        """The loss in units of the data, of data that the network knows nothing about."""
        weighting = losses.EDMWeighting(scale)
        return losses.denoising(key, apply, None, scale * x, SCHEDULES["ve"], weighting=weighting)

    np.testing.assert_allclose(of_scaled(1.0), of_scaled(8.0), rtol=1e-4)
    one = lambda **options: losses.denoising(key, apply, None, x, SCHEDULES["ve"], weighting=None, **options)  # noqa: E731
    np.testing.assert_allclose(*jax.jit(lambda: (one(sigma_data=0.5), one(levels=losses.LogNormal(-1.2))))(), rtol=1e-5)
    with pytest.raises(ValueError, match="sigma_data must be given for levels that are scaled by it, .*; got None"):
        losses.denoising(key, apply, None, x, SCHEDULES["ve"], weighting=None)
    with pytest.raises(ValueError, match="mean must be a number to draw levels"):
        law.draw(key, 3, SCHEDULES["ve"])


BAD = {
    "std": (lambda: losses.LogNormal(std=0.0).check(), "std must be finite and above 0; got 0.0"),
    "mean": (lambda: losses.LogNormal("aut").check(), "mean, if it is a string, must be one of 'auto'; got 'aut'"),
    "infinite mean": (lambda: losses.LogNormal(float("inf")).check(), "mean must be finite; got inf"),
    "ends": (lambda: losses.UniformLogSNR(2.0, 1.0).check(), "0 < sigma_min < sigma_max; got"),
    "gamma": (lambda: losses.MinSNRWeighting(-1.0).check(), "gamma must be above 0"),
    "data": (lambda: losses.EDMWeighting(0.0).check(), "sigma_data must be above 0"),
    "edges": (lambda: losses.Importance([1.0, 0.0], [1.0]).check(), "edges must be an increasing array"),
    "mass": (lambda: losses.Importance([0.0, 1.0], [0.5]).check(), "mass must be 1 positive numbers of sum 1"),
    "shapes": (lambda: losses.Importance.from_losses(np.arange(3.0), np.ones(2)), "lam and losses must be"),
    "even": (lambda: losses.Importance.from_losses(np.arange(3.0), np.ones(3), uniform=0.0), "uniform must be in"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_settings_are_one_sentence(name):
    act, sentence = BAD[name]
    with pytest.raises(ValueError, match=sentence):
        act()


def test_bad_calls_are_one_sentence(key):
    x, schedule = jnp.ones((2, 3)), SCHEDULES["vp"]
    with pytest.raises(ValueError, match="Did you mean 'epsilon'"):
        losses.denoising(key, lambda p, x, t, c: x, None, x, schedule, "epsilom")
    with pytest.raises(ValueError, match="apply must return an array of x's shape"):
        losses.denoising(key, lambda p, x, t, c: x[:, :1], None, x, schedule)
    with pytest.raises(TypeError, match="which the schedule DiscreteTime does not have"):
        losses.denoising(key, lambda p, x, t, c: x, None, x, discrete(), "velocity")
