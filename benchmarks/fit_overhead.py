"""What does `fit` cost over a loop written by hand, does it wait for data, and does it compile anything twice?

The same network, batch size, loss, optimizer, clipping and averaging on scikit-learn's digits. The loop by hand is a
jitted step of optax over rows of a shuffled array; it reports nothing, while `fit` checks every loss and reports every
50 steps. Both run in turn within one run of `fit`: now and then, when `fit` requests a batch after a report, its data
let the loop by hand make as many steps. Table: the median over these pairs of (seconds of fit) / (seconds by hand),
quartiles, the same for processor time of all threads, which a busy machine does not change, the share of fit's seconds
in which it prepares batches, the compilations of its step, and those of anything after the first interval.

Then the same for `fit` on measurements of the digits, half of whose pixels are missing, over `fit` on the digits
themselves: two runs in threads that take turns, so that one waits while the other trains.
"""

import threading
import time
from functools import partial

import jax
import jax.monitoring
import jax.numpy as jnp
import numpy as np
import optax
from common import arguments, ratio, report

import jaxsamp as js
from jaxsamp.training import data as data_of

SCHEDULE = js.schedules.VarianceExploding()
COMPILED: list[str] = []  # the names of what was compiled
# Network, batch size, and steps of an interval, a multiple of those between reports, at which the device is idle.
NETWORKS = {
    "MLP 2 x 128": (js.models.MLP(width=128, depth=2), 256, 200),
    "U-Net, 16 channels": (js.models.UNet(channels=16, multipliers=(1, 2), blocks=1, attention=()), 64, 50),
}


def note(name, seconds, fun_name="", **_):
    if name == "/jax/core/compile/backend_compile_duration":
        COMPILED.append(fun_name)


class Timed:
    """Data that note how long their batches take, and call `pause` before batches number `each`, 2 `each`, ..."""

    def __init__(self, x, each, pause):
        self.inner, self.seconds, self.each, self.pause = data_of.batches(x, None, jax.random.key(1)), 0.0, each, pause
        self.std, self.config = self.inner.std, self.inner.config
        if hasattr(self.inner, "measured"):
            self.measured = self.inner.measured

    def batch(self, index, size):
        if index and index % self.each == 0:
            self.pause()
        start = time.perf_counter()
        batch = self.inner.batch(index, size)
        self.seconds += time.perf_counter() - start
        return batch


