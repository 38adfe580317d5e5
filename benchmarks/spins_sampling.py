"""How many spins a second are drawn, and how many of the draws are worth an independent one?

flips      heat-bath updates a second on a square lattice at its critical point: ours by color and in order, and those
           of thrml, hamon and dwave-samplers (one thread, compiled C++), as many chains and sweeps for all
critical   the same lattice, smaller: effective draws of its squared magnetization, by color and by clusters
glass      a spin glass in three dimensions: of the overlap of two chains, by color and tempered
magnet     Curie-Weiss above its transition: of the magnetization, by heat bath, tempered and by clusters

The calls of the flips are made in turn; every row is compared with the first one of its case. A sweep of
tempering counts as many as it has levels. A peer that is not installed is left out with a sentence.
"""

import statistics

import jax
import jax.numpy as jnp
import numpy as np
from arviz_stats.base.array import array_stats
from common import arguments, interleaved, ratio, report
from peers import MISSING, optional

import jaxsamp as js
from jaxsamp.mcmc import Chromatic, HeatBath, SwendsenWang, Tempering

CRITICAL = float(np.log(1 + np.sqrt(2)) / 2)
KEY = jax.random.key(0)


def chains(model, sampler, count, sweeps, thin=0, warmup=0):
    shape = (count, *model.event_shape)
    return js.sample_spins(KEY, model, shape, sampler, sweeps, warmup=warmup, thin=thin)


def of_thrml(package, size, count, sweeps):
    """A compiled program of thrml, or of hamon, which began as a copy of it: sweeps of two colors for every chain."""
    models = package.models
    nodes = [package.SpinNode() for _ in range(size**2)]
    edges = np.asarray(js.discrete.lattice(size, 2).edges)
    pairs = [(nodes[a], nodes[b]) for a, b in edges]
    law = models.IsingEBM(nodes, pairs, jnp.zeros(size**2), jnp.full(len(edges), CRITICAL), jnp.array(1.0))
    colors = np.indices((size, size)).sum(0).ravel() % 2
    blocks = [package.Block([node for node, color in zip(nodes, colors, strict=True) if color == c]) for c in (0, 1)]
    program = models.IsingSamplingProgram(law, blocks, [])
    start, schedule = models.hinton_init(KEY, law, blocks, (count,)), package.SamplingSchedule(sweeps, 1, 1)
    run = lambda start, key: package.sample_states(key, program, schedule, start, [], [package.Block(nodes)])  # noqa: E731
    compiled, keys = jax.jit(jax.vmap(run)), jax.random.split(KEY, count)
    return lambda: compiled(start, keys)


def of_dwave(samplers, size, count, sweeps):
    import dimod  # it comes with dwave-samplers

    edges = np.asarray(js.discrete.lattice(size, 2).edges)
    law = dimod.BinaryQuadraticModel({}, {(int(a), int(b)): -CRITICAL for a, b in edges}, "SPIN")
    options = {"beta_schedule_type": "custom", "beta_schedule": np.ones(sweeps), "num_sweeps_per_beta": 1}
    sampler = samplers.SimulatedAnnealingSampler()
    return lambda: sampler.sample(law, num_reads=count, proposal_acceptance_criteria="Gibbs", seed=0, **options)


def row(case, sampler, flips, times, **more):
    empty = {"effective / s": None, "effective / 1,000 sweeps": None, "per sweep": None}
    return {"case": case, "sampler": sampler, "M flips / s": 1e-6 * flips, "times the first": times} | empty | more


def flips(options):
    size, count, sweeps = options.size, options.chains, options.sweeps
    lattice = js.discrete.lattice(size, 2, CRITICAL)
    calls = {
        name: lambda sampler=sampler: chains(lattice, sampler, count, sweeps).x
        for name, sampler in (("Chromatic", Chromatic()), ("HeatBath", HeatBath()))
    }
    for name in ("thrml", "hamon"):
        if (package := optional(name)) is not None:
            calls[name] = of_thrml(package, size, count, sweeps)
    if (samplers := optional("dwave.samplers")) is not None:
        calls["dwave-samplers"] = of_dwave(samplers, size, count, sweeps)
    seconds = interleaved(calls, options.repeats)
    for name, each in seconds.items():
        speed = size**2 * count * sweeps / statistics.median(each)
        yield row(f"flips, {size}^2", name, speed, ratio(seconds["Chromatic"], each))


