"""Damages of images against SciPy, Pillow and closed forms."""

import inspect
import io
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from jaxsamp.core.fingerprint import describe
from jaxsamp.corruptions import JPEG, ColorShift, GaussianBlur, GaussianNoise, MotionBlur, Pixelate

KEY = jax.random.key(0)
IMAGES = np.random.default_rng(0).uniform(-1, 1, (3, 12, 14, 3))
ALL = [GaussianBlur(0.8), MotionBlur(5), Pixelate(4), JPEG(10), GaussianNoise(0.2), ColorShift(0.2)]
BLURS = [GaussianBlur(0.8), MotionBlur(5), MotionBlur(4, 30), Pixelate(4)]


@partial(jax.jit, static_argnums=0)
def compiled(corruption, images):
    """One program instead of many small ones."""
    return corruption(KEY, images)


def damaged(corruption, images):
    """As NumPy has them; JPEG refuses to be compiled."""
    return np.asarray(corruption(KEY, images) if isinstance(corruption, JPEG) else compiled(corruption, images))


@pytest.mark.parametrize("corruption", ALL, ids=lambda c: type(c).__name__)
def test_an_image_depends_on_its_own_number_alone(corruption):
    images = IMAGES.astype(np.float32)
    many = damaged(corruption, images)
    assert many.shape == images.shape and many.dtype == jnp.float32
    np.testing.assert_allclose(damaged(corruption, images[:2]), many[:2], atol=1e-6)
    other = np.concatenate([images[:1], -images[1:]])
    np.testing.assert_allclose(damaged(corruption, other)[0], many[0], atol=1e-6)
    assert damaged(corruption, images[..., 0]).shape == images.shape[:3]
    assert describe(corruption)["type"] == type(corruption).__name__
    assert np.abs(many).max() <= 1 or isinstance(corruption, GaussianNoise)


def test_a_gaussian_blur_is_that_of_scipy(x64):
    """Both are cut at ceil(4 sigma) pixels."""
    expected = [ndimage.gaussian_filter(image, 0.8, mode="reflect", radius=4, axes=(0, 1)) for image in IMAGES]
    np.testing.assert_allclose(damaged(GaussianBlur(0.8), IMAGES), expected, atol=1e-12)


@pytest.mark.parametrize(("angle", "size"), [(0, (1, 5, 1)), (90, (5, 1, 1))])
def test_a_motion_blur_along_an_axis_is_a_mean_of_pixels(x64, angle, size):
    expected = [ndimage.uniform_filter(image, size, mode="reflect") for image in IMAGES]
    np.testing.assert_allclose(damaged(MotionBlur(5, angle), IMAGES), expected, atol=1e-12)


def test_a_motion_blur_follows_its_angle(x64):
    kernels = jax.jit(jax.vmap(MotionBlur(7).kernel))(np.array([0.0, 30.0, 45.0, 90.0, 120.0]))
    at = dict(zip((0, 30, 45, 90, 120), np.asarray(kernels), strict=True))
    np.testing.assert_allclose(at[90], at[0].T, atol=1e-12)
    np.testing.assert_allclose(at[120], np.rot90(at[30]), atol=1e-12)
    np.testing.assert_allclose(at[45], at[45].T, atol=1e-12)
    assert at[45][1, 5] > 0.05 and at[45][1, 1] == 0  # up to the right, not down
    assert np.abs(at[0] - at[30]).max() > 0.05
    same = np.repeat(IMAGES[:1], 3, 0)
    assert np.abs(np.diff(damaged(MotionBlur(7), same)[:2], axis=0)).max() > 0.05  # an angle of its own per image


def test_blocks_are_their_means(x64):
    blocks = damaged(Pixelate(4), IMAGES)
    np.testing.assert_allclose(blocks[:, 4:8, 12:], np.broadcast_to(
        IMAGES[:, 4:8, 12:].mean((1, 2), keepdims=True), (3, 4, 2, 3)), atol=1e-12)  # fmt: skip


