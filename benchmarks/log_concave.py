"""Which sampler of a log density is nearest to it after so many gradients?

Two laws: a Gaussian in 100 dimensions with curvatures 1 to 100, log-spaced along rotated axes, from chains that start
at its centre; and the posterior of a Bayesian logistic regression on scikit-learn's breast cancer data (standardised
columns and an intercept, standard normal prior), from chains that start at its mode. Every chain spends the same number
of gradients. Settings are found beforehand and not counted. The unadjusted Langevin methods have inertia 1 / L and
friction 2 or ("low friction") 2 sqrt(m / L), with L and m the extreme curvatures, and the step that is best on the
Gaussian, in these units for the posterior too; there L is measured and m is that of the prior. MALA has an acceptance
rate of 0.574; NUTS and MCLMC have blackjax's own adaptation with its diagonal metric.

Gaussian: Kullback-Leibler divergence of the final states' law, from second moments along the axes. Where the step is
linear these are propagated exactly (each chain's law is a mixture over the random midpoints); else they come from the
chains, less the divergence expected of sampling, with its standard error. Posterior: root mean square over coordinates
of the bias of mean (in posterior deviations) and variance (relative) of the draws from the second half of each chain,
against a long NUTS run; "noise" is what independent chains of no bias would show. ESS: arviz's bulk effective sample
size of the worst coordinate over the gradients of those draws.
"""

import time
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from common import arguments, interleaved, report
from jax.tree_util import Partial
from sklearn.datasets import load_breast_cancer

import jaxsamp as js
from jaxsamp.langevin import Overdamped, Underdamped
from jaxsamp_kernels import langevin as kernel

COST = {  # gradients a step
    "Overdamped": 1,
    "Underdamped": 2,
    "Underdamped, frozen": 1,
    "diffrax QUICSORT": 2,
    "diffrax ALIGN": 1,
    "diffrax ShOULD": 2,
}
LOW = ", low friction"
CONDITION = 100.0  # of the Gaussian


def split(label):
    """A row's method and whether its friction is low."""
    return label.removesuffix(LOW), label.endswith(LOW)


def cost(label):
    return COST[split(label)[0]]


def friction(label, condition):
    return 2 / np.sqrt(condition) if split(label)[1] else 2.0


def gaussian(dim):
    """The target, its curvatures and their axes, in columns."""
    curvatures = np.geomspace(1, CONDITION, dim)
    axes = np.linalg.qr(np.random.default_rng(0).standard_normal((dim, dim)))[0]

    def f(axes, curvatures, x):
        return -0.5 * jnp.sum(curvatures * jnp.square(x @ axes))

    values = (jnp.asarray(axes, jnp.float32), jnp.asarray(curvatures, jnp.float32))
    return js.targets.from_log_density(Partial(f, *values), (dim,)), curvatures, axes


def posterior():
    """The target and its mode."""
    data = load_breast_cancer()
    x = (data.data - data.data.mean(0)) / data.data.std(0)
    x = np.concatenate([x, np.ones((len(x), 1))], 1)
    signed = jnp.asarray((2 * data.target - 1)[:, None] * x, jnp.float32)

    def f(signed, w):
        return jax.nn.log_sigmoid(signed @ w).sum() - 0.5 * w @ w

    def newton(_, w):
        return w - jnp.linalg.solve(jax.hessian(f, 1)(signed, w), jax.grad(f, 1)(signed, w))

    mode = jax.lax.fori_loop(0, 30, newton, jnp.zeros(x.shape[1]))
    return js.targets.from_log_density(Partial(f, signed), mode.shape), mode


# The exact law of linear steps.