class ByHand:
    """The same training, written without `fit`."""

    def __init__(self, model, x, batch, steps):
        self.x, self.batch, self.rng = x, batch, np.random.default_rng(0)
        rate = optax.warmup_cosine_decay_schedule(2e-5, 1e-3, max(1, steps // 20), steps)
        optimizer = optax.chain(optax.clip_by_global_norm(1.0), optax.adamw(rate, weight_decay=0.0))
        params = model.init(jax.random.key(0), x[:batch])
        self.state = params, jax.tree.map(jnp.copy, params), optimizer.init(params), jnp.zeros((), jnp.int32)
        weighting = js.losses.EDMWeighting(model.sigma_data)

        def loss(params, key, x):
            return js.losses.denoising(key, model, params, x, SCHEDULE, "x0", weighting=weighting).mean()

        @partial(jax.jit, donate_argnums=0)
        def by_hand(state, x):
            params, ema, memory, i = state
            value, gradient = jax.value_and_grad(loss)(params, jax.random.fold_in(jax.random.key(1), i), x)
            updates, memory = optimizer.update(gradient, memory, params)
            params = optax.apply_updates(params, updates)
            keep = jnp.minimum(0.9999, (2.0 + i) / (11.0 + i))
            ema = jax.tree.map(lambda e, p: keep * e + (1 - keep) * p, ema, params)
            return (params, ema, memory, i + 1), value

        self.step, self.rows = by_hand, np.empty(0, int)

    def run(self, steps):
        for _ in range(steps):
            if len(self.rows) < self.batch:
                self.rows = self.rng.permutation(len(self.x))
            rows, self.rows = self.rows[: self.batch], self.rows[self.batch :]
            self.state, value = self.step(self.state, jnp.asarray(self.x[rows]))
        jax.block_until_ready(value)


def measured(network, batch, each, repeats):
    """Seconds, processor seconds, seconds in batches and compilations, (repeats, 4), of fit and of the loop by hand."""
    x, *_ = js.datasets.digits()
    model, steps, marks = js.models.Model(network, SCHEDULE), each * (repeats + 1) + 1, []
    hand = ByHand(model, x, batch, steps)
    hand.run(each)  # compiles

    def clocks():
        return [time.perf_counter(), time.process_time(), data.seconds, len(COMPILED)]

    def pause():
        reached = clocks()
        hand.run(each)
        marks.append([reached, clocks()])

    data, before = Timed(x, each, pause), len(COMPILED)
    js.fit(jax.random.key(0), model, data, steps=steps, batch_size=batch, report_every=min(each, 50))
    marks = np.array(marks)
    return marks[1:, 0] - marks[:-1, 1], marks[1:, 1] - marks[1:, 0], COMPILED[before:].count("jit(train_step)")


def in_turn(network, batch, each, repeats, side):
    """Seconds and processor seconds, (repeats, 2), of fit on measurements and of fit on the clean samples."""
    x, *_ = js.datasets.digits()
    x = x.repeat(side // 8, 1).repeat(side // 8, 2)
    kinds = js.corruptions.corrupt(jax.random.key(2), x, js.corruptions.Mask(0.5)), x
    turns, marks = [threading.Semaphore(0) for _ in kinds], [[] for _ in kinds]

    def run(number):
        def pause():
            clocks = [time.perf_counter(), time.process_time()]
            marks[number].append(clocks)
            turns[1 - number].release()
            if len(marks[number]) < 2 * repeats + 3:
                turns[number].acquire()
            marks[number].append([time.perf_counter(), time.process_time()])

        turns[number].acquire()
        options = {"steps": each * (repeats + 2) + 1, "batch_size": batch, "report_every": min(each, 50)}
        js.fit(jax.random.key(0), js.models.Model(network, SCHEDULE), Timed(kinds[number], each, pause), **options)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    turns[0].release()
    for thread in threads:
        thread.join()
    pairs = [np.array(each).reshape(-1, 2, 2) for each in marks]  # (pause, resume), (seconds, processor seconds)
    return [found[2:, 0] - found[1:-1, 1] for found in pairs]


def main():
    parser = arguments(__doc__)
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--only", nargs="+", choices=NETWORKS, default=list(NETWORKS))
    parser.add_argument("--steps", type=int, help="of each interval, instead of each network's own")
    parser.add_argument("--measured", action="store_true", help="only fit on measurements over fit on clean samples")
    parser.add_argument("--side", type=int, choices=(8, 16, 24), default=8, help="of the digits for that, enlarged")
    options = parser.parse_args()
    jax.monitoring.register_event_duration_secs_listener(note)
    rows, measurements = [], []
    for name in options.only:
        network, batch, each = NETWORKS[name]
        each = options.steps or each
        through, clean = in_turn(network, batch, each, options.repeats, options.side)
        low, high = np.quantile(through[:, 0] / clean[:, 0], [0.25, 0.75])
        measurements.append(
            {
                "network": name,
                "batch": batch,
                "measurements / clean": ratio(through[:, 0], clean[:, 0]),
                "quartiles": f"{low:.3f} to {high:.3f}",
                "processor time": ratio(through[:, 1], clean[:, 1]),
            }
        )
    name = "fit_measured" if options.side == 8 else f"fit_measured_{options.side}"
    report(name, "fit on measurements over fit on clean samples", measurements, options, ("flax", "optax"))
    for name in options.only if not options.measured else ():
        network, batch, each = NETWORKS[name]
        each = options.steps or each
        fit, hand, compiled = measured(network, batch, each, options.repeats)
        low, high = np.quantile(fit[:, 0] / hand[:, 0], [0.25, 0.75])
        rows.append(
            {
                "network": name,
                "batch": batch,
                "steps/s, fit": each / fit[:, 0].min(),
                "steps/s, by hand": each / hand[:, 0].min(),
                "fit / by hand": ratio(fit[:, 0], hand[:, 0]),
                "quartiles": f"{low:.3f} to {high:.3f}",
                "processor time": ratio(fit[:, 1], hand[:, 1]),
                "share in batches": fit[:, 2].sum() / fit[:, 0].sum(),
                "compilations of the step": compiled,
                "compilations later": int(fit[:, 3].sum()),
            }
        )
    if rows:
        report("fit_overhead", "fit over a loop by hand", rows, options, ("flax", "optax"))


if __name__ == "__main__":
    main()