@pytest.mark.parametrize("corruption", BLURS, ids=str)
def test_blurs_keep_constants_and_lose_detail(corruption):
    np.testing.assert_allclose(damaged(corruption, np.full(IMAGES.shape, 0.3)), 0.3, atol=1e-6)
    blurred = damaged(corruption, IMAGES)
    energy = [np.square(np.diff(images, axis=2)).mean() for images in (IMAGES, blurred)]
    assert energy[1] < 0.7 * energy[0]
    np.testing.assert_allclose(blurred, corruption(KEY, IMAGES), atol=1e-6)  # compiled and not


def test_noise_has_its_variance_and_is_not_cut():
    """A sample variance of 20,000 numbers: false-alarm rate 6e-5 at 4 standard errors."""
    difference = damaged(GaussianNoise(0.5), np.ones((2, 100, 100)))
    assert abs(difference.var() / 0.25 - 1) < 4 * (2 / 20_000) ** 0.5 and difference.max() > 2


def test_a_shift_is_one_number_per_image_and_channel():
    shift = damaged(ColorShift(0.1), np.zeros((3, 4, 5, 3)))
    assert np.ptp(shift, axis=(1, 2)).max() == 0 and len(np.unique(shift)) == 9


def test_jpeg_is_that_of_pillow_and_worse_at_low_quality():
    levels, file = np.rint((IMAGES[0].astype(np.float32) + 1) * 127.5).astype(np.uint8), io.BytesIO()
    Image.fromarray(levels).save(file, "JPEG", quality=10)
    np.testing.assert_array_equal(np.rint((JPEG(10)(KEY, IMAGES)[0] + 1) * 127.5), np.asarray(Image.open(file)))
    errors = [np.abs(JPEG(quality)(KEY, IMAGES) - IMAGES).mean() for quality in (5, 30, 95)]
    assert errors[0] > errors[1] > errors[2]
    gray = JPEG(30)(KEY, IMAGES[..., :1])
    np.testing.assert_array_equal(gray[..., 0], JPEG(30)(KEY, IMAGES[..., 0]))


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: GaussianBlur(-1.0), "sigma must be finite and above 0; got -1.0"),
        (lambda: GaussianNoise(-1.0), "sigma must be finite and at least 0; got -1.0"),
        (lambda: ColorShift(float("nan")), "std must be finite and at least 0; got nan"),
        (lambda: MotionBlur(0.5), "length must be finite and at least 1; got 0.5"),
        (lambda: JPEG(96), "quality must be at most 95; got 96"),
        (lambda: JPEG(0), "quality must be at least 1; got 0"),
        (lambda: Pixelate(13)(KEY, IMAGES), r"size must be at most the height and width.*got 13 for \(12, 14\)"),
        (lambda: JPEG(9)(KEY, IMAGES[..., :2]), "images must have 1 or 3 channels for JPEG; got 2"),
        (lambda: JPEG(9)(KEY, IMAGES[..., [0, 1, 2, 0]]), "images must have 1 or 3 channels for JPEG; got 4"),
        (lambda: GaussianBlur(1.0)(KEY, 2 * IMAGES), r"images must have values in \[-1, 1\]"),
        (lambda: GaussianBlur(1.0)(KEY, np.nan * IMAGES), "images must be finite"),
        (lambda: GaussianBlur(1.0)(KEY, IMAGES[0, 0]), r"images must be \(n, h, w\)"),
    ],
)
def test_bad_input_is_one_sentence(call, words):
    with pytest.raises(ValueError, match=words):
        call()


def test_jpeg_in_jit_is_refused():
    with pytest.raises(TypeError, match="images must be values for JPEG"):
        jax.jit(lambda images: inspect.unwrap(JPEG.__call__)(JPEG(9), KEY, images))(IMAGES)
