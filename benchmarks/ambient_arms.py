"""What the ambient loss is compared with: the same loss with other operators, data or conditions."""

from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxsamp import losses
from jaxsamp.core.pytrees import pytree
from jaxsamp.corruptions import Corrupted, DenseOperator


@pytree
@dataclass(frozen=True)
class Clean:
    """An operator that hides nothing in the loss, with another one from which the network's is drawn."""

    inner: Any

    def projector(self, x):
        """x."""
        return x

    def condition(self):
        """That of the other."""
        return self.inner.condition()


@pytree
@dataclass(frozen=True)
class Frozen:
    """An operator with the further corruption that belongs to it for ever."""

    inner: Any
    further: Any

    def projector(self, x):
        """That of the operator."""
        return self.inner.projector(x)

    def condition(self):
        """That of the operator."""
        return self.inner.condition()


@pytree
@dataclass(frozen=True)
class Raw(DenseOperator):
    """The same operator; the network is told its matrix."""

    def condition(self):
        """All numbers of the matrix."""
        return {"vector": jnp.asarray(self.matrix).reshape(-1)}


class Arm:
    """The law with a further corruption of another kind."""

    noise = 0.0

    def __init__(self, law, kind):
        self.law, self.kind = law, kind

    def thinned(self, key, operator, rate):
        """A~ of this arm."""
        if self.kind == "frozen":
            return operator.further
        if self.kind == "no further":
            return operator
        further = self.law.thinned(key, operator.inner if isinstance(operator, Clean) else operator, rate)
        return Raw(further.matrix) if self.kind == "raw matrix" else further


def controls(law, measured, x, key, schedule, levels, further):
    """(data, operators, loss) of each arm, for `jaxsamp.fit`; x are the clean samples, and levels those of the loss."""
    back, operator = np.asarray(measured.back_projection()), measured.operator
    hidden = jax.vmap(law.thinned, (0, 0, None))(jax.random.split(key, len(x)), operator, further)
    made = {
        "oracle": (x, Clean(operator)),
        "frozen": (back, Frozen(operator, hidden)),
        "no further": (back, operator),
        "filled": (back, Clean(operator)),
    }
    if isinstance(operator, DenseOperator):
        made["raw matrix"] = (back, Raw(operator.matrix))
    return {
        name: (
            data,
            jax.tree.map(np.asarray, Corrupted(chosen)),
            partial(_loss, Arm(law, name), schedule, levels, further),
        )
        for name, (data, chosen) in made.items()
    }


def _loss(law, schedule, levels, further, key, model, params, x, cond):
    options = {"levels": levels, "weighting": losses.EDMWeighting(model.sigma_data)}
    return losses.ambient(key, model, params, x, cond.operator, law, schedule, further=further, **options)
