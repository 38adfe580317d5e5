"""What does `fit` cost over a loop written by hand, does it wait for data, and does it compile anything twice?

The same network, batch size, loss, optimiser, clipping and averaging on scikit-learn's digits. The loop by hand is a
jitted step of optax over rows of a shuffled array; it reports nothing, while `fit` checks every loss and reports every
50 steps. Both run in turn within one run of `fit`: its callback, called every few steps, runs as many steps by hand.
Table: the median over these pairs of (seconds of fit) / (seconds by hand) and the quartiles, the share of fit's time in
which it prepares batches, the compilations of its step, and those of anything after the first interval.
"""

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
NETWORKS = {
    "MLP 2 x 128": (js.models.MLP(width=128, depth=2), 256, 50),
    "U-Net, 16 channels": (js.models.UNet(channels=16, multipliers=(1, 2), blocks=1, attention=()), 64, 5),
}


def note(name, seconds, fun_name="", **_):
    if name == "/jax/core/compile/backend_compile_duration":
        COMPILED.append(fun_name)


class Timed:
    """Data that note how long their batches take."""

    def __init__(self, x):
        self.inner, self.seconds = data_of.batches(x, None, jax.random.key(1)), 0.0
        self.std, self.config = self.inner.std, self.inner.config

    def batch(self, index, size):
        start = time.perf_counter()
        batch = data_of.on_device(self.inner.batch(index, size))
        self.seconds += time.perf_counter() - start
        return batch


class ByHand:
    """The same training, as one would write it without `fit`."""

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
    """Paired seconds of fit, by hand and in batches; compilations of the step; what was compiled after the start."""
    x, *_ = js.datasets.digits()
    model, steps = js.models.Model(network, SCHEDULE), each * (repeats + 1)
    hand, data = ByHand(model, x, batch, steps), Timed(x)
    hand.run(each)  # compiles
    pairs, again, begun = {"fit": [], "hand": [], "data": []}, [], {}

    def callback(step, state):
        now = time.perf_counter()
        if begun:
            pairs["fit"].append(now - begun["time"])
            pairs["data"].append(data.seconds - begun["data"])
            again.extend(COMPILED[begun["compiled"] :])
        start = time.perf_counter()
        hand.run(each)
        if begun:
            pairs["hand"].append(time.perf_counter() - start)
        begun.update(data=data.seconds, compiled=len(COMPILED), time=time.perf_counter())

    before = len(COMPILED)
    js.fit(jax.random.key(0), model, data, steps=steps, batch_size=batch, callback=callback, callback_every=each)
    return pairs, COMPILED[before:].count("jit(train_step)"), again


def main():
    parser = arguments(__doc__)
    parser.add_argument("--repeats", type=int, default=100)
    parser.add_argument("--only", nargs="+", choices=NETWORKS, default=list(NETWORKS))
    parser.add_argument("--steps", type=int, help="of each interval, instead of each network's own")
    options = parser.parse_args()
    jax.monitoring.register_event_duration_secs_listener(note)
    rows = []
    for name in options.only:
        network, batch, each = NETWORKS[name]
        each = options.steps or each
        pairs, compiled, again = measured(network, batch, each, options.repeats)
        low, high = np.quantile(np.divide(pairs["fit"], pairs["hand"]), [0.25, 0.75])
        rows.append(
            {
                "network": name,
                "batch": batch,
                "steps/s, fit": each / min(pairs["fit"]),
                "steps/s, by hand": each / min(pairs["hand"]),
                "fit / by hand (median of pairs)": ratio(pairs["fit"], pairs["hand"]),
                "quartiles": f"{low:.3f} to {high:.3f}",
                "share of fit in batches": sum(pairs["data"]) / sum(pairs["fit"]),
                "compilations of the step": compiled,
                "compilations later": len(again),
            }
        )
    report("fit_overhead", "fit over a loop by hand", rows, options, ("flax", "optax"))


if __name__ == "__main__":
    main()
