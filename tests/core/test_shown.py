"""What objects print: one line that says what they are, without the numbers of their arrays."""

from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxsamp as js
from jaxsamp.denoisers import Observed

KEY, SCHEDULE = jax.random.key(0), js.schedules.Cosine()
POINTS = np.zeros((9, 2), np.float32)
MIXTURE = js.targets.GaussianMixture.spherical(np.ones(5) / 5, np.zeros((5, 64)), 1.0)
FULL = js.targets.GaussianMixture([1.0], np.zeros((1, 2)), np.eye(2)[None])
THIN = js.targets.GaussianMixture.low_rank([1.0], np.zeros((1, 3)), np.ones((1, 3, 1)), 0.0)
MODEL = js.models.Model(js.models.MLP(width=8), SCHEDULE)


def network(params, x, t, cond):
    return x


DENOISER = js.denoiser(network, {"in": jnp.ones((2, 16)), "out": jnp.ones(1_000)}, SCHEDULE, "v", jnp.bfloat16)
LINES = {
    "spherical": (MIXTURE, "GaussianMixture(5 components in 64 dimensions, spherical)"),
    "full": (FULL, "GaussianMixture(1 component in 2 dimensions, full)"),
    "low rank": (THIN, "GaussianMixture(1 component in 3 dimensions, rank 1, singular)"),
    "empirical": (js.targets.Empirical(POINTS), "Empirical(data=float32[9, 2], chunk=1024, refine=64)"),
    "target": (
        MIXTURE.denoiser(SCHEDULE),
        f"TargetDenoiser(target=GaussianMixture(5 components in 64 dimensions, spherical), schedule={SCHEDULE})",
    ),
    "network": (
        DENOISER,
        f"NetworkDenoiser(apply=network, params=2 arrays of 1,032 numbers, schedule={SCHEDULE}, prediction='v', "
        "dtype=bfloat16)",
    ),
    "model": (MODEL, f"Model(network=MLP(...), schedule={SCHEDULE}, predicts='edm', sigma_data=0.5, blind=False)"),
    "wrapped": (js.clip(DENOISER, -1.0, jnp.ones(2)), f"Clipped(denoiser={DENOISER}, low=-1.0, high=float32[2])"),
    "samples": (
        js.Samples(jnp.zeros((8, 2)), {"rounds": jnp.zeros(8, int)}),
        "Samples(x=float32[8, 2], stats=1 array of 8 numbers)",
    ),
    "chains": (
        js.Chains(jnp.zeros((8, 2)), None, {"rounds": jnp.zeros(8, int)}),
        "Chains(x=float32[8, 2], draws=None, stats=1 array of 8 numbers)",
    ),
    "level": (js.Level(jnp.float32(0.5), jnp.ones(3)), "Level(alpha=0.5, sigma=float32[3])"),
    "observed": (Observed(POINTS, POINTS > 0), "Observed(y=float32[9, 2], operator=bool[9, 2])"),
}


@pytest.mark.parametrize("name", LINES)
def test_what_is_printed_is_one_line_without_arrays(name):
    thing, line = LINES[name]
    assert (repr(thing) if name != "model" else js.core.shown.value(thing)) == line


def test_shards_say_how_many_are_there(tmp_path):
    shards = js.sample_shards(tmp_path, KEY, MIXTURE.denoiser(SCHEDULE), (6, 64), steps=1, shard_size=4)
    assert repr(shards) == f"Shards({str(tmp_path)!r}, shape=(6, 64), dtype=float32, 2 of 2 shards)"


def test_arrays_are_shown_under_a_trace_and_placeholders_do_not_raise():
    said = []
    jax.jit(lambda law, data: said.append((repr(law), repr(data))))(MIXTURE, js.targets.Empirical(POINTS))
    assert said == [(LINES["spherical"][1], LINES["empirical"][1])]
    for thing, _ in LINES.values():
        assert "\n" not in repr(jax.tree.map(lambda _: None, thing))


def test_a_class_with_a_line_of_its_own_keeps_it():
    @js.pytree
    @dataclass(frozen=True)
    class Own:
        x: Any

        def __repr__(self):
            return "mine"

    @js.pytree
    @dataclass(frozen=True)
    class Plain:
        x: Any
        f: Any

    assert repr(Own(jnp.ones(2))) == "mine"
    assert repr(Plain(Own(1), partial(network, 1))) == "Plain(x=mine, f=partial(network))"
