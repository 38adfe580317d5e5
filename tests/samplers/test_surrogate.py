"""`ParallelMidpoint` with a cheap denoiser between its rounds: the same limit, in fewer of them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxsamp as js
from jaxsamp.samplers import ParallelMidpoint, UniPC
from tests.cases import SCHEDULES, g64, run, shrinking, small_mixture

N = 32


@pytest.fixture(scope="module")
def flow():
    """The denoiser of a mixture in float64, and the ends of its converged flow."""
    with jax.enable_x64(True):
        denoiser = small_mixture().denoiser(SCHEDULES["ve"])
        yield denoiser, np.asarray(run(UniPC(order=3, lower_order_final=False), denoiser, N, 1000))


def median_error(flow, sampler):
    denoiser, end = flow
    return float(np.median(np.sqrt(np.mean((run(sampler, denoiser, N, None) - end) ** 2, -1))))


def test_with_the_denoiser_itself_two_rounds_are_enough(x64, flow):
    denoiser, _ = flow
    assert median_error(flow, ParallelMidpoint(32, 1, surrogate=denoiser)) < 1e-4
    assert median_error(flow, ParallelMidpoint(32, 1)) > 3e-3


def test_the_limit_does_not_depend_on_the_surrogate(x64, flow):
    denoiser, _ = flow
    plain, near, far = (
        run(ParallelMidpoint(16, 40, surrogate=surrogate), denoiser, N, None)
        for surrogate in (None, denoiser, shrinking(3.0))
    )
    for other in (near, far):
        assert np.isclose(other, plain, rtol=1e-7, atol=1e-7).all(1).mean() > 0.9  # a few start between the modes


def test_a_linear_surrogate_is_the_linear_part_of_the_frame(x64):
    """S = a x leaves nothing to follow: plain sweeps, or with secants the window's linear system, solved in time."""
    held = js.calibration.from_sigma_data(1.0)
    denoiser = small_mixture().denoiser(SCHEDULES["ve"]).with_calibration(held)
    ends = {
        (n, surrogate is None): run(ParallelMidpoint(48, 2, secants=n, surrogate=surrogate), denoiser, N, None)
        for n in (0, 1)
        for surrogate in (None, shrinking())
    }  # fmt: skip
    np.testing.assert_allclose(ends[0, False], ends[0, True], rtol=1e-6, atol=1e-6)  # the frame has a from a table
    apart = lambda one, other: float(np.median(np.abs(ends[one] - ends[other])))  # noqa: E731
    assert apart((1, False), (1, True)) < 0.05 * apart((1, True), (0, True))


def test_few_nodes_are_told_although_the_surrogate_is_smooth(x64):
    """The error of the nodes is that of the denoiser's slopes, not of those of S, which are 0 in this frame."""
    denoiser = small_mixture().denoiser(SCHEDULES["ve"]).with_calibration(js.calibration.from_sigma_data(1.0))
    with pytest.warns(UserWarning, match="of 64 samples have not converged"):
        few = js.sample(jax.random.key(0), denoiser, (64, 2), ParallelMidpoint(6, surrogate=shrinking()))
    assert few.stats["converged"].mean() < 0.1


def test_what_a_surrogate_cost_is_told():
    denoiser = small_mixture().denoiser(SCHEDULES["ve"])
    draw = lambda sampler: js.sample(jax.random.key(0), denoiser, (8, 2), sampler, final_denoise=False).stats  # noqa: E731
    fixed = draw(ParallelMidpoint(8, 3, surrogate=shrinking()))
    assert (fixed["rounds"] == 4).all() and (fixed["evaluations"] == 32).all()
    assert (fixed["surrogate_evaluations"] == 1 + 8 + 4 * 8).all()
    stopped = draw(ParallelMidpoint(8, 12, tolerance=1e-2, surrogate=shrinking()))
    assert (stopped["surrogate_evaluations"] == 1 + 8 * (1 + stopped["rounds"])).all()
    assert stopped["rounds"].min() < 13


def conditional(params, x, t, cond):
    """A shrinking network that leans to one side, by how much depends on the sample."""
    return params["w"] * x / (1 + t[:, None] ** 2) + jnp.tanh(x + 2 * cond[:, None])


def made(w, schedule="ve"):
    return js.denoiser(conditional, {"w": jnp.float32(w)}, SCHEDULES[schedule], "x0")


def test_conditions_reach_the_surrogate_and_new_weights_do_not_recompile():
    held, cond = js.calibration.from_sigma_data(1.0), jnp.linspace(-1, 1, 6)

    def go(w, of, count, first=0, **options):
        denoiser, sampler = made(w).with_calibration(held), ParallelMidpoint(16, count, surrogate=of)
        init = 80 * jax.random.normal(jax.random.key(1), (6, 3))
        return js.sample(jax.random.key(0), denoiser, (6, 3), sampler, init=init, cond=cond, **options).x

    whole = go(0.5, made(0.5), 1)
    np.testing.assert_allclose(whole, go(0.5, made(0.5), 12), atol=3e-3)  # S = D, if it gets the condition too
    with jax.no_tracing(True):
        other = go(0.6, made(0.9), 1)
    assert not np.allclose(whole, other)
    np.testing.assert_allclose(whole, go(0.5, made(0.5), 1, microbatch=4), atol=1e-5)


def test_a_guided_network_follows_its_guided_draft(x64):
    """Fewer rounds to the guided network's own flow than without the draft, and than with the draft unguided."""
    held, cond = js.calibration.from_sigma_data(1.0), jnp.linspace(-1, 1, 24)
    guided = lambda w: js.denoisers.guide(made(w), 2.0, jnp.float32(0.0))  # noqa: E731
    network, init = guided(0.5).with_calibration(held), 80 * jax.random.normal(jax.random.key(1), (24, 3))

    def ends(sampler, steps=1):
        options = {"init": init, "cond": cond, "final_denoise": False}
        return np.asarray(js.sample(jax.random.key(0), network, (24, 3), sampler, steps, **options).x)

    flow = ends(UniPC(order=3, lower_order_final=False), 400)
    far = [
        float(np.median(np.sqrt(np.mean(np.square(ends(ParallelMidpoint(24, 2, surrogate=s)) - flow), 1))))
        for s in (guided(0.55), None, made(0.55))
    ]
    assert far[0] < 0.3 * far[1] and far[0] < 0.3 * far[2], far


@pytest.mark.slow
def test_the_surrogate_may_have_another_schedule(x64, flow):
    denoiser, _ = flow
    draw = lambda schedule: run(  # noqa: E731
        ParallelMidpoint(8, 1, surrogate=small_mixture().denoiser(SCHEDULES[schedule])), denoiser, N, None
    )
    np.testing.assert_allclose(draw("flow"), draw("ve"), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(
    ("sampler", "error", "message"),
    [
        (ParallelMidpoint(surrogate=3.0), TypeError, "surrogate must be a denoiser"),
        (ParallelMidpoint(nodes="random", surrogate=shrinking()), ValueError, 'nodes must be "gauss"'),
        (ParallelMidpoint(initial="constant", surrogate=shrinking()), ValueError, "initial left out"),
        (
            ParallelMidpoint(surrogate=g64().denoiser(SCHEDULES["ve"])),
            ValueError,
            r"surrogate must take samples of shape \(2,\); its event shape is \(64,\)",
        ),
    ],
)  # fmt: skip
def test_bad_surrogates_are_named(sampler, error, message):
    with pytest.raises(error, match=message):
        js.sample(jax.random.key(0), small_mixture().denoiser(SCHEDULES["ve"]), (2, 2), sampler)
