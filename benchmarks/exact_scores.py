"""How fast are the exact scores?

Mixture: the eigen-form score against Cholesky solves and against automatic differentiation of the dense log density
(full covariances, float32). Empirical law: the streaming posterior against its two matrix products alone, over the
same chunks at the same precision, and the peak temporary memory of the compiled call. Ratios are medians of
interleaved pairs.
"""

import jax
import jax.numpy as jnp
import numpy as np
from common import arguments, interleaved, ratio, report

import jaxsamp as js
from jaxsamp_kernels.empirical import empirical_posterior


def cholesky_log_prob(weights, means, covariances, alpha, sigma):
    """The textbook way: factor each noised covariance, solve triangular systems."""
    noised = alpha**2 * covariances + sigma**2 * jnp.eye(means.shape[1])
    factors = jnp.linalg.cholesky(noised)

    def components(x):
        delta = x[None] - alpha * means[:, None]  # (K, N, d)
        white = jax.scipy.linalg.solve_triangular(factors, delta.swapaxes(1, 2), lower=True)
        log_det = jnp.log(jnp.diagonal(factors, axis1=1, axis2=2)).sum(1)
        return (jnp.log(weights) - log_det)[:, None] - 0.5 * (white**2).sum(1), white, factors

    return components


def cholesky_score(weights, means, covariances, x, alpha, sigma):
    logits, white, factors = cholesky_log_prob(weights, means, covariances, alpha, sigma)(x)
    back = jax.scipy.linalg.solve_triangular(factors, white, lower=True, trans=1)
    return -jnp.einsum("kn,kdn->nd", jax.nn.softmax(logits, 0), back)


def autodiff_score(weights, means, covariances, x, alpha, sigma):
    components = cholesky_log_prob(weights, means, covariances, alpha, sigma)
    return jax.grad(lambda x: jax.nn.logsumexp(components(x)[0], 0).sum())(x)


def mixture_rows(sizes, repeats):
    for k, d, n in sizes:
        target = js.targets.GaussianMixture.random(jax.random.key(0), k, d)
        mixture = target.mixture
        covariances = jnp.einsum("kdm,km,kem->kde", mixture.basis, mixture.eigenvalues, mixture.basis)
        x = jax.random.normal(jax.random.key(1), (n, d))
        dense = (target.weights, target.means, covariances, x)
        eigen = jax.jit(lambda t, x, a, s: t.score(x, js.Level(a, s)))
        slow, auto = jax.jit(cholesky_score), jax.jit(autodiff_score)
        seconds = interleaved(
            {
                "eigen": lambda t=target, x=x, f=eigen: f(t, x, 0.8, 0.6),
                "cholesky": lambda f=slow, a=dense: f(*a, 0.8, 0.6),
                "autodiff": lambda f=auto, a=dense: f(*a, 0.8, 0.6),
            },
            repeats,
        )
        gap = jnp.abs(eigen(target, x, 0.8, 0.6) - slow(*dense, 0.8, 0.6)).max()
        yield {
            "K": k,
            "d": d,
            "N": n,
            "eigen ms": 1e3 * min(seconds["eigen"]),
            "Cholesky / eigen": ratio(seconds["cholesky"], seconds["eigen"]),
            "autodiff / eigen": ratio(seconds["autodiff"], seconds["eigen"]),
            "largest difference": float(gap),
        }


def two_products(x, data, chunk):
    """The matrix products of a streaming posterior and nothing else."""

    def body(total, start):
        y = jax.lax.dynamic_slice_in_dim(data, start, chunk)
        logits = jnp.matmul(x, y.T, precision="highest")
        return total + jnp.matmul(logits, y, precision="highest"), None

    return jax.lax.scan(body, jnp.zeros_like(x), jnp.arange(0, data.shape[0], chunk))[0]


def empirical_rows(sizes, chunk, repeats):
    for n_queries, n, d in sizes:
        rng = np.random.default_rng(0)
        data = jnp.asarray(rng.standard_normal((n, d)), jnp.float32)
        x = data[:n_queries] + jnp.asarray(rng.standard_normal((n_queries, d)), jnp.float32)
        size = min(chunk, n)
        plain = jax.jit(lambda x, y, c=size: empirical_posterior(x, 1.0, 1.0, y, chunk=c).mean)
        refined = jax.jit(lambda x, y, c=size: empirical_posterior(x, 1.0, 1e-3, y, chunk=c, refine=64).mean)
        products = jax.jit(lambda x, y, c=size: two_products(x, y, c))
        seconds = interleaved(
            {
                "posterior": lambda f=plain, x=x, y=data: f(x, y),
                "products": lambda f=products, x=x, y=data: f(x, y),
                "refined": lambda f=refined, x=x, y=data: f(x, y),
            },
            repeats,
        )
        memory = plain.lower(x, data).compile().memory_analysis().temp_size_in_bytes
        yield {
            "N": n_queries,
            "n": n,
            "d": d,
            "chunk": size,
            "posterior ms": 1e3 * min(seconds["posterior"]),
            "speed over two products": ratio(seconds["products"], seconds["posterior"]),
            "second pass costs": ratio(seconds["refined"], seconds["posterior"]),
            "temporary MB": memory / 1e6,
            "N (d + chunk) floats, MB": 4e-6 * n_queries * (d + size),
            "N n floats, MB": 4e-6 * n_queries * n,
        }


def main():
    parser = arguments(__doc__)
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--chunk", type=int, default=1024)
    parser.add_argument("--small", action="store_true", help="tiny sizes, to see that the script runs")
    options = parser.parse_args()
    mixtures = [(3, 8, 100)] if options.small else [(10, 64, 10_000), (5, 16, 10_000), (10, 128, 2_000)]
    laws = (
        [(8, 512, 16)] if options.small else [(256, 8192, 3072), (256, 32768, 3072), (64, 8192, 3072), (1024, 8192, 64)]
    )
    report(
        "exact_scores_mixture",
        "Mixture score, full covariances",
        list(mixture_rows(mixtures, options.repeats)),
        options,
    )
    rows = list(empirical_rows(laws, options.chunk, options.repeats))
    report("exact_scores_empirical", "Posterior mean of the empirical law", rows, options)


if __name__ == "__main__":
    main()