def linear_step(name, h, friction, a, curvature, x, v, z):
    """One step of a method along one axis, in units of time in which the largest curvature and inertia are 1."""
    score = lambda y: -curvature * y  # noqa: E731
    if name == "Underdamped":
        return jnp.stack(kernel.midpoint_underdamped_step(score, x, v, score(x), h, friction, 1.0, a, z))
    if name == "Underdamped, frozen":
        return jnp.stack(kernel.underdamped_step(x, v, score(x), h, friction, 1.0, z[0], z[1]))
    if name == "Overdamped":
        return jnp.stack([kernel.overdamped_step(x, score(x), h, z[0]), 0 * v])
    solver, terms = diffrax_solver(name), diffrax_terms(score, friction, 1.0, given_increments(z))
    state = solver.init(terms, 0.0, h, (x, v), None)
    return jnp.stack(solver.step(terms, 0.0, h, (x, v), None, state, False)[0])


def given_increments(z):
    """A Brownian path whose increments are three given normals, in place of random ones."""
    import diffrax
    import equinox

    class Given(diffrax.AbstractBrownianPath):
        z: jax.Array
        levy_area: type = equinox.field(static=True, default=diffrax.SpaceTimeTimeLevyArea)
        t0, t1 = -jnp.inf, jnp.inf

        def evaluate(self, t0, t1=None, left=True, use_levy=False):
            dt = t1 - t0
            w, h, k = self.z[:3] * jnp.sqrt(dt / jnp.array([1.0, 12.0, 720.0]))
            return diffrax.SpaceTimeTimeLevyArea(dt, w, h, k)

    return Given(z)


def diffrax_terms(score, friction, inertia, path):
    import diffrax

    drift = diffrax.UnderdampedLangevinDriftTerm(friction, inertia, lambda x, _: -score(x))
    return diffrax.MultiTerm(drift, diffrax.UnderdampedLangevinDiffusionTerm(friction, inertia, path))


def diffrax_solver(name):
    import diffrax

    return getattr(diffrax, name.removeprefix("diffrax "))()


@partial(jax.jit, static_argnums=(0, 4))
def exact_divergence(name, h, friction, curvatures, steps):
    """KL of N(0, second moments) from N(0, 1 / curvatures) after `steps` steps from the centre."""
    nodes, weights = np.polynomial.legendre.leggauss(16)
    a, weights = jnp.asarray((nodes + 1) / 2), jnp.asarray(weights / 2)
    zero = jnp.zeros(())

    def along(curvature):
        jacobians = jax.jacfwd(partial(linear_step, name, h, friction), (2, 3, 4))
        mx, mv, noise = jax.vmap(lambda a: jacobians(a, curvature, zero, zero, jnp.zeros(4)))(a)
        m = jnp.stack([mx, mv], -1)
        linear = jnp.einsum("a,aij,akl->ikjl", weights, m, m).reshape(4, 4)
        shift = jnp.einsum("a,aiz,akz->ik", weights, noise, noise).ravel()
        start = jnp.array([0.0, 0.0, 0.0, 1.0])
        moments = jax.lax.fori_loop(0, steps, lambda _, s: linear @ s + shift, start)
        variance = moments[0] * curvature
        return 0.5 * (variance - 1 - jnp.log(variance))

    return jax.vmap(along)(curvatures / curvatures.max()).sum()


