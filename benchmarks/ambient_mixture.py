"""How near does a network that has seen corrupted samples alone come to the exact E[x_0 | A~ x_t, A~]?

A mixture of six components of rank 2 in eight dimensions, with unit variance; 5,000 samples, each seen once through an
operator of its own: half of the entries at random, or four random measurements. All arms train the same network for as
many steps. Beside the ambient loss: the network trained on clean samples (oracle); a further corruption that is drawn
once per sample and kept (frozen); none (no further); measurements taken for clean samples (filled); and, for random
measurements, the matrix instead of its projector as the network's condition (raw matrix). Table: the mean squared
distance to the exact answer, over eight levels sigma / alpha from 0.05 to 10, in units of the Bayes risk; median over
seeds.
"""

import statistics
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from ambient_arms import Raw, controls
from common import about, arguments, show, write

import jaxsamp as js
from jaxsamp import losses
from jaxsamp.corruptions import CompressedSensing, Mask, corrupt

SCHEDULE, DIM = js.schedules.VarianceExploding(), 8
LEVELS = losses.LogNormal(-0.5, 1.5)
SIGMAS = np.geomspace(0.05, 10, 8)
FURTHER, TEST = 0.1, 2000
LAWS = {"masks": Mask(0.5), "random measurements": CompressedSensing(4)}


def mixture() -> Any:
    """Six components of rank 2, scaled to mean 0 and unit variance in all."""
    rng = np.random.default_rng(0)
    means, factors = rng.normal(size=(6, DIM)), 0.6 * rng.normal(size=(6, DIM, 2))
    means -= means.mean(0)
    total = np.mean(means**2) + np.mean(np.sum(factors**2, 2))
    return js.targets.GaussianMixture.low_rank([1 / 6] * 6, means / total**0.5, factors / total**0.5, np.full(6, 1e-3))


def excess(denoiser, target, law, key, raw):
    """E |h - h*|^2 / E |x_0 - h*|^2, both over all levels."""
    for_data, for_law, for_noise = jax.random.split(key, 3)
    x0, operator = target.sample(for_data, TEST), law.draw(for_law, TEST, (DIM,), FURTHER)
    exact, told = target.corrupted_denoiser(SCHEDULE), Raw(operator.matrix) if raw else operator
    noise = jax.random.normal(for_noise, x0.shape)

    @jax.jit
    def both(s):
        x, level = x0 + s * noise, SCHEDULE.level(-jnp.log(s))
        best = exact(x, level, operator)
        return jnp.mean((denoiser(x, level, told) - best) ** 2), jnp.mean((x0 - best) ** 2)

    gaps, risks = zip(*(map(float, both(jnp.asarray(s, jnp.float32))) for s in SIGMAS), strict=True)
    return sum(gaps) / sum(risks)


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=5000)
    parser.add_argument("--data", type=int, default=5000)
    parser.add_argument("--only", nargs="*", help="names of arms")
    options = parser.parse_args()
    target, rows = mixture(), []
    network = js.models.MLP(width=128, depth=2)
    for case, law in LAWS.items():
        found: dict[str, list[float]] = {}
        for seed in range(options.seeds):
            keys = jax.random.split(jax.random.key(seed), 5)
            x = np.asarray(target.sample(keys[0], options.data))
            measured = corrupt(keys[1], x, law)
            others = controls(law, measured, x, keys[2], SCHEDULE, LEVELS, FURTHER)
            arms = {"oracle": others.pop("oracle")}
            for name in ("ambient", "ambient, 1 / q"):
                arms[name] = measured, None, js.training.ambient_loss(FURTHER, "1 / q" in name, levels=LEVELS)
            for name, (data, cond, loss) in (arms | others).items():
                if options.only and name not in options.only:
                    continue
                state = js.fit(
                    keys[3],
                    js.models.Model(network, SCHEDULE, "edm", 1.0),
                    data,
                    steps=options.steps,
                    batch_size=256,
                    cond=cond,
                    loss=loss,
                    optimizer=js.training.AdamW(1e-3),
                    ema=0.995,
                )
                value = excess(state.denoiser(), target, law, keys[4], name == "raw matrix")
                found.setdefault(name, []).append(value)
                print(f"{case}, seed {seed}, {name}: {value:.3f}", flush=True)
                settled = [row for row in rows if row["case"] != case]
                rows = settled + [
                    {"case": case, "arm": arm, "excess / Bayes": statistics.median(each), "seeds": each}
                    for arm, each in found.items()
                ]
                write(options.results / "ambient_mixture.json", about("Ambient loss", options) | {"rows": rows})
    show("Distance to the exact posterior mean, in units of the Bayes risk", rows)


if __name__ == "__main__":
    main()
