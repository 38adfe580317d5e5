"""Laws of corruptions: what each hides, what its further corruption hides on top, and with which probabilities."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.ndimage

import jaxsamp as js
from jaxsamp import corruptions as room
from tests.cases import small_mixture

IMAGE, COMPLEX = (6, 8, 1), (4, 8, 2)
LAWS = {
    "mask": (room.Mask(0.6), IMAGE),
    "channels": (room.Mask(0.4, per_channel=True), (3, 4, 2)),
    "box": (room.Box(2), IMAGE),
    "fixed box": (room.FixedBox(2), (6, 9)),
    "patch": (room.KeepPatch(3, floor=0.2), IMAGE),
    "averages": (room.Downsample(2, rate=0.3), IMAGE),
    "dense": (room.CompressedSensing(4), (3, 3)),
    "k-space": (room.KSpace(2.0, center=0.25), COMPLEX),
}
DELTA = 0.3


def matrix(function, shape):
    """The matrix of a linear function of an event."""
    units = jnp.eye(int(np.prod(shape))).reshape(-1, *shape)
    return jax.vmap(function)(units).reshape(len(units), -1).T


draw = jax.jit(
    lambda law, key, n, event, further=0.0: law.draw(key, n, event, further=further), static_argnums=(2, 3, 4)
)


@pytest.mark.parametrize("name", LAWS)
def test_pseudoinverse_and_projector_are_those_of_the_matrix(x64, name):
    """Against NumPy's pseudoinverse; and what A~ sees is part of what A sees."""
    law, event = LAWS[name]
    y = np.random.default_rng(0).normal(size=jax.eval_shape(law.full(event), jnp.zeros(event)).shape)

    def parts(one):
        shape = jax.eval_shape(one, jnp.zeros(event)).shape
        seen = jnp.asarray(y.ravel()[: np.prod(shape, dtype=int)].reshape(shape))
        matrices = matrix(one, event), matrix(one.adjoint, shape), matrix(one.projector, event)
        return *matrices, one.diagonal(event), seen, one.pseudoinverse(seen)

    @jax.jit  # one program instead of many small ones
    def both(key):
        for_law, for_further = jax.random.split(key)
        operator = law.sample(for_law, event)
        further = law.thinned(for_further, operator, DELTA)
        return parts(operator), parts(further), matrix(law.full(event).projector, event)

    operator, further, full = jax.tree.map(np.asarray, both(jax.random.key(1)))
    for a, adjoint, p, diagonal, seen, back in (operator, further):
        np.testing.assert_allclose(adjoint, a.T, atol=1e-12)
        np.testing.assert_allclose(back.ravel(), np.linalg.pinv(a, 1e-9) @ seen.ravel(), atol=1e-10)
        np.testing.assert_allclose(p, np.linalg.pinv(a, 1e-9) @ a, atol=1e-10)
        np.testing.assert_allclose(np.ravel(diagonal), np.diag(p), atol=1e-10)
    sees, thinned = operator[2], further[2]
    np.testing.assert_allclose(sees @ thinned, thinned, atol=1e-10)
    assert 0 < np.trace(thinned) < np.trace(sees) or name == "averages"
    assert np.trace(full) == pytest.approx(np.prod(event))


@pytest.mark.parametrize("name", LAWS)
def test_the_gram_is_what_is_seen_of_the_hidden(name):
    """E[f(A~) ((I - P~)(P - q)(I - P~))_jj] = 0 for each j and for f = 1 and a random f: the largest of the z-scores.

    10,000 draws of at most 48 entries and two functions; a false alarm at |z| > 5 has probability below 1e-4.
    """
    law, event = LAWS[name]
    rng = np.random.default_rng(3)
    test = jnp.asarray(rng.normal(size=(int(np.prod(event)),)))

    @jax.jit
    @jax.vmap
    def draw(key):
        for_law, for_further = jax.random.split(key)
        operator = law.sample(for_law, event)
        further = law.thinned(for_further, operator, DELTA)
        seen, kept = operator.diagonal(event), further.diagonal(event)
        gap = (seen - kept - law.gram(further, DELTA) * (1 - kept)).reshape(-1)
        return jnp.stack([gap, gap * jnp.tanh(test @ kept.reshape(-1))])

    gaps = np.asarray(draw(jax.random.split(jax.random.key(5), 10_000)), np.float64)
    varies = gaps.std(0) > 1e-6
    assert varies.any() and np.abs(gaps[:, ~varies]).max(initial=0) < 1e-5
    z = gaps.mean(0)[varies] / (gaps.std(0)[varies] / 100)
    assert np.abs(z).max() < 5


