"""Critical windows of a mixture: curves from one set of draws, against an evaluation at each time.

A random mixture of `--components` components in `--dim` dimensions. Six curves of total variation at `--times` times
from `--draws` draws: by `jaxsamp.critical_windows`, of which all statistics come from P(component given x_t) at the
same draws; and plainly, drawing from both sides of each pair at each time and evaluating the two densities, all in one
compiled program as well. Both are measured in turn, compilation excluded; the ratio is that of medians. The last column
is the largest difference of a curve from the plain one, in their standard errors.

A second table has brute force: `--returned` samples of one component are noised to four times and brought back by DDPM
in `--steps` steps; how many are of it again, with Wilson's band of 95 %, against the curve from shared draws.
"""

import statistics
import time

import jax
import jax.numpy as jnp
import numpy as np
from common import about, arguments, show, write

import jaxsamp as js


def part(target, mask):
    """The mixture of some components."""
    weights = np.asarray(target.weights, float)[mask]
    kept = jax.tree.map(lambda leaf: leaf[np.flatnonzero(mask)], target.mixture)
    return js.targets.GaussianMixture.tree_unflatten(
        target.singular, (kept._replace(log_weights=jnp.log(weights / weights.sum())),)
    )


def simulated(target, window, options):
    """Rows of the share that comes back to component 0, by simulation and from the curve `window.stay`."""
    schedule = js.schedules.OrnsteinUhlenbeck()
    start = part(target, np.arange(options.components) == 0).sample(jax.random.key(3), options.returned)
    times = np.quantile(window.times, [0.1, 0.25, 0.4, 0.6])
    got = js.theory.noise_and_denoise(
        jax.random.key(4),
        target.denoiser(schedule),
        start,
        lambda x: np.asarray(target.responsibilities(x)).argmax(1),
        0,
        times,
        classes=options.components,
        steps=options.steps,
    )
    for i, t in enumerate(times):
        curve, error = (np.interp(t, window.times, part) for part in (window.stay.mean, window.stay.high))
        low, high = got.stay.low[i], got.stay.high[i]
        yield {
            "time": float(t),
            "shared draws": float(curve),
            "its band +-": float(error - curve),
            "simulated": float(got.stay.mean[i]),
            "its band": f"{low:.3f} to {high:.3f}",
            "inside": bool(low <= curve <= high),
        }


@jax.jit
def plain(key, a, b, times):
    """TV(p_t^A, p_t^B) at each time, with new draws, and its standard error."""

    def at(given):
        key, t = given
        level = js.schedules.OrnsteinUhlenbeck().at(t)
        keys = jax.random.split(key, 4)
        n = DRAWS // 2
        found = []
        for law, for_x, for_z in ((a, *keys[:2]), (b, *keys[2:])):
            x_0 = law.sample(for_x, n)
            x = level.alpha * x_0 + level.sigma * jax.random.normal(for_z, x_0.shape)
            found.append(jnp.abs(jnp.tanh((a.log_prob(x, level) - b.log_prob(x, level)) / 2)))
        values = jnp.concatenate(found)
        return values.mean(), values.std() / jnp.sqrt(2 * n)

    return jax.lax.map(at, (jax.random.split(key, len(times)), times))


def main() -> None:
    global DRAWS
    parser = arguments(__doc__)
    parser.add_argument("--components", type=int, default=8)
    parser.add_argument("--dim", type=int, default=16)
    parser.add_argument("--times", type=int, default=150)
    parser.add_argument("--draws", type=int, default=16384)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--returned", type=int, default=1000)
    parser.add_argument("--steps", type=int, default=200)
    options = parser.parse_args()
    DRAWS, k = options.draws, options.components
    target = js.targets.GaussianMixture.random(jax.random.key(0), k, options.dim, separation=8.0)
    times, groups = np.linspace(0.05, 4, options.times), [list(range(n)) for n in (1, 2, 4)]
    masks = [np.isin(np.arange(k), group) for group in groups] + [np.ones(k, bool)]
    pairs = [(mask, ~mask) for mask in masks[:-1]]
    pairs += [(small, large & ~small) for small, large in zip(masks, masks[1:], strict=False)]
    laws = [tuple(part(target, mask) for mask in pair) for pair in pairs]

    def ours():
        return js.critical_windows(jax.random.key(1), target, groups, times=times, n=DRAWS)

    def theirs():
        keys = jax.random.split(jax.random.key(2), len(laws))
        return jax.block_until_ready(
            [plain(key, *pair, jnp.asarray(times)) for key, pair in zip(keys, laws, strict=True)]
        )

    found, seconds = {}, {"shared draws": [], "plain": []}
    for repeat in range(options.repeats + 1):
        for name, run in (("shared draws", ours), ("plain", theirs)):
            began = time.perf_counter()
            found[name] = run()
            if repeat:  # the first one compiles
                seconds[name].append(time.perf_counter() - began)
    off = 0.0
    for window, (mean, error) in zip(found["shared draws"], found["plain"], strict=False):
        own = (window.tv_after.high - window.tv_after.low) / (2 * 1.96)
        off = max(off, float(np.max(np.abs(window.tv_after.mean - mean) / np.hypot(own, error + 1e-4))))
    middle = {name: statistics.median(each) for name, each in seconds.items()}
    rows = [
        {
            "method": name,
            "seconds over plain": middle[name] / middle["plain"],
            "largest difference in standard errors": off if name == "shared draws" else 0.0,
        }
        for name in seconds
    ]
    show("Six curves of total variation", rows)
    brute = list(simulated(target, found["shared draws"][0], options))
    show("Comes back to its component", brute)
    found = {"rows": rows, "seconds": seconds, "simulated": brute}
    write(options.results / "windows.json", about("Critical windows", options) | found)


if __name__ == "__main__":
    main()
