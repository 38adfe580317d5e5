"""When does a glass freeze? Spins with random couplings, above and below the temperature at which their order sets in.

Couplings of the Sherrington-Kirkpatrick model pull every spin both ways, so no magnetization tells of order. The
overlap of two independent chains does: the mean product of their spins. Below beta = 1 it is near zero; above it,
chains fall into the same few valleys or into their mirror images, and overlaps spread to both sides. At beta = 1 a
hundred spins are too few for a sharp transition, and spread already. A magnet is shown above it.
"""

from pathlib import Path

import jax
import matplotlib.pyplot as plt
import numpy as np

import jaxsamp as js

OUT, N, CHAINS, BETAS = Path("runs/examples"), 100, 200, (0.6, 1.0, 1.6)

BINS = np.arange(-1.03, 1.04, 0.06)  # magnetizations and overlaps of N spins are multiples of 2 / N


def main():
    plt.style.use(js.plots.STYLE)
    figure, panels = plt.subplots(2, len(BETAS), figsize=(10, 5), sharex=True)
    print("beta   law                  |magnetization|   overlap^2   R-hat of the exponent")
    for column, beta in enumerate(BETAS):
        keys = jax.random.split(jax.random.key(column), 2)
        laws = {"magnet": js.discrete.curie_weiss(N, beta), "glass": js.discrete.sk(keys[0], N, beta)}
        for axes, (name, law) in zip(panels[:, column], laws.items(), strict=True):
            chains = js.sample_spins(keys[1], law, (CHAINS, N), steps=200, warmup=200, thin=20)
            x = np.asarray(chains.x, float)
            magnetization, overlap = x.mean(1), (x @ x.T / N)[np.triu_indices(CHAINS, 1)]
            agree = chains.rhat(of="exponent")
            found = f"{np.abs(magnetization).mean():10.2f} {(overlap**2).mean():15.2f} {agree:18.3f}"
            print(f"{beta:3.1f}    {name:20} {found}")
            for values, label in ((magnetization, "magnetization"), (overlap, "overlap")):
                axes.hist(values, bins=BINS, density=True, alpha=0.6, label=label)
            axes.set_title(f"{name}, beta = {beta}")
    panels[0, 0].legend()
    for axes in panels[:, 0]:
        axes.set_ylabel("density")
    for axes in panels[-1]:
        axes.set_xlabel("magnetization of a chain, overlap of two")
    OUT.mkdir(parents=True, exist_ok=True)
    js.plots.save(figure, OUT / "27_spin_glass.png")


if __name__ == "__main__":
    main()
