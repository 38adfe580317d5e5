"""How many rounds does an underdamped Langevin chain take to come near a log-concave law?

The law: the Gaussian in 100 dimensions of `log_concave.py`, with curvatures 1 to 100, from its center. A round is one
gradient, or several at once. Every method has inertia 1 / L, and friction 2 or ("low friction") 2 sqrt(m / L); its step
and, where it has them, its nodes R and sweeps K are those, on grids, that reach the divergence in the fewest rounds:
a choice that knows the answer, which flatters all alike.

Kullback-Leibler divergence of the law after each step from second moments, which the steps propagate linearly; exact,
but for the average over the random nodes of R > 1, taken over points of a Sobol sequence and their mirror images. Each
chain's law is a mixture over these nodes, of which the divergence sees the second moments only. W2: distance of the
Gaussian of these moments from the law, relative to the law's root mean square size, at the same step.
"""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from common import arguments, report
from scipy.stats import qmc

from jaxsamp_kernels import langevin as kernel
from jaxsamp_kernels import parallel_langevin

CONDITION = 100.0
LEGENDRE = 16  # points of the average over the node of R = 1
FROZEN, MIDPOINT, REUSED, PARALLEL = (
    "Underdamped, frozen",
    "Underdamped",
    "ParallelUnderdamped, R = 1, K = 1",
    "ParallelUnderdamped",
)


def places(midpoints, points):
    """Antithetic places of the nodes in their cells, (n, R), and the weight of each row in the average over them."""
    if midpoints == 1:
        nodes, weights = np.polynomial.legendre.leggauss(LEGENDRE)
        return jnp.asarray((nodes[:, None] + 1) / 2), jnp.asarray(weights / 2)
    u = qmc.Sobol((midpoints + 1) // 2, rng=0).random(points)
    u = np.concatenate([u, 1 - u])
    u = np.stack([u, 1 - u], -1).reshape(len(u), -1)[:, :midpoints]
    return jnp.asarray(u), jnp.full(len(u), 1 / len(u))


def linear_step(method, iterations, curvature, h, friction, fractions, state, z):
    """One step along one axis of (x, v, slope at the last node), in units in which L and the inertia are 1."""
    x, v, slope = state
    score = lambda y: -curvature * y  # noqa: E731
    if method == FROZEN:
        x, v = kernel.underdamped_step(x, v, score(x), h, friction, 1.0, z[0, 0], z[0, 1])
    elif method == MIDPOINT:
        x, v = kernel.midpoint_underdamped_step(score, x, v, score(x), h, friction, 1.0, fractions[0], z.reshape(4))
    else:
        step = parallel_langevin.parallel_underdamped_step
        x, v, slopes = step(score, x, v, slope, h, friction, 1.0, fractions, z, iterations)
        slope = slopes[-1]
    return jnp.stack([x, v, slope])


@partial(jax.jit, static_argnums=(0, 1))
def distances(method, steps, iterations, h, friction, fractions, weights, curvatures):
    """Divergence and W2 after each step, (steps, 2)."""
    start, z = jnp.zeros(3), jnp.zeros((fractions.shape[1] + 1, 2))

    def along(curvature):
        jacobians = jax.jacfwd(partial(linear_step, method, iterations, curvature, h, friction), (1, 2))
        m, noise = jax.vmap(jacobians, (0, None, None))(fractions, start, z)
        noise = noise.reshape(len(noise), 3, -1)
        shift = jnp.einsum("a,aiz,akz->ik", weights, noise, noise).ravel()
        return jnp.einsum("a,aij,akl->ikjl", weights, m, m).reshape(9, 9), shift

    linear, shift = jax.vmap(along)(curvatures)

    def body(moments, _):
        moments = jnp.einsum("cij,cj->ci", linear, moments) + shift
        ratio = moments[:, 0] * curvatures
        gap = jnp.square(jnp.sqrt(ratio) - 1) / curvatures
        divergence = 0.5 * (ratio - 1 - jnp.log(ratio)).sum()
        return moments, jnp.stack([divergence, jnp.sqrt(gap.sum() / (1 / curvatures).sum())])

    first = jnp.zeros((len(curvatures), 9)).at[:, 4].set(1.0)
    return jax.lax.scan(body, first, None, length=steps)[1]


def cost(method, midpoints, iterations, steps):
    """Rounds and gradients of one chain."""
    if method in (FROZEN, MIDPOINT):
        each = 1 if method == FROZEN else 2
        return each * steps, each * steps
    return 1 + iterations * steps, 1 + midpoints * iterations * steps


def rows(options):
    curvatures = jnp.geomspace(1, CONDITION, options.dim) / CONDITION
    parallel = [(PARALLEL, r, k) for r in options.midpoints for k in options.iterations]
    for friction in (2.0, 2 / np.sqrt(CONDITION)):
        best = {}
        for method, midpoints, iterations in ((FROZEN, 1, 1), (MIDPOINT, 1, 1), (REUSED, 1, 1), *parallel):
            fractions, weights = places(midpoints, options.points)
            for h in np.geomspace(options.least_step, options.largest_step, options.step_sizes):
                found = distances(method, options.steps, iterations, h, friction, fractions, weights, curvatures)
                divergence, w2 = np.asarray(found).T
                for target in options.divergences:
                    reached = np.flatnonzero(divergence <= target)
                    if not len(reached):
                        continue
                    steps = int(reached[0]) + 1
                    rounds, gradients = cost(method, midpoints, iterations, steps)
                    row = {
                        "KL": target,
                        "friction": float(friction),
                        "method": method,
                        "rounds": rounds,
                        "gradients": gradients,
                        "steps": steps,
                        "R": midpoints if method == PARALLEL else "",
                        "K": iterations if method == PARALLEL else "",
                        "step size": float(h),
                        "W2": float(w2[steps - 1]),
                    }
                    key = method, target
                    best[key] = min(best.get(key, row), row, key=lambda row: (row["rounds"], row["gradients"]))
        for target in options.divergences:
            for method in (FROZEN, MIDPOINT, REUSED, PARALLEL):
                missing = {"KL": target, "friction": float(friction), "method": method}
                yield best.get((method, target), missing)


def main():
    parser = arguments(__doc__)
    parser.add_argument("--dim", type=int, default=100)
    parser.add_argument("--divergences", type=float, nargs="*", default=[1e-2, 1e-3, 1e-4, 1e-6])
    parser.add_argument("--midpoints", type=int, nargs="*", default=[8, 16, 32])
    parser.add_argument("--iterations", type=int, nargs="*", default=[2, 3, 4, 5])
    parser.add_argument("--steps", type=int, default=8000, help="at most, of one chain")
    parser.add_argument("--least-step", type=float, default=0.1)
    parser.add_argument("--largest-step", type=float, default=5.0)
    parser.add_argument("--step-sizes", type=int, default=20)
    parser.add_argument("--points", type=int, default=16, help="of the Sobol sequence")
    options = parser.parse_args()
    with jax.enable_x64(True):
        title = f"Rounds to a divergence, Gaussian in {options.dim} dimensions, condition {CONDITION:.0f}"
        report("parallel_langevin", title, list(rows(options)), options)


if __name__ == "__main__":
    main()
