"""Labels that a network does not have are one sentence at every door, not samples of NaN."""

import inspect

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxsamp as js
from tests.cases import SCHEDULES

MODEL = js.models.Model(js.models.MLP(4, 1, 3), SCHEDULES["vp"])


@pytest.fixture(scope="module")
def learned():
    return MODEL.denoiser(MODEL.init(jax.random.key(0), jnp.zeros((1, 2)), jnp.zeros(1, int)))


def draw(denoiser, labels, **options):
    door = inspect.unwrap(js.sample)
    return door(jax.random.key(0), denoiser, (len(labels), 2), steps=2, cond=labels, **options).x


SENTENCE = (
    r"cond must have labels from 0 to 2, or 3 for no label, for a network of classes=3; got labels from {}\. "
    r"jaxsamp\.datasets\.renumber_labels numbers others from 0\."
)


@pytest.mark.parametrize(("label", "range"), [(4, "0 to 4"), (-1, "-1 to 0"), (2_000_000, "0 to 2000000")])
def test_labels_out_of_range_are_one_sentence_through_every_wrapper(learned, label, range):
    labels = jnp.array([0, label])
    for denoiser in (
        learned,
        js.guide(learned, 2.0, 3),
        js.clip(learned),
        js.inpaint(learned, np.zeros(2), np.ones(2, bool)),
    ):
        with pytest.raises(ValueError, match=SENTENCE.format(range)):
            draw(denoiser, labels)
    with pytest.raises(ValueError, match=SENTENCE.format(range)):
        js.calibrate(jax.random.key(0), learned, np.zeros((2, 2)), cond=labels)
    with pytest.raises(ValueError, match=SENTENCE.format(range)):
        js.log_likelihood(jax.random.key(0), learned, jnp.zeros((2, 2)), cond=labels, steps=2)


def test_labels_in_range_and_no_label_are_taken_and_tracers_are_not_read(learned):
    assert jnp.isfinite(draw(learned, jnp.array([0, 3]))).all()
    assert jax.eval_shape(lambda labels: draw(learned, labels), jnp.array([0, 9])).shape == (2, 2)


@pytest.mark.parametrize("kind", [bool, np.float32])
def test_labels_that_are_no_integers_are_one_sentence_and_not_vectors(learned, kind):
    sentence = r"cond must have integer labels for a network of classes=3; got {}\. Vectors are of shape \(n, k\)"
    labels = np.array([0, 1], kind)
    for cond in (labels, {"label": labels}):
        with pytest.raises(ValueError, match=sentence.format(labels.dtype)):
            MODEL.check_cond(cond)
    with pytest.raises(ValueError, match=sentence.format(labels.dtype)):
        draw(learned, labels)
    MODEL.check_cond({"vector": labels}), MODEL.check_cond(np.zeros((2, 5)))


def test_no_label_of_many_classes_fits_labels_of_few_bits():
    """As uint8, label 256 would be label 0."""
    labels, seen = jnp.array([0, 255], jnp.uint8), []
    dropped = js.losses.drop(jax.random.key(0), labels, 256, 1.0)
    assert dropped.dtype == jnp.int32 and dropped.tolist() == [256, 256]

    def apply(params, x, t, cond):
        seen.append(cond)
        return x

    guided = js.guide(js.denoiser(apply, None, SCHEDULES["vp"], "x0"), 2.0, 256)
    guided(jnp.zeros((2, 2)), js.Level(1.0, 1.0, 0.5), labels)
    assert seen[0].tolist() == [256, 256, 0, 255]


def test_a_network_of_ones_own_says_which_conditions_it_takes():
    class Own:
        def __call__(self, params, x, t, cond):
            return x

        def check_cond(self, cond, n):
            raise ValueError(f"cond must be kinder to {n}.")

    with pytest.raises(ValueError, match="kinder to 2"):
        draw(js.denoiser(Own(), None, SCHEDULES["vp"], "x0"), jnp.array([0, 1]))


def test_labels_of_a_dataset_that_do_not_fit_are_one_sentence():
    grain = pytest.importorskip("grain")
    data = grain.MapDataset.source([(np.float32([i, 1]), np.int64(2**40)) for i in range(4)])
    with pytest.raises(
        ValueError, match="the condition of sample 0 must be integers that fit int32; got 1099511627776"
    ):
        inspect.unwrap(js.fit)(jax.random.key(0), js.models.MLP(4, 1, 3), data, SCHEDULES["vp"], 2, batch_size=2)
