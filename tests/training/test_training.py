"""Training ends at the right denoiser, compiles once, keeps its precision, and says what went wrong."""

import inspect
import json
import math
from dataclasses import dataclass
from functools import partial

import chex
import jax
import jax.numpy as jnp
import jaxtyping
import numpy as np
import optax
import pytest

import jaxsamp as js
from jaxsamp import losses, models, training
from jaxsamp.core.fingerprint import describe, differences
from jaxsamp.training import data as data_of
from jaxsamp.training.checkpoint import load_config
from jaxsamp.training.journal import Journal, read
from tests.cases import SCHEDULES

TINY = models.MLP(width=16, depth=1)
X = (np.random.default_rng(0).normal(size=(50, 2)) * [1.0, 0.4]).astype(np.float32)


def fit(steps=6, model=TINY, data=X, schedule=SCHEDULES["vp"], door=None, **options):
    return (door or js.fit)(jax.random.key(0), model, data, schedule, steps, **{"batch_size": 8, **options})


def same(a, b):
    return all(np.array_equal(x, y) for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True))


def test_training_finds_the_posterior_mean_of_a_gaussian():
    """Loss within 3 % of the least possible; the fresh network, which is best for a sphere, is far above it."""
    target = js.targets.GaussianMixture([1.0], [[0.0, 0.0]], [[[1.0, 0.9], [0.9, 1.0]]])
    schedule = SCHEDULES["ve"]
    state = js.fit(
        jax.random.key(0), models.MLP(width=32, depth=1), target, schedule, 500, batch_size=256, ema=0.99,
        optimizer=training.AdamW(learning_rate=1e-2),
    )  # fmt: skip

    @jax.jit
    def errors(params):
        level = schedule.level(-jnp.log(jnp.asarray(0.7)))
        x = target.sample(jax.random.key(1), 4000)
        noisy = x + 0.7 * jax.random.normal(jax.random.key(2), x.shape)
        answers = [target.posterior_mean(noisy, level), *(state.model.denoiser(p)(noisy, level) for p in params)]
        return [jnp.mean((answer - x) ** 2) for answer in answers]

    fresh = training.TrainState.create(jax.random.key(0), state.model, jnp.zeros((256, 2)))
    best, averaged, last, new = errors([state.ema, state.params, fresh.ema])
    assert averaged < 1.03 * best < 1.15 * best < new
    assert last != averaged


def test_one_compilation_serves_the_whole_run():
    class Counted(models.MLP):
        @chex.assert_max_traces(n=2)  # the weights, and the step
        def __call__(self, x, noise, cond=None):
            return super().__call__(x, noise, cond)

    network = Counted(width=8, depth=1)
    first = fit(7, network, report_every=2)
    again = js.fit(jax.random.key(1), network, X, SCHEDULES["vp"], 7, batch_size=8, ema=0.5)
    assert not same(first.ema, again.ema)
    with pytest.raises(AssertionError, match="traced > 2 times"):
        fit(7, network, loss=training.denoising_loss(weighting=None))  # another loss is another step


def test_a_second_run_compiles_nothing():
    compiled, network = [], models.MLP(width=7, depth=1)  # that of no other test, which might have compiled it already
    jax.monitoring.register_event_duration_secs_listener(
        lambda event, _, **__: compiled.append(event) if "backend_compile" in event else None
    )
    for data in (X, js.targets.moons()):
        fit(2, network, data=data)
        before = len(compiled)
        fit(2, network, data=data)
        assert len(compiled) == before > 0


def test_the_key_decides_everything_and_the_step_is_counted():
    first, again, other = fit(), fit(), js.fit(jax.random.key(1), TINY, X, SCHEDULES["vp"], 6, batch_size=8)
    assert same(first.params, again.params) and same(first.ema, again.ema)
    assert not same(first.params, other.params)
    assert int(first.step) == 6 and int(first.batches) == 6