def test_masks_hide_their_share_and_each_sample_has_its_own():
    """100 x 48 pixels: |z| < 4 has a false-alarm rate of 6e-5."""
    law, key = room.Mask(0.6), jax.random.key(0)
    drawn = np.asarray(draw(law, key, 100, IMAGE).mask)
    assert abs(float(drawn.mean()) - 0.4) < 4 * np.sqrt(0.24 / 4800)
    assert len(np.unique(drawn.reshape(100, -1), axis=0)) == 100
    np.testing.assert_array_equal(drawn[:7], draw(law, key, 7, IMAGE).mask)
    colors = np.asarray(draw(law, key, 20, (4, 4, 3)).mask)
    assert (colors[..., :1] == colors).all()
    each = np.asarray(draw(room.Mask(0.6, per_channel=True), key, 20, (4, 4, 3)).mask)
    assert not (each[..., :1] == each).all()


def test_the_further_corruption_is_another_one_for_every_key():
    """A frozen one costs half of what is learned: given the same A, entries that it hides change from step to step."""
    law = room.Mask(0.5)
    operator = law.sample(jax.random.key(0), (400,))
    thinned = jax.jit(lambda key: law.thinned(key, operator, 0.1).mask)
    masks, mask = [np.asarray(thinned(jax.random.key(i + 1))) for i in range(2)], np.asarray(operator.mask)
    assert not (masks[0] == masks[1]).all() and all(not (m & ~mask).any() for m in masks)
    seen = float(mask.sum())
    assert abs(float(masks[0].sum()) - 0.9 * seen) < 4 * np.sqrt(0.09 * seen)


def test_squares_are_squares_and_the_second_does_not_touch_the_first():
    masks = ~np.asarray(draw(room.FixedBox(3), jax.random.key(0), 64, (11, 9), 0.1).mask)
    for mask in masks:
        labels, number = scipy.ndimage.label(mask, np.ones((3, 3)))
        assert number == 2 and {int((labels == k).sum()) for k in (1, 2)} == {9}
    overflow = (~np.asarray(draw(room.Box(3), jax.random.key(0), 200, (9, 9)).mask)).sum((1, 2))
    assert set(overflow.tolist()) == {1, 2, 3, 4, 6, 9}


def test_frequencies_of_the_center_are_always_seen_and_the_share_is_the_acceleration():
    """200 x 32 columns of which 3 are sure: |z| < 4."""
    columns = np.asarray(draw(room.KSpace(4.0, center=0.1), jax.random.key(0), 200, (4, 32, 2)).columns)
    assert columns[:, [0, 1, 31]].all()
    free, p = 29 * 200, (32 / 4 - 3) / 29
    assert abs(columns.sum() - 3 * 200 - free * p) < 4 * np.sqrt(free * p * (1 - p))


