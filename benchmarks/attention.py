"""How often does local search find the heads of an attention layer, and how does that fall with their number?

Teachers are random layers F(X) = sum_i softmax(X Theta_i X^T) X W_i with entries of Theta from N(0, s^2) and of W from
N(0, 1); examples are all inputs of +1 and -1 (k, d), so that errors have no noise. Compared from the same starts, with
the same steps of Adam: `fit_attention`, where W is least squares given Theta, and a layer in Flax, whose Theta and W
are trained by optax. `restarts` is the share of all restarts, over all teachers, with a relative squared error below
1e-4 before polishing; `layers` counts the teachers whose best restart has one, `polished` those of which L-BFGS finds
every entry of Theta to 1e-4. `E X^T F` is the relative error of that mean, which is sum_i W_i at Theta = 0, as an
estimate of sum_i W_i. Seconds include compilation.
"""

import time
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
from common import about, arguments, show, write

from jaxsamp.supervised import AttentionLayer, fit_attention, sign_matrices
from jaxsamp.supervised.attention import END, RATE, SOLVED

CASES = {  # heads, k, d, s
    "1 head": (1, 3, 3, 1.0),
    "2 heads": (2, 3, 3, 1.0),
    "3 heads": (3, 3, 3, 1.0),
    "4 heads": (4, 3, 3, 1.0),
    "5 heads": (5, 3, 3, 1.0),
    "2 heads, s = 0.5": (2, 3, 3, 0.5),
    "2 heads, s = 2": (2, 3, 3, 2.0),
    "2 heads, k = 5, d = 2": (2, 5, 2, 1.0),
}


class Layer(nn.Module):
    """The same layer with both of its parts as parameters."""

    heads: int
    scale: float

    @nn.compact
    def __call__(self, x: Any) -> Any:
        shape = (self.heads, x.shape[-1], x.shape[-1])
        theta = self.param("theta", nn.initializers.normal(self.scale), shape)
        w = self.param("w", nn.initializers.normal(1 / self.heads), shape)
        scores = jnp.einsum("nad,mde,nbe->nmab", x, theta, x)
        return jnp.einsum("nmab,nbd,mde->nae", nn.softmax(scores), x, w)


def trained(key: Any, x: Any, y: Any, heads: int, restarts: int, scale: float, steps: int) -> np.ndarray:
    """Relative errors of all restarts of the layer in Flax."""
    module, adam = Layer(heads, scale), optax.adam(optax.cosine_decay_schedule(RATE, steps, END))

    def error(params: Any) -> Any:
        return jnp.sum((y - module.apply(params, x)) ** 2) / jnp.sum(y**2)

    def step(carry: Any, _: None) -> Any:
        params, state = carry
        updates, state = adam.update(jax.grad(error)(params), state)
        return (optax.apply_updates(params, updates), state), None

    @jax.jit
    @jax.vmap
    def run(key: Any) -> Any:
        params = module.init(key, x)
        params["params"]["theta"] = scale * jax.random.normal(key, (heads, *2 * x.shape[-1:]))
        return error(jax.lax.scan(step, (params, adam.init(params)), None, steps)[0][0])

    keys = jax.vmap(lambda i: jax.random.fold_in(key, i))(jnp.arange(restarts))
    return np.asarray(run(keys))


def rows(name: str, options: Any) -> Any:
    heads, k, d, scale = CASES[name]
    x = sign_matrices(k, d)
    ours, theirs, seconds, found, moment = [], [], [], [], []
    for seed in range(options.teachers):
        of_teacher, of_starts = jax.random.split(jax.random.key(seed))
        teacher = AttentionLayer.random(of_teacher, heads, d, scale)
        y = teacher(x)
        total = teacher.w.sum(0)
        moment.append(float(jnp.linalg.norm(jnp.einsum("nka,nkb->ab", x, y) / len(x) - total) / jnp.linalg.norm(total)))
        start = time.perf_counter()
        fit = fit_attention(of_starts, x, y, heads, options.restarts, scale=scale, steps=options.steps)
        middle = time.perf_counter()
        theirs.append(trained(of_starts, x, y, heads, options.restarts, scale, options.steps))
        seconds.append((middle - start, time.perf_counter() - middle))
        ours.append(fit.errors)
        found.append(fit.layer.distance(teacher)[0] < 1e-4)
    methods = "fit_attention", "flax + optax"
    for method, errors, each in zip(methods, (ours, theirs), np.transpose(seconds), strict=True):
        solved = np.array(errors) < SOLVED
        yield {
            "label": name,
            "method": method,
            "restarts": float(solved.mean()),
            "layers": f"{solved.any(1).sum()} of {len(solved)}",
            "polished": f"{sum(found)} of {len(found)}" if method == "fit_attention" else None,
            "best error, median": float(np.median(np.min(errors, 1))),
            "E X^T F": float(np.median(moment)),
            "seconds": float(np.median(each)),
        }


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--teachers", type=int, default=3)
    parser.add_argument("--restarts", type=int, default=32)
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--cases", nargs="+", default=[*CASES], choices=CASES)
    options = parser.parse_args()
    title, found = "Heads of attention: how often local search finds them", []
    for name in options.cases:
        for one in rows(name, options):
            found.append(one)
            print(one, flush=True)
            write(options.results / "attention.json", about(title, options, ["flax", "optax"]) | {"rows": found})
    show(title, found)


if __name__ == "__main__":
    main()