def squared_magnetization(draws):
    return np.square(draws.mean(-1))


def magnetization(draws):
    return draws.mean(-1)


def overlap(draws):
    """Of chains 0 and 1, 2 and 3, ...: its law is symmetric, however few draws the couplings allow."""
    return (draws[::2] * draws[1::2]).mean(-1)


def effective(case, model, statistic, samplers, options):
    """Effective draws, per thousand sweeps of a chain or replica and per second, of each (sampler, sweeps, levels)."""
    first = None
    for name, (sampler, sweeps, levels) in samplers.items():
        sweeps, held = max(16, sweeps // options.shorter), []
        thin = max(1, sweeps // 1000)

        def call(sampler=sampler, sweeps=sweeps, thin=thin, held=held):
            held[:] = [chains(model, sampler, options.chains, sweeps, thin, sweeps // 10)]
            return held[0].draws

        (seconds,) = interleaved({name: call}, 1)[name]
        draws = statistic(np.asarray(held[0].draws))
        found = float(array_stats.ess(draws, chain_axis=0, draw_axis=1, method="mean"))
        done = options.chains * levels * (sweeps + sweeps // 10)
        here = found / seconds, 1e3 * found / (options.chains * levels * sweeps)
        first = here if first is None else first
        yield row(
            case, name, model.event_shape[0] * done / seconds, here[0] / first[0],
            **{"effective / s": here[0], "effective / 1,000 sweeps": here[1], "per sweep": here[1] / first[1]},
        )  # fmt: skip


def main():
    parser = arguments(__doc__)
    parser.add_argument("--chains", type=int, default=16)
    parser.add_argument("--size", type=int, default=64, help="side of the lattice of the flips")
    parser.add_argument("--side", type=int, default=32, help="side of the lattice of the effective draws")
    parser.add_argument("--sweeps", type=int, default=200, help="of a call of the flips")
    parser.add_argument("--shorter", type=int, default=1, help="divide the sweeps of the effective draws")
    parser.add_argument("--repeats", type=int, default=7)
    options = parser.parse_args()
    rows = [*flips(options)]
    lattice = js.discrete.lattice(options.side, 2, CRITICAL)
    glass = js.discrete.edwards_anderson(jax.random.key(1), max(3, options.side // 5), 3, 1.0)
    rows += effective(
        f"critical, {options.side}^2", lattice, squared_magnetization,
        {"Chromatic": (Chromatic(), 10_000, 1), "SwendsenWang": (SwendsenWang(), 500, 1)}, options,
    )  # fmt: skip
    ladder = Tempering(Chromatic()).prepared(glass)
    rows += effective(
        f"glass, {glass.sites} spins", glass, overlap,
        {"Chromatic": (Chromatic(), 20_000, 1), "Tempering(Chromatic())": (ladder, 2_000, 12)}, options,
    )  # fmt: skip
    for n in (40, 160):
        magnet = js.discrete.curie_weiss(n, 1.3)
        few = Tempering(levels=6).prepared(magnet)
        rows += effective(
            f"magnet, {n} spins", magnet, magnetization,
            {
                "HeatBath": (HeatBath(), 4_000, 1), "Tempering": (few, 1_000, 6),
                "SwendsenWang": (SwendsenWang(), 500, 1),
            }, options,
        )  # fmt: skip
    rows += [{"case": f"{package} is left out: {reason}"} for package, reason in MISSING.items()]
    report("spins_sampling", "Chains of spins", rows, options, ("thrml", "hamon", "dwave-samplers"))


if __name__ == "__main__":
    main()
