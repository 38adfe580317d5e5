"""Images that are mirrored or turned at random, with what belongs to them: operators of measurements, or noise."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

from jaxsamp.core import checks
from jaxsamp.core.types import Array, PyTree
from jaxsamp.corruptions.condition import Corrupted
from jaxsamp.training.omni import Admitted, drawn

MOVES: dict[str, tuple[tuple[int, bool], ...]] = {  # quarter turns, and whether left and right are exchanged after them
    "flip": ((0, False), (0, True)),
    "turn": tuple((quarters, mirrored) for mirrored in (False, True) for quarters in range(4)),
}
CHANNELS = "channels"  # of a condition: images too


@dataclass(frozen=True)
class Augmented:
    """A loss (key, model, params, x, cond) -> (batch,) of samples that are moved first, each by a move of its own.

    Of measurements A^+ y moves, and A with it: A' = A F^-1 for the move F, so that P' F x_0 = F P x_0, and what was
    hidden stays hidden. A clean image that is moved before it is measured would show its hidden parts instead. Of
    annotated samples the noise of each one's own moves too: with another noise for every move, more of a damaged sample
    would be seen than at its level.

    Attributes:
        loss: the loss.
        kind: "flip" or "turn".
    """

    loss: Callable[..., Array]
    kind: str

    def __call__(self, key: Array, model: Any, params: PyTree, x: Array, cond: PyTree) -> Array:
        """The loss of the batch after the moves, which are drawn uniformly."""
        for_loss, for_moves = jax.random.split(key)
        if isinstance(cond, Admitted):
            cond = drawn(x, cond)
        return self.loss(for_loss, model, params, *moved(for_moves, self.kind, x, cond))


def moved(key: Array, kind: str, x: Array, cond: PyTree) -> tuple[Array, PyTree]:
    """Samples (n, *event), and what moves with them of their conditions: operators, noise, the channels of a dict."""
    number = jax.random.randint(key, (len(x),), 0, len(MOVES[kind]))
    return jax.vmap(lambda i, event, told: (_one(kind, i, event), _told(kind, i, told)))(number, x, cond)


def check(kind: Any, x: Any, cond: PyTree) -> None:
    """Raise ValueError unless samples, and the operators among their conditions, can be moved so."""
    checks.one_of("augment", kind, MOVES)
    event = jnp.shape(x)[1:]
    if len(event) not in (2, 3):
        raise ValueError(f"augment must be left out unless samples are images, (h, w) or (h, w, c); they are {event}.")
    if kind == "turn" and event[0] != event[1]:
        raise ValueError(f'augment must be "flip" for images that are not square; got "turn" for {event}.')
    if isinstance(cond, Corrupted) and not hasattr(cond.operator, "moved"):
        raise ValueError(
            f"augment must be left out for a {type(cond.operator).__name__}, which has no `moved`: it does not measure "
            "the moved image."
        )


def _one(kind: str, number: Array, event: Array) -> Array:
    return jnp.stack([_move(event, *move) for move in MOVES[kind]])[number]


def _told(kind: str, number: Array, cond: PyTree) -> PyTree:
    if isinstance(cond, Corrupted):
        operators = [cond.operator.moved(lambda a, move=move: _move(a, *move)) for move in MOVES[kind]]
        operator = jax.tree.map(lambda *leaves: jnp.stack(leaves)[number], *operators)
        return Corrupted(operator, _told(kind, number, cond.cond))
    if isinstance(cond, Admitted):
        return cond._replace(cond=_told(kind, number, cond.cond), own=_one(kind, number, cond.own))
    if isinstance(cond, dict) and CHANNELS in cond:
        return cond | {CHANNELS: _one(kind, number, cond[CHANNELS])}
    return cond


def _move(event: Array, quarters: int, mirrored: bool) -> Array:
    turned = jnp.rot90(event, quarters)
    return turned[:, ::-1] if mirrored else turned
