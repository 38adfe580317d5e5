"""Which sampler of a log density is nearest to it after a given number of gradients?

Two laws: a Gaussian in 100 dimensions with curvatures 1 to 100, log-spaced along rotated axes, from chains that start
at its center; and the posterior of a Bayesian logistic regression on scikit-learn's breast cancer data (standardized
columns and an intercept, standard normal prior), from chains that start at its mode. Every chain spends the same number
of gradients. Settings are found beforehand and not counted. The unadjusted Langevin methods have inertia 1 / L and
friction 2 or ("low friction") 2 sqrt(m / L), with L and m the extreme curvatures (of the posterior: measured, and that
of the prior), and the step that is best: of 61 for the exact divergence of the Gaussian, of 7 for the errors below in
a pilot run on the posterior. MALA has an acceptance rate of 0.574; NUTS and MCLMC have blackjax's own adaptation with
its diagonal metric.

Gaussian: Kullback-Leibler divergence of the final states' law, from second moments along the axes. Where the step is
linear these are propagated exactly (each chain's law is a mixture over the random midpoints); for all methods they
also come from the chains, less the divergence expected of sampling, with its standard error. Posterior: errors of mean
(in posterior deviations) and variance (relative) by the draws of the second half of each chain, against a long NUTS
run, root mean square over coordinates: of one chain, and of the mean of all chains less what is expected of sampling
(the bias); "noise" is what chains of no bias would show. ESS: arviz's bulk effective sample size of the worst
coordinate over the gradients of those draws.
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
from jaxsamp.mcmc import Overdamped, Underdamped
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
    """KL of N(0, second moments) from N(0, 1 / curvatures) after `steps` steps from the center."""
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


# The runs: (key, h) -> (final states (n, d), kept draws (n, kept, d), gradients of one chain on average).


def ours(label, target, start, smoothness, gradients, n, kept):
    half, g = gradients // cost(label) // 2, friction(label, smoothness)
    init, options = jnp.tile(start, (n, 1)), {"warmup": half, "thin": max(1, half // kept)}

    def run(key, h):
        sampler = {
            "Overdamped": Overdamped(h / smoothness),
            "Underdamped": Underdamped(h, g, True, 1 / smoothness),
            "Underdamped, frozen": Underdamped(h, g, False, 1 / smoothness),
        }[split(label)[0]]
        out = js.sample_density(key, target, init.shape, sampler, half, init=init, **options)
        return out.x, out.draws, out.stats["evaluations"].mean()

    return run


def with_diffrax(label, target, start, smoothness, gradients, n, kept):
    import diffrax

    half, g = gradients // cost(label) // 2, friction(label, smoothness)
    at = half + max(1, half // kept) * np.arange(1, min(kept, half) + 1)
    at = np.append(at[at < 2 * half], 2 * half)
    solver, adjoint = diffrax_solver(split(label)[0]), diffrax.ForwardMode()

    def one(key, h):
        for_path, for_velocity = jax.random.split(key)
        path = diffrax.UnsafeBrownianPath(start.shape, for_path, diffrax.SpaceTimeTimeLevyArea)
        terms = diffrax_terms(lambda x: target.score(x[None])[0], g, 1 / smoothness, path)
        y = start, jax.random.normal(for_velocity, start.shape) / jnp.sqrt(smoothness)
        options = {"saveat": diffrax.SaveAt(ts=at * h), "max_steps": None, "adjoint": adjoint}
        return diffrax.diffeqsolve(terms, solver, 0.0, 2 * half * h, h, y, **options).ys[0]

    def run(key, h):
        draws = jax.vmap(one, (0, None))(jax.random.split(key, n), h)
        return draws[:, -1], draws, jnp.asarray(2 * half * cost(label))

    return run


def unadjusted(label, *where):
    """The run of one of the methods with a step to choose."""
    return (with_diffrax if label.startswith("diffrax") else ours)(label, *where)


def blackjax_chains(algorithm, gradients_of, transitions, start, n, kept):
    """Chains of a blackjax kernel, with `gradients_of(info)` gradients per transition."""
    half = max(1, transitions // 2)
    thin = max(1, half // kept)

    def one(key):
        for_start, for_steps = jax.random.split(key)

        def several(count):
            def body(carry, key):
                state, info = algorithm.step(key, carry[0])
                return (state, carry[1] + gradients_of(info)), None

            return lambda carry, key: jax.lax.scan(body, carry, jax.random.split(key, count))[0]

        def keep(carry, key):
            carry = several(thin)(carry, key)
            return carry, carry[0].position

        warm, rest = jax.random.split(for_steps)
        carry = several(half)((algorithm.init(start, for_start), jnp.zeros(())), warm)
        carry, draws = jax.lax.scan(keep, carry, jax.random.split(rest, max(1, half // thin)))
        return draws[-1], draws, carry[1]

    def run(key, _=None):
        x, draws, gradients = jax.vmap(one)(jax.random.split(key, n))
        return x, draws, gradients.mean()

    return run


def with_blackjax(target, start, gradients, n, kept, tuning, key):
    """Runs and settings by name, and a long run of NUTS; empty and None if it is not installed."""
    try:
        import blackjax
        from blackjax.adaptation.step_size import dual_averaging_adaptation
    except ImportError:
        print("blackjax is not installed: its NUTS, MALA and MCLMC are left out.")
        return {}, {}, None
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
        f"blackjax {name}": blackjax_chains(algorithm, gradients_of, int(gradients / mean), start, n, kept)
        for name, (_, algorithm, gradients_of, mean) in made.items()
    }
    return runs, {f"blackjax {name}": setting for name, (setting, *_) in made.items()}, reference


def settings(steps, smoothness):
    """The settings of each row, for the table."""
    friction_of = {label: f", g {friction(label, smoothness):.2g}" * (label != "Overdamped") for label in steps}
    return {label: f"h {h:.2g}{friction_of[label]}" for label, h in steps.items()}


def measured(runs, steps, repeats, key):
    """Name -> (outputs, seconds of a run, of its compilation, temporary bytes)."""
    calls, about = {}, {}
    for name, run in runs.items():
        h = jnp.float32(steps.get(name, 0.0))
        started = time.perf_counter()
        compiled = jax.jit(run).lower(key, h).compile()
        about[name] = time.perf_counter() - started, compiled.memory_analysis().temp_size_in_bytes
        calls[name] = partial(compiled, key, h)
    seconds = interleaved(calls, repeats)
    return {name: (call(), min(seconds[name]), *about[name]) for name, call in calls.items()}


def costs(draws, gradients, seconds, compile_seconds, memory):
    some = jnp.asarray(draws[:1024])
    size = js.Chains(some[:, -1], some, {}).effective_sample_size().min() if some.shape[1] > 3 else 0.0
    return {
        "ESS / 1000 gradients": 1000 * float(size) / (len(some) * float(gradients) / 2),
        "gradients": float(gradients),
        "run s": seconds,
        "compile s": compile_seconds,
        "temporary MB": memory / 1e6,
    }


def gaussian_rows(options, labels, key):
    target, curvatures, axes = gaussian(options.dim)
    steps = {label: best_step(label, curvatures, options.gradients) for label in labels}
    where = target, jnp.zeros(options.dim), CONDITION, options.gradients, options.chains, options.kept
    runs = {label: unadjusted(label, *where) for label in labels}
    others, about_others, _ = with_blackjax(*where[:2], *where[3:], options.tuning, key)
    about_steps = settings(steps, CONDITION) | about_others
    for name, ((x, draws, gradients), *about) in measured(runs | others, steps, options.repeats, key).items():
        white = np.square(np.asarray(x, float) @ axes) * curvatures
        ratio, variance = white.mean(0), white.var(0) / len(white)
        estimate = 0.5 * (ratio - 1 - np.log(ratio)) - variance / (4 * ratio**2)
        error = np.sqrt(np.sum(((1 - 1 / ratio) / 2) ** 2 * variance + variance**2 / (8 * ratio**4)))
        yield {
            "method": name,
            "setting": about_steps[name],
            "KL": divergence(name, steps[name], curvatures, options.gradients) if name in steps else "",
            "KL of the chains": float(estimate.sum()),
            "+-": float(error),
        } | costs(np.asarray(draws) @ axes, gradients, *about)


def posterior_rows(options, labels, key):
    target, mode = posterior()
    for_points, for_reference, for_pilots, for_runs = jax.random.split(key, 4)
    rough = Underdamped.from_smoothness(js.mcmc.smoothness(for_points, target, mode[None]))
    shape = (64, *mode.shape)
    points = js.sample_density(for_points, target, shape, rough, 200, warmup=0, thin=0, init=jnp.tile(mode, (64, 1))).x
    smoothness = float(js.mcmc.smoothness(for_points, target, points))
    where = target, mode, smoothness, options.posterior_gradients, options.posterior_chains, options.kept
    others, about_others, reference = with_blackjax(*where[:2], *where[3:], options.tuning, for_runs)
    if reference is None:
        print("The posterior has no reference without blackjax and is left out.")
        return
    exact = np.asarray(reference(for_reference)[1], float)
    mean, deviation = exact.mean((0, 1)), exact.std((0, 1))

    def errors(draws):
        """Standardized errors of mean and variance of each chain, (2, n, d)."""
        white = (np.asarray(draws, float) - mean) / deviation
        return np.stack([white.mean(1), np.square(white).mean(1) - 1])

    def noise_of(each):
        return each.var(1, ddof=1) / each.shape[1]

    steps = {}
    for label in labels:
        pilot = jax.jit(unadjusted(label, *where[:4], min(64, options.posterior_chains), options.kept))
        grid = (0.05, 0.1, 0.2, 0.4, 0.8, 1.2, 1.6)
        found = [np.square(errors(pilot(for_pilots, jnp.float32(h))[1])).mean() for h in grid]
        steps[label] = grid[int(np.nanargmin(found))]
    about_steps = settings(steps, smoothness) | about_others
    floor = noise_of(errors(exact))
    print(f"posterior: L = {smoothness:.3g}; mean and variance of the reference {np.sqrt(floor.mean(1)).round(4)}")
    runs = {label: unadjusted(label, *where) for label in labels} | others
    for name, ((_, draws, gradients), *about) in measured(runs, steps, options.repeats, for_runs).items():
        each = errors(draws)
        noise, one = noise_of(each) + floor, np.sqrt(np.square(each).mean((1, 2)))
        bias = np.sqrt(np.maximum(np.mean(each.mean(1) ** 2 - noise, 1), 0))
        noise = np.sqrt(noise.mean(1))
        yield (
            {"method": name, "setting": about_steps[name]}
            | {
                f"{what} {of}": float(values[k])
                for k, what in enumerate(("mean", "variance"))
                for of, values in (("error", one), ("bias", bias), ("noise", noise))
            }
            | costs(draws, gradients, *about)
        )


def main():
    parser = arguments(__doc__)
    parser.add_argument("--dim", type=int, default=100)
    parser.add_argument("--gradients", type=int, default=800, help="of one chain on the Gaussian")
    parser.add_argument("--posterior-gradients", type=int, default=4000)
    parser.add_argument("--chains", type=int, default=8192)
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
    for_gaussian, for_posterior = jax.random.split(jax.random.key(0))
    rows = list(gaussian_rows(options, labels, for_gaussian))
    report("log_concave_gaussian", f"Gaussian, condition 100, {options.gradients} gradients", rows, options)
    rows = list(posterior_rows(options, labels, for_posterior))
    if rows:
        report("log_concave_posterior", f"Logistic regression, {options.posterior_gradients} gradients", rows, options)


if __name__ == "__main__":
    main()
