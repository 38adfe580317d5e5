"""Measurements that were made elsewhere: whole numbers, other dtypes and orders of memory, and operators of them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxsamp.corruptions import (
    ClipOperator,
    CompressedSensing,
    DenseOperator,
    Mask,
    Measurements,
    SaturationOperator,
    StoredMeasurements,
    corrupt,
)

KEY = jax.random.key(0)
MATRICES = DenseOperator(jnp.broadcast_to(jnp.array([[0.6, 0.3, 0.0], [0.0, 0.4, 0.7]]), (4, 2, 3)))


def test_whole_numbers_are_measurements_like_others():
    y = np.arange(8).reshape(4, 2)
    whole, real = (
        Measurements(y.astype(d), MATRICES, CompressedSensing(2, noise=0.3), (3,)) for d in (np.uint8, float)
    )
    np.testing.assert_allclose(whole.noise, 0.3)
    np.testing.assert_array_equal(whole.back_projection(), real.back_projection())
    assert whole.std() == real.std()
    x = np.array([1, 2, 3])
    for operator in (DenseOperator(np.full((1, 3), 0.5)), SaturationOperator(0.5, 0.7), ClipOperator(0.5, -0.2, 0.8)):
        np.testing.assert_array_equal(operator(jnp.asarray(x)), operator(jnp.asarray(x, float)))


def test_half_precision_has_a_pseudoinverse():
    matrix, y = DenseOperator(MATRICES.matrix[0]), jnp.array([0.5, -1.0])
    for dtype in (jnp.float16, jnp.bfloat16):
        found = matrix.pseudoinverse(y.astype(dtype))
        assert found.dtype == dtype
        np.testing.assert_allclose(found.astype(float), matrix.pseudoinverse(y), atol=0.02)


def test_what_is_written_is_read_whatever_its_dtype_and_order(tmp_path):
    half = corrupt(KEY, jnp.ones((6, 3), jnp.bfloat16), Mask(0.5))
    half.save(tmp_path / "half")
    np.testing.assert_array_equal(Measurements.load(tmp_path / "half").y, np.asarray(half.y, np.float32))
    turned = Measurements(np.asfortranarray(np.asarray(half.y, np.float32)), half.operator, half.law, (3,))
    turned.save(tmp_path / "turned")
    stored = StoredMeasurements(tmp_path / "turned")
    np.testing.assert_array_equal(stored.read().y, turned.y)
    np.testing.assert_array_equal(stored[np.int64(2)].read().y, turned.y[2:3])
    for rows in ([-1], np.arange(6) == 5):
        np.testing.assert_array_equal(StoredMeasurements(tmp_path / "turned", rows).read().y, turned.y[5:])
    for wrong in ([9], [0.5], np.ones(5, bool)):
        with pytest.raises(IndexError, match="rows must be numbers of the 6 measurements, or a mask of them"):
            StoredMeasurements(tmp_path / "turned", wrong)
    with pytest.raises(ValueError, match="measurements must be at least one to be written"):
        turned[:0].save(tmp_path / "none")


def test_limits_that_exclude_each_other_are_refused():
    with pytest.raises(ValueError, match="high must be above low; got low = 1.0 and high = -1.0"):
        ClipOperator(1.0, 1.0, -1.0)
    with pytest.raises(ValueError, match="limit must be above 0; got -2.0"):
        SaturationOperator(1.0, -2.0)