def test_blur_is_a_gaussian_filter(x64):
    image = np.random.default_rng(0).normal(size=(9, 12, 2))
    blurred = jax.jit(lambda x: room.Blur(1.3).sample(jax.random.key(0), image.shape)(x))(image)
    expected = scipy.ndimage.gaussian_filter(image, (1.3, 1.3, 0), mode="reflect", radius=(6, 6, 0))
    np.testing.assert_allclose(blurred, expected, atol=1e-12)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: room.Mask(1.0), r"rate must be in \[0, 1\); got 1.0"),
        (lambda: room.Mask(-0.1), r"rate must be in \[0, 1\); got -0.1"),
        (lambda: room.KeepPatch(2, floor=1.0), r"floor must be in \[0, 1\); got 1.0"),
        (lambda: room.Downsample(2, rate=1.5), r"rate must be in \[0, 1\]; got 1.5"),
        (lambda: room.Mask(0.5, noise=-1.0), "noise must be a standard deviation, finite and at least 0; got -1"),
        (lambda: room.CompressedSensing(9).draw(jax.random.key(0), 2, (2, 4)), "measurements must be at most"),
        (lambda: room.Downsample(3).draw(jax.random.key(0), 2, (8, 9)), "factor must divide the height and width"),
        (lambda: room.Box(9).draw(jax.random.key(0), 2, (8, 8)), "event_shape must be .* at least 9 wide"),
        (
            lambda: room.FixedBox(5).draw(jax.random.key(0), 2, (8, 8), further=0.1),
            "size must leave room for a second square",
        ),
        (lambda: room.KSpace(1.0), "acceleration must be above 1; got 1.0"),
        (lambda: room.KSpace(4.0, center=0.3), "center must be a share from 0 to below 1 / acceleration = 0.25"),
        (
            lambda: room.KSpace(4.0).draw(jax.random.key(0), 2, (8, 8)),
            r"event_shape must be complex images \(h, w, 2\)",
        ),
        (lambda: room.Blur(1.0).draw(jax.random.key(0), 2, (8, 8), further=0.1), "law must have a further corruption"),
        (lambda: room.Mask().draw(jax.random.key(0), 2, (8,), further=1.0), r"further must be in \[0, 1\); got 1.0"),
    ],
)
def test_bad_laws_are_a_sentence(call, words):
    with pytest.raises(ValueError, match=words):
        call()


def test_every_operator_is_an_observation_for_the_posterior(x64):
    """`js.posterior` takes the operators of all laws, one per sample in `cond`."""
    target = small_mixture()
    denoiser = target.denoiser(js.schedules.VarianceExploding())
    x0 = target.sample(jax.random.key(0), 3)
    operators = draw(room.CompressedSensing(2), jax.random.key(1), 3, (2,))

    @jax.jit
    def restore(x0, operators):
        given = js.denoisers.Observed(jax.vmap(lambda a, x: a(x))(operators, x0), operators, jnp.full(3, 1e-3))
        return js.posterior(denoiser)(x0, js.Level(1.0, 0.5), given)

    restored = restore(x0, operators)
    np.testing.assert_allclose(restored, x0, atol=1e-2)  # two measurements of two numbers


def test_operators_of_a_law_are_drawn_by_one_program_whatever_the_key():
    """As a vmap outside of jit they were 10 to 60 programs for the first use of each law."""
    compiled, law, event = [], room.FixedBox(3), (9, 11)  # a size that no other test has compiled
    jax.monitoring.register_event_duration_secs_listener(
        lambda name, _, **__: compiled.append(name) if "backend_compile" in name else None
    )
    law.draw(jax.random.key(0), 5, (4, 4))  # the keys of 5 samples, which all laws share
    before = len(compiled)
    first = law.draw(jax.random.key(1), 5, event)
    assert len(compiled) == before + 1
    more = law.draw(jax.random.key(1), 5, event, further=0.1)
    assert len(compiled) == before + 2 and not (np.asarray(more.mask) & ~np.asarray(first.mask)).any()
    for seed in range(2):
        law.draw(jax.random.key(seed), 5, event, further=0.1)
    assert len(compiled) == before + 2


def test_an_operator_that_is_drawn_by_many_is_the_one_that_is_drawn_alone():
    """Bit for bit, within a program and without: the weights of a row were rounded in another way by jit."""
    law, event = room.CompressedSensing(5), (3, 3)
    for_law, for_further = jax.random.split(jax.random.fold_in(jax.random.key(1), 2))
    alone = law.thinned(for_further, law.sample(for_law, event), 0.3)
    np.testing.assert_array_equal(law.draw(jax.random.key(1), 3, event, further=0.3).matrix[2], alone.matrix)
