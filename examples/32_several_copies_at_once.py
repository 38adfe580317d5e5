"""What is a measurement of several copies of a quantum state worth? More than as many measurements of one.

Keyl's measurement takes t copies at once and returns a Young diagram and a frame. Its debiased estimate has no bias for
any t, so that the mean of many converges; Keyl's own estimate is a state each time, and its mean converges to another
one. The squared error of N copies, times N, falls like the root of t.
"""

from pathlib import Path

import jax
import numpy as np

import jaxsamp as js
from jaxsamp import recipes

OUT = Path("runs/examples")
EIGENVALUES = (0.6, 0.25, 0.1, 0.05)


def main() -> None:
    rho = js.quantum.random_state(jax.random.key(0), 4, EIGENVALUES)
    out = js.quantum.measure(jax.random.key(1), rho, (2000,), js.quantum.Keyl(copies=8))
    print("the first diagrams:", *(row.tolist() for row in np.asarray(out.partition[:4])))
    print(f"halves of the chains differ by {out.stats['split_half'].mean():.4f} on average")
    for method in ("debiased", "keyl"):
        est = js.quantum.estimate_state(out, method)
        apart, noise = (float(np.linalg.norm(x)) for x in (est.rho - rho, est.standard_error))
        print(f"{method:9} {apart:.3f} from the state, {noise:.3f} of it by chance")
    physical = js.quantum.estimate_state(out, physical=True)
    print("eigenvalues of the nearest state:", np.linalg.eigvalsh(np.asarray(physical.rho))[::-1].round(3))

    found = recipes.copies_against_error(jax.random.key(2), rho, copies=16_000, per_measurement=(1, 2, 4, 8, 16))
    for row in found.rows:
        print(f"{row['estimator']:9} t = {row['t']:2}: squared error times N {row['squared_error']:.2f}")
    figure = js.plots.copy_curves(found.rows, title="16,000 copies of a state of dimension 4")
    OUT.mkdir(parents=True, exist_ok=True)
    js.plots.save(figure, OUT / "32_several_copies_at_once.png")


if __name__ == "__main__":
    main()