def test_a_step_is_the_documented_arithmetic(x64):
    """Clipping, Adam and the average, by hand, on a linear loss."""
    model = models.Model(TINY, SCHEDULES["vp"])
    loss = lambda key, model, params, x, cond: params["params"]["Dense_0"]["bias"].sum() * x[:, 0]  # noqa: E731
    x = jnp.full((4, 2), 3.0)
    chain = training.AdamW(learning_rate=0.1, warmup=0.0).build(10)
    state = training.TrainState.create(jax.random.key(0), model, x, optimizer=chain)
    before = state.params["params"]["Dense_0"]["bias"]
    after, metrics = jax.jit(partial(training.train_step, loss=loss, ema=0.5))(state, x)
    assert metrics["grad_norm"] == pytest.approx(3 * np.sqrt(16))  # before clipping
    gradient = np.full(16, 1 / np.sqrt(16))
    moved = before - 0.1 * gradient / (gradient + 1e-8)
    np.testing.assert_allclose(after.params["params"]["Dense_0"]["bias"], moved, rtol=1e-5)
    keep = 2 / 11  # (1 + 1) / (10 + 1)
    np.testing.assert_allclose(after.ema["params"]["Dense_0"]["bias"], before * keep + moved * (1 - keep), rtol=1e-5)


def test_the_average_warms_up_to_its_decay():
    np.testing.assert_allclose(training.ema_decay(jnp.array([0, 90, 10**6]), 0.999), [0.1, 0.91, 0.999], rtol=1e-6)


def test_the_rate_warms_up_and_falls():
    rate = training.AdamW(learning_rate=2.0, warmup=0.1, last=0.1).rate(100)
    found = [float(rate(i)) for i in (0, 10, 55, 100)]
    np.testing.assert_allclose(found, [0.2, 2.0, 0.2 + 1.8 * 0.5, 0.2], rtol=1e-5)


def test_accumulated_batches_make_the_step_of_one_large_batch():
    mean = lambda key, model, params, x, cond: jnp.square(model(params, x, jnp.full(len(x), 0.5)) - x).mean(1)  # noqa: E731
    whole = fit(4, batch_size=8, loss=mean, optimizer=optax.sgd(0.1))
    parts = fit(4, batch_size=8, loss=mean, optimizer=optax.sgd(0.1), accumulate=4)
    for name in ("params", "ema"):
        for a, b in zip(jax.tree.leaves(getattr(whole, name)), jax.tree.leaves(getattr(parts, name)), strict=True):
            np.testing.assert_allclose(a, b, atol=1e-6)
    assert int(parts.step) == 4 and int(parts.batches) == 16


@pytest.mark.slow
def test_weights_and_memory_stay_in_float32_when_the_network_computes_in_bfloat16():
    state = fit(3, models.MLP(width=16, depth=1, dtype=jnp.bfloat16))
    for tree in (state.params, state.ema, state.opt_state):
        assert {leaf.dtype for leaf in jax.tree.leaves(tree)} <= {jnp.dtype("float32"), jnp.dtype("int32")}
    assert not same(state.params, fit(3).params)


@pytest.mark.slow
def test_conditions_reach_the_network_and_are_dropped_for_guidance():
    labels = np.arange(50) % 2
    model = models.MLP(width=16, depth=1, classes=2)
    loss = training.denoising_loss(drop=0.5)
    state = fit(12, model, cond=labels, loss=loss, batch_size=16)
    table = state.params["params"]["Embedding_0"]["Embed_0"]["embedding"]
    never = fit(12, model, cond=labels, batch_size=16).params["params"]["Embedding_0"]["Embed_0"]["embedding"]
    for_training = jax.random.split(jax.random.key(0))[0]
    start = training.TrainState.create(for_training, state.model, jnp.asarray(X[:1]), jnp.asarray(labels[:1]))
    start = start.params["params"]["Embedding_0"]["Embed_0"]["embedding"]
    assert jnp.abs(table - start).max(1).min() > 1e-4  # every row was trained, "no label" too
    np.testing.assert_array_equal(never[2], start[2])
    guided = js.guide(state.denoiser(), 2.0, null=2)
    drawn = js.sample(jax.random.key(0), guided, (4, 2), steps=2, cond=jnp.array([0, 1, 0, 1]))
    assert jnp.isfinite(drawn.x).all()


