"""Which spins are coupled? Couplings from samples, of a law that is known and of measurements that are not.

Sixteen spins on a ring with a few chords: pseudo-likelihood minimizes a loss of all samples, Sparsitron reads them
once. The difference of the two values that each coupling gets is an error bar that costs nothing, smaller than the
error. Then thirty measurements of tumors, above or below their medians: the law of pairs predicts each of them from the
others, and chains draw from it.
"""

from pathlib import Path

import jax
import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_breast_cancer

import jaxsamp as js

OUT, SAMPLES = Path("runs/examples"), 20_000


def ring_with_chords():
    edges = [(i, (i + 1) % 16) for i in range(16)] + [(0, 8), (3, 12), (5, 14)]
    weights = np.where(np.arange(len(edges)) % 3 == 0, -0.5, 0.4)
    return js.discrete.SparseIsing(edges, weights, 0.1 * np.ones(16))


def main():
    for_known, for_chains = jax.random.split(jax.random.key(0))
    law = ring_with_chords()
    x = np.asarray(law.sample(for_known, SAMPLES))  # exact draws, from a sum over all 65,536 states
    truth = np.asarray(law.couplings)
    for method in ("rple", "sparsitron"):
        fit = js.learning.fit_spins(x, method=method)
        found = np.asarray(fit.model.couplings)
        edges = np.abs(found[truth != 0]).min() - np.abs(found[(truth == 0) & ~np.eye(16, dtype=bool)]).max()
        print(
            f"{method:12} largest error {np.abs(found - truth).max():.3f}   asymmetry {fit.asymmetry:.3f}   "
            f"weakest edge above the strongest that is none: {edges:+.2f}"
        )

    data = load_breast_cancer().data
    rows = np.random.default_rng(0).permutation(len(data))
    train, held_out = data[rows[:400]], data[rows[400:]]
    learner = js.learning.SpinRegressor(binarize="median").fit(train)
    spins = np.where(held_out > learner.thresholds_, 1, -1)
    right = (np.sign(learner.predict(held_out)) == spins).mean()
    print(f"tumors: a measurement is above or below its median as the other 29 say, {right:.1%} (one alone: 50 %)")
    chains = js.sample_spins(for_chains, learner.model_, (500, 30), steps=300, warmup=0, thin=0)
    plt.style.use(js.plots.STYLE)
    OUT.mkdir(parents=True, exist_ok=True)
    figure = js.plots.spin_fit(
        learner.coef_, spins, chains.x, title="30 measurements of tumors, above or below medians"
    )
    js.plots.save(figure, OUT / "28_couplings_from_samples.png")


if __name__ == "__main__":
    main()