def divergence(label, h, curvatures, gradients):
    with jax.enable_x64(True):
        low = jnp.asarray(friction(label, CONDITION))
        return float(exact_divergence(split(label)[0], h, low, jnp.asarray(curvatures), gradients // cost(label)))


def best_step(label, curvatures, gradients):
    """The step of least divergence."""
    grid = np.geomspace(0.02, 2.0, 61)
    return float(grid[np.nanargmin([divergence(label, h, curvatures, gradients) for h in grid])])


# The runs: key -> (final states (n, d), kept draws (n, kept, d), gradients of one chain on average).


def ours(label, h, target, start, smoothness, gradients, n, kept):
    g = friction(label, smoothness)
    sampler = {
        "Overdamped": Overdamped(h / smoothness),
        "Underdamped": Underdamped(h, g, True, 1 / smoothness),
        "Underdamped, frozen": Underdamped(h, g, False, 1 / smoothness),
    }[split(label)[0]]
    half = gradients // cost(label) // 2
    init, options = jnp.tile(start, (n, 1)), {"warmup": half, "thin": max(1, half // kept)}

    def run(key):
        out = js.sample_density(key, target, init.shape, sampler, half, init=init, **options)
        return out.x, out.draws, out.stats["evaluations"].mean()

    return run


def with_diffrax(label, h, target, start, smoothness, gradients, n, kept):
    import diffrax

    half = gradients // cost(label) // 2
    at = half + max(1, half // kept) * np.arange(1, min(kept, half) + 1)
    at = np.append(at[at < 2 * half], 2 * half)

    def one(key):
        for_path, for_velocity = jax.random.split(key)
        path = diffrax.UnsafeBrownianPath(start.shape, for_path, diffrax.SpaceTimeTimeLevyArea)
        g = friction(label, smoothness)
        terms = diffrax_terms(lambda x: target.score(x[None])[0], g, 1 / smoothness, path)
        y = start, jax.random.normal(for_velocity, start.shape) / jnp.sqrt(smoothness)
        options = {"saveat": diffrax.SaveAt(ts=jnp.asarray(at * h, start.dtype)), "max_steps": None}
        solver, adjoint = diffrax_solver(split(label)[0]), diffrax.ForwardMode()
        return diffrax.diffeqsolve(terms, solver, 0.0, 2 * half * h, h, y, adjoint=adjoint, **options).ys[0]

    def run(key):
        draws = jax.vmap(one)(jax.random.split(key, n))
        return draws[:, -1], draws, jnp.asarray(2 * half * cost(label))

    return run


def blackjax_chains(algorithm, cost, transitions, start, n, kept):
    """`cost(info)` gradients a transition."""
    half = max(1, transitions // 2)
    thin = max(1, half // kept)

    def one(key):
        for_start, for_steps = jax.random.split(key)

        def several(count):
            def body(carry, key):
                state, info = algorithm.step(key, carry[0])
                return (state, carry[1] + cost(info)), None

            return lambda carry, key: jax.lax.scan(body, carry, jax.random.split(key, count))[0]

        def keep(carry, key):
            carry = several(thin)(carry, key)
            return carry, carry[0].position

        warm, rest = jax.random.split(for_steps)
        carry = several(half)((algorithm.init(start, for_start), jnp.zeros(())), warm)
        carry, draws = jax.lax.scan(keep, carry, jax.random.split(rest, max(1, half // thin)))
        return draws[-1], draws, carry[1]

    def run(key):
        x, draws, gradients = jax.vmap(one)(jax.random.split(key, n))
        return x, draws, gradients.mean()

    return run


def with_blackjax(target, start, gradients, n, kept, tuning, key):
    """Name -> (setting, run)."""
    import blackjax
    from blackjax.adaptation.step_size import dual_averaging_adaptation

    keys = jax.random.split(key, 6)

    def leapfrogs(info):
        return info.num_integration_steps

    # NUTS first: its draws are where the others are tuned.
    (state, settings), _ = blackjax.window_adaptation(blackjax.nuts, target.f).run(keys[0], start, tuning)
    nuts = blackjax.nuts(target.f, **settings)
    pilot = jax.jit(blackjax_chains(nuts, leapfrogs, 40, state.position, 64, 20))(keys[1])
    made = {"NUTS": (f"step {settings['step_size']:.2g}", nuts, leapfrogs, pilot[2] / 40)}

    init, update, final = dual_averaging_adaptation(0.574)
    states = jax.vmap(lambda x: blackjax.mala.init(x, target.f))(pilot[0])

    def tune(carry, key):
        states, adaptation = carry
        step = blackjax.mala(target.f, jnp.exp(adaptation.log_step_size)).step
        states, info = jax.vmap(step)(jax.random.split(key, 64), states)
        return (states, update(adaptation, info.acceptance_rate.mean())), None

    (_, adapted), _ = jax.jit(lambda: jax.lax.scan(tune, (states, init(1e-3)), jax.random.split(keys[2], 400)))()
    step = final(adapted)
    made["MALA"] = f"step {step:.2g}", blackjax.mala(target.f, step), lambda info: 1, 1

    _, found, _ = blackjax.mclmc_find_L_and_step_size(
        blackjax.mclmc.build_kernel(),
        10 * tuning,
        blackjax.mclmc.init(pilot[0][0], target.f, keys[3]),
        keys[4],
        logdensity_fn=target.f,
    )
    mclmc = blackjax.mclmc(target.f, **found._asdict())
    made["MCLMC"] = f"step {found.step_size:.2g}, L {found.L:.2g}", mclmc, lambda info: 2, 2
    reference = jax.jit(blackjax_chains(nuts, leapfrogs, 2 * tuning, state.position, 64, tuning))
    runs = {
        name: (setting, blackjax_chains(algorithm, cost, int(gradients / mean), start, n, kept))
        for name, (setting, algorithm, cost, mean) in made.items()
    }
    return runs, reference


def all_runs(target, start, smoothness, steps, gradients, n, kept, tuning, key):
    """Name -> (setting, run) for what is installed, and the reference run of NUTS or None; curvatures from 1 on."""
    runs = {}
    for label, h in steps.items():
        make = with_diffrax if label.startswith("diffrax") else ours
        setting = f"h {h:.2g}" + f", g {friction(label, smoothness):.2g}" * (label != "Overdamped")
        runs[label] = setting, make(label, h, target, start, smoothness, gradients, n, kept)
    try:
        others, reference = with_blackjax(target, start, gradients, n, kept, tuning, key)
    except ImportError:
        print("blackjax is not installed: MALA, NUTS and MCLMC, and the comparison on the posterior, are left out.")
        return runs, None
    return runs | {f"blackjax {name}": run for name, run in others.items()}, reference


def measured(runs, repeats, key):
    """Name -> (outputs, seconds of a run, of its compilation, temporary bytes)."""
    compiled, about = {}, {}
    for name, (_, run) in runs.items():
        started = time.perf_counter()
        compiled[name] = jax.jit(run).lower(key).compile()
        about[name] = time.perf_counter() - started, compiled[name].memory_analysis().temp_size_in_bytes
    seconds = interleaved({name: partial(call, key) for name, call in compiled.items()}, repeats)
    return {name: (call(key), min(seconds[name]), *about[name]) for name, call in compiled.items()}


def costs(draws, gradients, seconds, compile_seconds, memory):
    size = js.Chains(draws[:, -1], draws, {}).effective_sample_size().min() if draws.shape[1] > 3 else 0.0
    return {
        "ESS / 1000 gradients": 1000 * float(size) / (len(draws) * float(gradients) / 2),
        "gradients": float(gradients),
        "run s": seconds,
        "compile s": compile_seconds,
        "temporary MB": memory / 1e6,
    }


def gaussian_rows(options, steps, key):
    target, curvatures, axes = gaussian(options.dim)
    known = {label: divergence(label, h, curvatures, options.gradients) for label, h in steps.items()}
    sizes = options.gradients, options.chains, options.kept, options.tuning
    runs, _ = all_runs(target, jnp.zeros(options.dim), CONDITION, steps, *sizes, key)
    for name, ((x, draws, gradients), *about) in measured(runs, options.repeats, key).items():
        white = np.square(np.asarray(x, float) @ axes) * curvatures
        ratio, variance = white.mean(0), white.var(0) / len(white)
        estimate = 0.5 * (ratio - 1 - np.log(ratio)) - variance / (4 * ratio**2)
        error = np.sqrt(np.sum(((1 - 1 / ratio) / 2) ** 2 * variance + variance**2 / (8 * ratio**4)))
        yield {
            "method": name,
            "setting": runs[name][0],
            "KL": known.get(name, ""),
            "KL of the chains": float(estimate.sum()),
            "+-": float(error),
        } | costs(jnp.asarray(np.asarray(draws) @ axes), gradients, *about)


def posterior_rows(options, steps, key):
    target, mode = posterior()
    for_points, for_smoothness, for_reference = jax.random.split(key, 3)
    rough = Underdamped.from_smoothness(js.langevin.smoothness(for_smoothness, target, mode[None]))
    points = js.sample_density(
        for_points, target, (64, *mode.shape), rough, 200, warmup=0, thin=0, init=jnp.tile(mode, (64, 1))
    ).x
    smoothness = float(js.langevin.smoothness(for_smoothness, target, points))
    sizes = options.posterior_gradients, options.posterior_chains, options.kept, options.tuning
    runs, reference = all_runs(target, mode, smoothness, steps, *sizes, key)
    if reference is None:
        return
    _, exact, _ = reference(for_reference)
    exact = np.asarray(exact, float)
    mean, deviation = exact.mean((0, 1)), exact.std((0, 1))

    def moments(draws):
        """Standardised mean and variance of each chain, (2, n, d)."""
        white = (np.asarray(draws, float) - mean) / deviation
        return np.stack([white.mean(1), np.square(white).mean(1) - 1])

    def squared_error(of_chains):
        return of_chains.var(1, ddof=1) / of_chains.shape[1]

    floor = squared_error(moments(exact))
    print(f"posterior: L = {smoothness:.3g}; mean and variance of the reference {np.sqrt(floor.mean(1)).round(4)}")
    for name, ((_, draws, gradients), *about) in measured(runs, options.repeats, key).items():
        each = moments(draws)
        noise = squared_error(each) + floor
        bias = np.sqrt(np.maximum(np.mean(each.mean(1) ** 2 - noise, 1), 0))
        noise = np.sqrt(noise.mean(1))
        yield {
            "method": name,
            "setting": runs[name][0],
            "mean bias": float(bias[0]),
            "noise": float(noise[0]),
            "variance bias": float(bias[1]),
            "noise ": float(noise[1]),
        } | costs(draws, gradients, *about)


def main():
    parser = arguments(__doc__)
    parser.add_argument("--dim", type=int, default=100)
    parser.add_argument("--gradients", type=int, default=800, help="of one chain on the Gaussian")
    parser.add_argument("--posterior-gradients", type=int, default=4000)
    parser.add_argument("--chains", type=int, default=1024)
    parser.add_argument("--posterior-chains", type=int, default=256)
    parser.add_argument("--kept", type=int, default=50, help="draws of one chain")
    parser.add_argument("--tuning", type=int, default=1000, help="steps of NUTS's adaptation")
    parser.add_argument("--repeats", type=int, default=2)
    options = parser.parse_args()
    labels = [label for name in COST for label in ([name] if name == "Overdamped" else [name, name + LOW])]
    try:
        import diffrax  # noqa: F401
    except ImportError:
        print("diffrax is not installed: its QUICSORT, ALIGN and ShOULD are left out.")
        labels = [label for label in labels if not label.startswith("diffrax")]
    curvatures = gaussian(options.dim)[1]
    steps = {label: best_step(label, curvatures, options.gradients) for label in labels}
    for_gaussian, for_posterior = jax.random.split(jax.random.key(0))
    rows = list(gaussian_rows(options, steps, for_gaussian))
    report("log_concave_gaussian", f"Gaussian, condition 100, {options.gradients} gradients", rows, options)
    rows = list(posterior_rows(options, steps, for_posterior))
    if rows:
        report("log_concave_posterior", f"Logistic regression, {options.posterior_gradients} gradients", rows, options)


if __name__ == "__main__":
    main()
