"""The window that a denoiser needs is the one that the closed form says, and grows with the noise."""

import numpy as np
import pytest

from jaxsamp.learning import measure_context


def textures(reach, n=4000, side=12):
    """Gaussian images whose pixels are correlated over `reach` of them, as rough as natural ones."""
    rng = np.random.default_rng(0)
    place = np.arange(side)
    factor = np.exp(-np.abs(place[:, None] - place) / reach)
    root = np.linalg.cholesky(factor)
    return root @ rng.normal(size=(n, side, side)) @ root.T


def test_the_window_grows_with_the_noise_and_is_the_middle_alone_where_pixels_are_independent():
    sigma = [0.01, 0.1, 1.0, 5.0]
    found = measure_context(textures(8.0), sigma)
    assert (np.diff(found.size) >= 0).all() and found.size[0] < found.size[-1] <= 12
    alone = measure_context(np.random.default_rng(0).normal(size=(4000, 8, 8)), sigma)
    np.testing.assert_array_equal(alone.size, 2)
    assert alone.sigma_max(2) == 5.0 and alone.sigma_max(1) == 0
    assert found.sigma_max(int(found.size[1])) >= 0.1 > found.sigma_max(int(found.size[0]) - 2)


def test_the_error_in_the_middle_is_that_of_the_best_linear_denoiser():
    """By regression on the same noisy windows, of one size that is enough and of the one before, which is not."""
    x, s = textures(1.0, 20_000, 8), 1.0
    noisy = x + s * np.random.default_rng(1).normal(size=x.shape)
    (size,) = measure_context(x, [s]).size
    errors = {}
    for side in (size - 2, size, 8):
        cut = slice((8 - side) // 2, (8 + side) // 2)
        seen, wanted = noisy[:, cut, cut].reshape(len(x), -1), x[:, 3:5, 3:5].reshape(len(x), -1)
        errors[side] = np.mean((seen @ np.linalg.lstsq(seen, wanted, rcond=None)[0] - wanted) ** 2)
    assert errors[size] < 1.06 * errors[8] and errors[size - 2] > 1.04 * errors[8]


@pytest.mark.parametrize(
    "data, options, phrase",
    [
        (np.zeros((3, 8, 6)), {}, r"of even side; got \(3, 8, 6\)"),
        (np.zeros((3, 5, 5)), {}, r"of even side; got \(3, 5, 5\)"),
        (np.zeros((3, 4, 4)), {"sigma": [1.0, 0.5]}, "sigma must be increasing levels above 0"),
        (np.zeros((3, 4, 4)), {"tolerance": 0.0}, "tolerance must be above 0; got 0.0"),
    ],
)
def test_what_has_no_context_is_refused_in_a_sentence(data, options, phrase):
    with pytest.raises(ValueError, match=phrase):
        measure_context(data, **{"sigma": [0.1, 1.0], **options})
