"""Linear operators and their adjoints; one operator of each sample is one object with a leading axis."""

from dataclasses import dataclass, field

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxsamp as js
from jaxsamp.core.protocols import LinearOperator
from jaxsamp.core.pytrees import pytree
from jaxsamp.corruptions import DenseOperator, MaskOperator
from tests.cases import SCHEDULES, small_mixture

RNG = np.random.default_rng(0)
EVENT, MASK = (3, 2), np.array([[True, False], [False, False], [True, True]])
OPERATORS = {
    "mask": (MaskOperator(MASK), EVENT),
    "dense": (DenseOperator(RNG.normal(size=(4, *EVENT))), (4,)),
}


@pytest.mark.parametrize("name", OPERATORS)
def test_an_adjoint_is_the_transpose(x64, name):
    """<A x, y> = <x, A^T y>, and A^T is what JAX makes of A."""
    operator, shape = OPERATORS[name]
    x, y = jnp.asarray(RNG.normal(size=EVENT)), jnp.asarray(RNG.normal(size=shape))
    assert isinstance(operator, LinearOperator) and operator(x).shape == shape
    np.testing.assert_allclose(jnp.vdot(operator(x), y), jnp.vdot(x, operator.adjoint(y)), rtol=1e-13)
    np.testing.assert_allclose(jax.linear_transpose(operator, x)(y)[0], operator.adjoint(y), rtol=1e-13)
    assert jnp.abs(operator(x)).max() > 0.1


def test_operators_are_what_they_say(x64):
    x, y = jnp.asarray(RNG.normal(size=EVENT)), jnp.asarray(RNG.normal(size=4))
    mask, dense = (operator for operator, _ in OPERATORS.values())
    np.testing.assert_array_equal(mask(x), np.where(MASK, x, 0))
    np.testing.assert_array_equal(mask.adjoint(jnp.where(MASK, x, jnp.nan)), np.where(MASK, x, 0))
    np.testing.assert_allclose(dense(x), dense.matrix.reshape(4, 6) @ x.ravel(), rtol=1e-13)
    np.testing.assert_allclose(dense.adjoint(y).ravel(), dense.matrix.reshape(4, 6).T @ y, rtol=1e-13)
    single = x.astype(jnp.float32)
    assert mask(single).dtype == dense(single).dtype == dense.adjoint(dense(single)).dtype == jnp.float32


def test_many_operators_are_one_object_with_a_leading_axis(x64):
    masks, matrices = RNG.random((5, *EVENT)) < 0.5, RNG.normal(size=(5, 4, *EVENT))
    x = jnp.asarray(RNG.normal(size=(5, *EVENT)))
    for many, arrays in ((MaskOperator(masks), masks), (DenseOperator(matrices), matrices)):
        assert [leaf.shape[0] for leaf in jax.tree.leaves(many)] == [5]
        together = jax.jit(jax.vmap(lambda operator, x: operator(x)))(many, x)
        alone = np.stack(
            [type(many)(array)(jnp.asarray(event)) for array, event in zip(arrays, np.asarray(x), strict=True)]
        )
        np.testing.assert_allclose(together, alone, rtol=1e-12)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda mask, dense: mask(jnp.ones((5, *EVENT))), r"x must be of the mask's shape \(3, 2\), without a batch"),
        (lambda mask, dense: mask.adjoint(jnp.ones(4)), r"y must be of the mask's shape \(3, 2\).*got \(4,\)"),
        (lambda mask, dense: dense(jnp.ones(6)), r"x must be of an event of the matrix, shape \(3, 2\).*got \(6,\)"),
        (lambda mask, dense: dense.adjoint(jnp.ones(6)), r"y must be of a measurement by the matrix, shape \(4,\)"),
    ],
)
def test_shapes_that_do_not_fit_are_one_sentence(call, words):
    with pytest.raises(ValueError, match=words):
        call(*(operator for operator, _ in OPERATORS.values()))


@pytree
@dataclass(frozen=True)
class Halves:
    """A user's own operator: the mean of two halves, times a gain, with an adjoint written by hand."""

    gain: jax.typing.ArrayLike
    wrong: bool = field(default=False, metadata={"static": True})

    def __call__(self, x):
        return self.gain * (x[:1] + x[1:]) / 2

    def adjoint(self, y):
        back = self.gain * jnp.tile(y, 2) / 2
        return back[:1] if self.wrong else back


def test_posterior_takes_every_kind_of_operator_and_uses_a_users_own_adjoint(x64):
    """The same map as an operator, a function, and a user's own class gives the same denoiser."""
    inner, level, x = small_mixture().denoiser(SCHEDULES["ve"]), js.Level(1.0, 0.5), jnp.ones((3, 2))
    same = (lambda v: v[:1] + v[1:], DenseOperator(np.ones((1, 2))), Halves(2.0))
    seen = np.array([True, False])

    @jax.jit  # all in one program
    def restored():
        made = [
            [js.posterior(inner, jnp.array([0.4]), one, 0.3, variance=variance)(x, level) for one in same]
            for variance in (None, 0.5)
        ]
        makers = (lambda mask: js.posterior(inner, seen, mask, 0.3), lambda mask: js.inpaint(inner, seen, mask))
        return made, [(make(MaskOperator(seen))(x, level), make(seen)(x, level)) for make in makers]

    pairs, masked = restored()
    for made in pairs:
        np.testing.assert_allclose(made[1], made[0], rtol=1e-12)
        np.testing.assert_allclose(made[2], made[0], rtol=1e-12)
    for by_operator, by_mask in masked:
        np.testing.assert_array_equal(by_operator, by_mask)
    with pytest.raises(ValueError, match=r"operator.adjoint must return an array of the event's shape \(2,\); got \(1"):
        js.posterior(inner, jnp.array([0.4]), Halves(2.0, True), 0.3)(x, level)
