"""Images that are mirrored or turned while a network trains: clean ones, and measurements with their operators."""

import inspect

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxsamp as js
from jaxsamp import corruptions as room
from jaxsamp.training.augment import MOVES, Augmented, check, moved
from jaxsamp.training.omni import Admitted
from tests.cases import quick

S = js.schedules.VarianceExploding()
NETWORK = js.models.MLP(width=8, depth=1)
X = np.random.default_rng(0).normal(size=(12, 4, 4)).astype(np.float32)
NOTES = room.Annotations(np.where(np.arange(12) < 6, 0.0, 0.5))
MEASURED = room.corrupt(jax.random.key(0), X, room.Mask(0.5))
fit = inspect.unwrap(js.fit)
move = jax.jit(moved, static_argnums=1)


def run(data=MEASURED, steps=4, **options):
    return fit(jax.random.key(1), NETWORK, data, S, steps, batch_size=8, **options)


def all_moves(image, kind):
    mirrored = (image[:, ::-1],) if kind == "flip" else tuple(np.rot90(image, k)[:, ::-1] for k in range(4))
    return [image, *(np.rot90(image, k) for k in range(1, 4) if kind == "turn"), *mirrored]


@pytest.mark.parametrize("kind", MOVES)
def test_no_hidden_pixel_is_seen_in_any_epoch_and_all_moves_are_equally_likely(kind):
    """400 epochs of one measurement: as many images as moves, each with the moved mask; counts within 5 deviations."""
    n, moves = 400, len(MOVES[kind])
    one = jax.tree.map(
        lambda leaf: np.repeat(leaf[:1], n, 0), room.Corrupted(MEASURED.operator, {"channels": MEASURED.y})
    )
    x, cond = move(jax.random.key(2), kind, one.cond["channels"], one)
    found, counts = np.unique(np.asarray(x), axis=0, return_counts=True)
    expected = np.unique(all_moves(MEASURED.y[0], kind), axis=0)
    np.testing.assert_array_equal(found, expected)
    assert np.abs(counts - n / moves).max() < 5 * np.sqrt(n / moves)
    np.testing.assert_array_equal(cond.operator.mask, np.asarray(x) != 0)  # a mask never shows what another hid
    np.testing.assert_array_equal(cond.cond["channels"], x)


@pytest.mark.parametrize("law", [room.Mask(0.5), room.FixedBox(2), room.Downsample(2), room.CompressedSensing(3)])
def test_moved_operators_measure_moved_images(law):
    """P' F x = F P x: what moves is A^+ y of the same measurement."""
    measured = room.corrupt(jax.random.key(0), X, law)
    operators = room.Corrupted(jax.tree.map(jnp.asarray, measured.operator))

    @jax.jit
    def both(x, operators):
        project = jax.vmap(lambda a, event: a.projector(event))
        key, seen = jax.random.key(3), project(operators.operator, x)
        (y, _), (image, moved_operators) = moved(key, "turn", seen, operators), moved(key, "turn", x, operators)
        return y, project(moved_operators.operator, image), seen

    y, seen, before = map(np.asarray, both(X, operators))
    np.testing.assert_allclose(seen, y, atol=1e-5)
    assert not np.allclose(y, before, atol=0.1)


@pytest.mark.parametrize("kind", MOVES)
def test_annotated_images_move_with_their_noise_and_keep_their_levels(kind):
    """In 200 epochs only the moves of one noisy image are seen, as with another noise for each its mean would be x."""
    n = 200

    @jax.jit
    def seen(x, cond):
        found = []

        def loss(key, model, params, x, cond):
            found.append((x + cond.sigma_n[:, None, None] * cond.own, cond.cond["channels"], cond.log_snr))
            return x.sum((1, 2))

        Augmented(loss, kind)(jax.random.key(2), None, None, x, cond)
        return found[0]

    own, x, ones = jax.random.key(4), np.repeat(X[:1], n, 0), np.ones(n, np.float32)
    levels = np.arange(n, dtype=np.float32)
    noisy, channels, kept = seen(x, Admitted({"channels": x}, levels, ones, 2 * ones, jax.numpy.stack([own] * n)))
    one = X[0] + 2 * np.asarray(jax.random.normal(own, X[0].shape))
    expected = np.stack(all_moves(one, kind))
    which = np.abs(np.asarray(noisy)[:, None] - expected).max((2, 3)).argmin(1)
    assert set(which) == set(range(len(expected)))
    np.testing.assert_allclose(noisy, expected[which], atol=1e-5)
    np.testing.assert_array_equal(channels, np.stack(all_moves(X[0], kind))[which])
    np.testing.assert_array_equal(kept, levels)


DATA = {"clean": X, "measured": MEASURED, "annotated": X}


@pytest.mark.parametrize("data", quick(DATA, "measured"))
def test_a_run_with_moved_images_resumes_with_the_same_bits(tmp_path, data):
    given = {"annotations": NOTES} if data == "annotated" else {}
    data = DATA[data]
    whole = run(data, augment="turn", **given)

    def stop(step, state):
        if step == 3:
            raise KeyboardInterrupt

    options = {"augment": "turn", "checkpoint": tmp_path, "checkpoint_every": 2, **given}
    with pytest.raises(KeyboardInterrupt):
        run(data, callback=stop, callback_every=1, **options)
    resumed = run(data, resume=True, **options)
    for a, b in zip(jax.tree.leaves(whole.params), jax.tree.leaves(resumed.params), strict=True):
        np.testing.assert_array_equal(a, b)
    with pytest.raises(ValueError, match="is of another configuration: .*augment"):
        run(data, resume=True, **options | {"augment": "flip"})


COMPLEX = np.zeros((9, 4, 4, 2))


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: run(X, augment="shear"), "augment must be one of .*got 'shear'"),
        (lambda: run(X.reshape(12, 16), augment="flip"), r"augment must be left out unless .* images, .* are \(16,\)"),
        (lambda: run(X[:, :2], augment="turn"), r'augment must be "flip" for images that are not square; got "turn"'),
        (
            lambda: check("flip", COMPLEX, room.Corrupted(room.FourierMaskOperator(np.ones((9, 4), bool)))),
            "augment must be left out for a FourierMaskOperator",
        ),
    ],
)
def test_what_cannot_be_moved_is_a_sentence(call, words):
    with pytest.raises(ValueError, match=words):
        call()