def test_the_journal_is_json_lines_and_the_callback_sees_the_run(tmp_path, capsys):
    seen = []
    path = tmp_path / "logs" / "metrics.jsonl"
    options = {"metrics_file": path, "report_every": 3, "callback_every": 3, "progress": True}
    end = fit(6, callback=lambda *given: seen.append(given), **options)
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [line["step"] for line in lines] == [3, 6] and [step for step, _ in seen] == [3, 6]
    fields = {"step", "loss", "grad_norm", "learning_rate", "steps_per_second", "seconds", "input_seconds"}
    assert all(set(line) == fields and math.isfinite(line["loss"]) for line in lines)
    assert lines[1]["seconds"] - lines[0]["seconds"] > lines[1]["input_seconds"] > 0  # of one report alone
    # What the callback was given is still there, though later steps reuse the memory of their own state.
    assert int(seen[0][1].step) == 3 and same(seen[1][1].params, end.params) and not same(seen[0][1].params, end.params)
    # One in expectation: the first answer is 0, and the weighting is EDM's.
    assert 0.3 < lines[0]["loss"] < 3.0


def test_a_journal_drops_what_a_resumed_run_will_write_again(tmp_path):
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"step": 1}\n{"step": 2}\n{"step": 3}\n{"ste')
    Journal(path, 2).write({"step": 3, "again": True})
    assert read(path) == [{"step": 1}, {"step": 2}, {"step": 3, "again": True}]
    Journal(path, 0)
    assert read(path) == []


@pytest.mark.parametrize("accumulate", [1, 2])
def test_a_loss_that_is_not_finite_stops_the_run_at_its_step(accumulate):
    def loss(key, model, params, x, cond):
        return jnp.where(x.sum() > 1e6, jnp.nan, 0.0 * model(params, x, jnp.full(len(x), 0.5)).mean(1))

    class Spoiled:
        def batch(self, index, size):
            return np.full((size, 2), 1e7 if index == 3 * accumulate else 1.0, np.float32), None

        def std(self):
            return 1.0

        def config(self):
            return "spoiled"

    with pytest.raises(FloatingPointError, match="at step 4 of 6 the loss was nan .*; there is no checkpoint"):
        fit(6, data=Spoiled(), loss=loss, accumulate=accumulate)


def test_each_pass_sees_each_sample_once_in_a_new_order_by_number_alone():
    x = np.arange(10.0)[:, None].astype(np.float32)
    batches = data_of.batches(x, {"label": np.arange(10)}, jax.random.key(0))
    seen = [batches.batch(i, 4) for i in range(100)]
    passes = np.concatenate([x[:, 0] for x, _ in seen]).reshape(40, 10)
    np.testing.assert_array_equal(np.sort(passes), np.tile(np.arange(10), (40, 1)))
    assert len({tuple(order) for order in passes}) == 40  # two of 10! orders are the same with probability 2e-4
    # A sample never comes at a place in 40 passes with probability 0.9^40 = 0.015; of 100 such pairs more than 8 with
    # 1e-4, were they independent.
    assert sum(not (passes[:, place] == row).any() for place in range(10) for row in range(10)) <= 8
    assert all((cond["label"] == x[:, 0]).all() for x, cond in seen)
    again = data_of.batches(x, {"label": np.arange(10)}, jax.random.key(0))
    np.testing.assert_array_equal(again.batch(3, 4)[0], seen[3][0])  # without the batches before
    assert (data_of.batches(x, None, jax.random.key(1)).batch(0, 10)[0] != batches.batch(0, 10)[0]).any()


def test_configurations_are_plain_values_and_their_differences_are_named():
    model = models.Model(models.MLP(width=8, dtype=jnp.bfloat16), SCHEDULES["vp"])
    config = describe({"model": model, "x": np.ones(3), "key": jax.random.key(5), "f": math.sin, "s": np.float32(2)})
    assert config == json.loads(json.dumps(config))
    assert config["model"]["network"] == {"type": "MLP", "width": 8, "depth": 3, "classes": 0, "dtype": "bfloat16"}
    assert config["key"] == [0, 5] and config["s"] == 2
    other = describe({"model": models.Model(models.MLP(width=9), SCHEDULES["vp"]), "x": np.zeros(3)})
    found = differences(config, other)
    assert "model.network.width is 8 there and 9 here" in found and any(f.startswith("x.crc32") for f in found)
    assert differences(config, config) == []


def test_a_class_of_the_name_of_one_of_ours_is_another():
    @dataclass(frozen=True)
    class Cosine:
        name: str

    assert "foreign is None there and True here" in differences(describe(SCHEDULES["cosine"]), describe(Cosine("a")))
    assert differences(describe(Cosine("a")), describe(Cosine("b"))) == ["name is 'a' there and 'b' here"]


def test_what_functions_hold_is_part_of_a_configuration():
    def loss(scale, least=0.0):
        return lambda key, model, params, x, cond: jnp.maximum(scale * x, least)

    assert differences(describe(loss(1.0)), describe(loss(1.0))) == []
    assert differences(describe(loss(1.0)), describe(loss(2.0))) == ["scale is 1.0 there and 2.0 here"]
    halves = [describe(partial(loss, least=least)) for least in (0.5, 1.0)]
    assert differences(*halves) == ["least is 0.5 there and 1.0 here"]

    # The settings of an optax transformation are in the closures of its functions.
    def chain(rate=1e-3, b1=0.9, clip=1.0):
        return describe(optax.chain(optax.clip(clip), optax.adam(optax.cosine_decay_schedule(rate, 100), b1)))

    assert chain() == json.loads(json.dumps(chain()))
    for change in ({"rate": 2e-3}, {"b1": 0.8}, {"clip": 2.0}):
        value = next(iter(change.values()))
        (phrase,) = differences(chain(), chain(**change))
        assert phrase.startswith("[1].update_fns[") and phrase.endswith(f" and {value} here")

    # So are those of optax.MultiSteps, whose functions are bound to an object, and of objects that are called; a
    # function compiled by jit is the function itself.
    def parts(rate):
        return optax.MultiSteps(optax.sgd(rate), 4).gradient_transformation()

    class Scaled:
        def __init__(self, scale):
            self.scale = scale

        def __call__(self, key, model, params, x, cond):
            return self.scale * x

    for make in (parts, Scaled, lambda scale: jax.jit(loss(scale)), lambda scale: partial(loss, np.ones(2) * scale)):
        assert describe(make(1.0)) == json.loads(json.dumps(describe(make(1.0))))
        assert differences(describe(make(1.0)), describe(make(2.0)))
    for array in (np.ones(2), jnp.ones(2)):
        assert describe(partial(loss, scale=array))["scale"]["shape"] == [2]

    def itself():
        return itself

    assert describe(itself)["itself"] == "itself"  # and no endless descent


def test_the_weighting_follows_the_standard_deviation_of_the_model():
    """By default, in `fit` and in a loop of your own alike, and the configuration says so."""
    model, x = models.Model(TINY, SCHEDULES["vp"], sigma_data=2.0), jnp.asarray(X[:8])
    params = training.TrainState.create(jax.random.key(0), model, x).params
    chosen = [{}, *({"weighting": losses.EDMWeighting(sigma_data)} for sigma_data in (2.0, 0.5))]
    compute = lambda key: [training.denoising_loss(**given)(key, model, params, x, None) for given in chosen]  # noqa: E731
    default, by_hand, other = jax.jit(compute)(jax.random.key(3))
    np.testing.assert_allclose(default, by_hand, rtol=1e-6)
    assert jnp.abs(by_hand / other - 1).max() > 0.01
    assert describe(training.denoising_loss())["weighting"] == "edm"
    with pytest.raises(ValueError, match="weighting, if it is a string, must be one of 'edm'; got 'snr'"):
        training.denoising_loss(weighting="snr")


@pytest.mark.slow
def test_levels_and_network_follow_the_standard_deviation_that_fit_measures(tmp_path):
    """Of a bare network and of a Model alike; the configuration has the numbers, and another prediction the scale."""
    x = 8 * (X - X.mean(0)) / X.std()
    std = float(np.std(x - x.mean(0)))
    own = models.Model(TINY, SCHEDULES["vp"])
    for name, model, schedule, given in (
        ("bare", TINY, SCHEDULES["vp"], {}),
        ("of velocities", TINY, SCHEDULES["vp"], {"predicts": "velocity"}),
        ("own", own, None, {}),
    ):
        js.fit(jax.random.key(0), model, x, schedule, 2, batch_size=8, checkpoint=tmp_path / name, **given)
        told = load_config(tmp_path / name)
        assert told["loss"]["levels"]["mean"] == pytest.approx(-1.2 + np.log(std / 0.5))
        assert told["model"]["sigma_data"] == (0.5 if name == "own" else std)
        assert told["model"]["predicts"] == given.get("predicts", "edm")
    with pytest.raises(ValueError, match="predicts must be left out, because the model says it; got 'v'"):
        js.fit(jax.random.key(0), own, x, steps=2, predicts="v")


@pytest.mark.slow
def test_data_of_any_scale_are_learned_alike(optimized):
    """Moons, eight times as large: the energy distance stays in the band of true samples (1 alarm in 50, fixed keys).

    Levels for data of standard deviation 1/2 miss it by a factor of nine.
    """
    x = np.asarray(js.targets.moons().sample(jax.random.key(9), 4096))
    x = 8 * x / x.std()
    schedule = js.schedules.EDM()

    def distance(levels):
        network, loss = models.MLP(width=64, depth=2), training.denoising_loss(levels)
        state = js.fit(jax.random.key(0), network, x, schedule, 800, ema=0.99, loss=loss)
        grid = 8 * js.grids.RULES["log_snr"](schedule, 16)
        drawn = js.sample(jax.random.key(1), state.denoiser(), (500, 2), grid=grid).x
        return js.metrics.energy(drawn, x[:2000], jax.random.key(2), null_sets=50)

    assert distance(losses.LogNormal()).inside
    fixed = distance(losses.LogNormal(-1.2))
    assert fixed.value > 5 * fixed.null_high


def test_tensorboard_shows_the_lines_of_the_journal(tmp_path):
    pytest.importorskip("tensorboardX")
    from tensorboardX.proto.event_pb2 import Event

    fit(6, metrics_file=tmp_path / "m.jsonl", tensorboard=tmp_path / "board", report_every=3)
    (file,) = (tmp_path / "board").iterdir()
    content, shown = file.read_bytes(), {}
    while content:  # length, its checksum, one event, its checksum
        size = int.from_bytes(content[:8], "little")
        event = Event.FromString(content[12 : 12 + size])
        shown |= {(event.step, value.tag): value.simple_value for value in event.summary.value}
        content = content[16 + size :]
    lines = read(tmp_path / "m.jsonl")
    wanted = {(line["step"], f"training/{name}"): line[name] for line in lines for name in line if name != "step"}
    assert shown == pytest.approx(wanted, rel=1e-6) and len(shown) == 12


BAD = {
    "steps": ({"steps": 0}, ValueError, "steps must be at least 1; got 0"),
    "batch": ({"accumulate": 3}, ValueError, "batch_size must be divisible by accumulate = 3; got 8"),
    "ema": ({"ema": 1.0}, ValueError, r"ema must be in \[0, 1\); got 1.0"),
    "nan": ({"data": np.array([[0.0], [np.nan]])}, ValueError, "data must be finite; got nan in sample 1"),
    "words": ({"data": np.array([["a"]])}, TypeError, "data must be an array of real numbers; got dtype"),
    "flat": ({"data": np.ones(3)}, ValueError, r"shape \(n, \*event\); got shape \(3,\)"),
    "ragged": ({"data": [np.ones(2), np.ones(3)]}, ValueError, r"sample 0 has \(2,\) and sample 1 has \(3,\)"),
    "constant": ({"data": np.ones((4, 2))}, ValueError, "data must vary"),
    "cond": ({"cond": np.ones(3)}, ValueError, r"cond must have leaves of shape \(n = 50, ...\)"),
    "law": ({"data": js.targets.ring(), "cond": np.ones(3)}, ValueError, "cond must be None for data drawn from a law"),
    "schedule": ({"schedule": None}, ValueError, "schedule must be given with a bare network"),
    "two": (
        {"model": models.Model(TINY, SCHEDULES["ve"])},
        ValueError,
        "schedule must be left out, because the model has its own",
    ),
    "model": ({"model": 3}, TypeError, "model must be a network or a Model"),
    "rate": ({"optimizer": training.AdamW(learning_rate=0.0)}, ValueError, "learning_rate must be above 0"),
    "warmup": ({"optimizer": training.AdamW(warmup=1.0)}, ValueError, r"warmup must be in \[0, 1\)"),
}


def integers():
    """Data of the right methods and the wrong type."""
    methods = {"batch": lambda self, index, size: (np.ones((size, 2), int), None)}
    return type("Integers", (), methods | {"std": lambda self: 1.0, "config": lambda self: None})()


def discrete():
    return js.schedules.DiscreteTime(jnp.array([0.9, 0.5, 0.1]))


def test_a_loss_is_made_of_the_parts_of_a_loss(monkeypatch):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # as for those who use it
    for argument in ("levels", "weighting"):
        for wrong in (losses.UniformTime, losses.SNRWeighting, 3.0):
            with pytest.raises(TypeError, match=f"{argument} must be a .* of jaxsamp.losses, such as .*; got"):
                training.denoising_loss(**{argument: wrong})


LABELED = {"model": models.MLP(width=8, depth=1, classes=3)}
BAD |= {
    "keep": ({"keep": 0}, ValueError, "keep must be at least 1; got 0"),
    "class": ({"model": models.MLP}, TypeError, "model must be a network or a Model of jaxsamp.models; got <class"),
    "word": ({"schedule": "vp"}, TypeError, r"schedule must be a schedule, such as .*Cosine\(\); got 'vp'"),
    "last": ({"optimizer": training.AdamW(last=-1.0)}, ValueError, r"last must be in \[0, 1\]; got -1.0"),
    "optimizer": ({"optimizer": optax.adam}, TypeError, "optimizer must be an optax transformation.*; got a function"),
    "integers": ({"data": integers()}, TypeError, "data must give batches of floating-point numbers; got int32"),
    "names": ({"cond": np.array(["a"] * 50)}, TypeError, "cond must be numbers; got dtype <U1"),
    "label": (
        LABELED | {"cond": np.arange(50)},
        ValueError,
        "labels from 0 to 2, or 3 for .*; got labels from 0 to 49",
    ),
    "minus": (LABELED | {"cond": {"label": np.arange(50) % 3 - 1}}, ValueError, "got labels from -1 to 1"),
    "column": (
        LABELED | {"cond": np.ones((50, 1), int)},
        ValueError,
        r"shape \(8,\), one per sample; got shape \(8, 1\)",
    ),
    "schedules": (
        {"model": models.Model(TINY, discrete()), "schedule": js.schedules.DiscreteTime(jnp.array([0.9, 0.4, 0.1]))},
        ValueError,
        "schedule must be left out, because the model has its own",
    ),
    "metrics_file": (
        {"metrics_file": "/dev/null/metrics.jsonl"},
        ValueError,
        "metrics_file must be a file that can be written; got /dev",
    ),
}


def test_the_schedule_of_a_model_may_be_given_again():
    assert int(fit(1, models.Model(TINY, discrete()), schedule=discrete()).step) == 1


@pytest.mark.parametrize("name", BAD)
def test_bad_arguments_are_one_sentence(name):
    options, kind, sentence = BAD[name]
    with pytest.raises(kind, match=sentence):
        fit(**options, door=inspect.unwrap(js.fit))  # as users call it, without the tests' type checker
    with pytest.raises(ValueError, match=r"drop must be in \[0, 1\)"):
        training.denoising_loss(drop=1.0)


def test_a_run_starts_from_given_weights_and_leaves_them_alone():
    first = fit(2)
    before = jax.tree.map(np.array, first.ema)
    state = fit(1, params=first.ema, optimizer=optax.sgd(0.0))
    assert same(state.params, before) and same(first.ema, before)
    with pytest.raises(ValueError, match=r"params must be weights of this model.*is of shape .* there and"):
        fit(1, model=models.MLP(width=8, depth=1), params=first.ema)
    with pytest.raises(ValueError, match="params must be weights of this model.*is missing there"):
        fit(1, params={})
