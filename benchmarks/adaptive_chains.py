"""Do chains that adapt themselves reach a law, and at what price beside blackjax driven by hand?

NUTS, MALA and underdamped steps of measured curvature behind `sample_density`, and blackjax's NUTS with its own
`window_adaptation`, a chain at a time under `jax.vmap`; all with one adaptation for each chain, on four densities: a
banana in the plane; a funnel of ten numbers whose scale is free, through a map that makes it normal; the posterior of
logistic regression on scikit-learn's breast cancer data; and a Gaussian in 100 dimensions of condition number 100.
Columns: the largest R-hat and the smallest bulk effective sample size of any coordinate, per 1,000 gradients with those
of the warm-up; divergences; and seconds with compilation. A product with the Hessian counts as two gradients.
"""

import time
import warnings
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from common import about, arguments, medians, show, write
from log_concave import gaussian, posterior

import jaxsamp as js
from jaxsamp.mcmc import MALA, NUTS, Underdamped

TITLE = "Chains that adapt themselves"


@js.pytree
@dataclass(frozen=True)
class NonCentered:
    """x_0 = y_0, x_i = e^(y_0 / 2) y_i."""

    def free_shape(self, shape):
        return shape

    def forward(self, y):
        return jnp.concatenate([y[:1], jnp.exp(y[0] / 2) * y[1:]])

    def inverse(self, x):
        return jnp.concatenate([x[:1], jnp.exp(-x[0] / 2) * x[1:]])

    def log_det(self, y):
        return (y.shape[0] - 1) * y[0] / 2


def banana(x):
    """x_0 ~ N(0, 1), x_1 ~ N(x_0^2, 1 / 4)."""
    return -0.5 * x[0] ** 2 - 2 * (x[1] - x[0] ** 2) ** 2


def funnel(x):
    """v ~ N(0, 3^2), the others N(0, e^v)."""
    return -0.5 * x[0] ** 2 / 9 - 0.5 * jnp.exp(-x[0]) * jnp.sum(x[1:] ** 2) - (x.shape[0] - 1) * x[0] / 2


def densities():
    """(name, target)."""
    yield "banana", js.targets.from_log_density(banana, (2,))
    wide = js.targets.from_log_density(funnel, (10,))
    yield "funnel, through a map", js.targets.transformed(wide, NonCentered())
    yield "logistic posterior", posterior()[0]
    yield "Gaussian, condition 100", gaussian(100)[0]


def ours(sampler, target, key, options):
    chains = js.sample_density(
        key, target, (options.chains, *target.event_shape), sampler, options.steps, warmup=options.warmup, thin=1
    )
    return chains.draws, chains.stats["evaluations"], chains.stats.get("divergences", jnp.zeros(1))


def by_hand(target, key, options):
    import blackjax

    log_prob = lambda x: target.log_prob(x[None])[0]  # noqa: E731
    warm_up = blackjax.window_adaptation(blackjax.nuts, log_prob, target_acceptance_rate=options.acceptance)

    def one(key):
        for_start, for_warmup, for_steps = jax.random.split(key, 3)
        start = jax.random.normal(for_start, target.event_shape)
        (state, found), told = warm_up.run(for_warmup, start, options.warmup)
        step = blackjax.nuts(log_prob, **found).step

        def moved(state, key):
            state, info = step(key, state)
            return state, (state.position, info.num_integration_steps, info.is_divergent)

        draws, gradients, divergent = jax.lax.scan(moved, state, jax.random.split(for_steps, options.steps))[1]
        return draws, told.info.num_integration_steps.sum() + gradients.sum(), divergent.sum()

    return jax.jit(jax.vmap(one))(jax.random.split(key, options.chains))


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--chains", type=int, default=16)
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--warmup", type=int, default=500)
    parser.add_argument("--acceptance", type=float, default=0.9, help="mean acceptance probability of NUTS")
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    warnings.simplefilter("ignore")  # divergences are a column
    runs = {
        "NUTS": lambda *where: ours(NUTS(target_acceptance=options.acceptance), *where),
        "blackjax NUTS by hand": by_hand,
        "MALA": lambda *where: ours(MALA(), *where),
        'Underdamped("auto")': lambda *where: ours(Underdamped("auto"), *where),
    }
    rows = []
    for name, target in densities():
        for label, run in runs.items():
            found = []
            for seed in range(options.seeds):
                began = time.perf_counter()
                draws, gradients, divergent = jax.block_until_ready(run(target, jax.random.key(seed), options))
                seconds = time.perf_counter() - began
                chains = js.Chains(draws[:, -1], draws, {})
                ess = 1000 * chains.effective_sample_size().min() / float(np.sum(np.asarray(gradients, float)))
                row = {"R-hat": float(chains.rhat().max()), "ESS / 1,000 gradients": float(ess)}
                found.append(row | {"divergences": float(divergent.sum()), "seconds": seconds})
            rows.append({"density": name, "chains of": label} | medians(found))
            print(rows[-1], flush=True)
            write(
                options.results / "adaptive_chains.json",
                about("Chains that adapt themselves", options) | {"rows": rows},
            )
    show("Chains that adapt themselves", rows)


if __name__ == "__main__":
    main()
