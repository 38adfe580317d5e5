"""How far is a learned score from the exact one, at each noise level?

Five round Gaussians in 64 dimensions, known through 8,000 samples. Beside the network: the score of one Gaussian with
their mean and covariance, the best linear one, and that of the samples themselves, which a network of any size would
learn if it were trained forever.
"""

from pathlib import Path

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np

import jaxsamp as js
from jaxsamp.targets import Empirical, GaussianMixture

OUT = Path("runs/examples")
SCHEDULE, D, N = js.schedules.VarianceExploding(), 64, 1000


def main():
    for_law, for_data, for_training, for_test, for_noise, for_samples = jax.random.split(jax.random.key(0), 6)
    target = GaussianMixture.spherical([0.1, 0.15, 0.2, 0.25, 0.3], jax.random.normal(for_law, (5, D)), 0.09)
    data = np.asarray(target.sample(for_data, 8000))
    rate, network = js.training.AdamW(learning_rate=2e-3), js.models.MLP(width=192, depth=2)
    state = js.fit(for_training, network, data, SCHEDULE, 1500, batch_size=256, optimizer=rate, ema=0.995)
    laws = {"one Gaussian": GaussianMixture([1.0], data.mean(0)[None], np.cov(data.T)[None]), "data": Empirical(data)}
    denoisers = {"network": state.denoiser()} | {name: law.denoiser(SCHEDULE) for name, law in laws.items()}

    clean, noise = target.sample(for_test, N), jax.random.normal(for_noise, (N, D))
    sigmas, errors = np.geomspace(0.05, 20, 12), {name: [] for name in denoisers}
    for sigma in sigmas:
        level, x = SCHEDULE.level(-jnp.log(sigma)), clean + sigma * noise
        exact = target.score(x, level)
        for name, denoiser in denoisers.items():
            score = (denoiser(x, level) - x) / sigma**2
            errors[name].append(float(jnp.sqrt(jnp.mean((score - exact) ** 2) / jnp.mean(exact**2))))
    print("error of the score over its size, at sigma" + "".join(f"{s:8.2f}" for s in sigmas[::3]))
    for name, error in errors.items():
        print(f"{name:42}" + "".join(f"{e:8.3f}" for e in error[::3]))
    bank = js.metrics.NullBank(target, 300, for_noise)
    for name, denoiser in ({"exact score": target.denoiser(SCHEDULE)} | denoisers).items():
        x = js.sample(for_samples, denoiser, (300, D), steps=24).x
        energy, copies = js.metrics.energy(x, bank), js.metrics.memorization(x, data, clean)
        print(f"{name:13} energy distance {energy.value:.3f}, true {energy.null_high:.3f}; copies {copies.value:.0%}")

    plt.style.use(js.plots.STYLE)
    figure, axes = plt.subplots(figsize=(6, 4))
    for (name, error), mark in zip(errors.items(), "os^", strict=True):
        axes.loglog(sigmas, error, mark + "-", label=name)
    axes.set(xlabel="noise level sigma", ylabel="relative error of the score", title="five Gaussians, d = 64")
    axes.legend()
    OUT.mkdir(parents=True, exist_ok=True)
    js.plots.save(figure, OUT / "09_learned_score.png")


if __name__ == "__main__":
    main()
