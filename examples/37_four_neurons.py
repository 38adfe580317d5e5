"""Four neurons whose second moment vanishes, from labeled rows: what was found, and what a wide network finds."""

from pathlib import Path

import jax
import matplotlib.pyplot as plt
import numpy as np
from sklearn.neural_network import MLPRegressor

import jaxsamp as js

OUT = Path("runs/examples")
rng = np.random.default_rng(0)

angles = np.deg2rad([0, 45, 90, 135])
plane = np.linalg.qr(rng.standard_normal((20, 2)))[0]
weights = np.stack([np.cos(angles), np.sin(angles)], 1) @ plane.T
signs = np.array([1.0, -1.0, 1.0, -1.0])


def truth(x):
    return np.maximum(x @ weights.T, 0) @ signs


def r2(found, x):
    return 1 - np.var(truth(x) - found) / np.var(truth(x))


x, new = rng.standard_normal((40_000, 20)), rng.standard_normal((4000, 20))
fit = js.supervised.fit_relu(jax.random.key(0), x, truth(x) + 0.1 * rng.standard_normal(len(x)), 4)
print(f"largest second moment {fit.singular_values[0]:.3f}, of noise alone up to {fit.noise_level:.3f}")
print(f"R^2 on new rows {r2(fit.predict(new), new):.5f}, weights identified: {fit.identified}")
cosines = np.abs(weights @ fit.weights.T).max(1)
print("cosines of the true neurons to the nearest one found:", *cosines.round(4))

wide = MLPRegressor(hidden_layer_sizes=(64,), max_iter=30, random_state=0).fit(x, truth(x))
print(f"a network of 64 neurons, by Adam, labels without noise: R^2 {r2(wide.predict(new), new):.5f}")

side = np.linspace(-2.5, 2.5, 120)
grid = np.stack(np.meshgrid(side, side), -1).reshape(-1, 2) @ plane.T
with plt.style.context(js.plots.STYLE):
    figure, panels = plt.subplots(1, 3, figsize=(9.0, 3.2), sharey=True)
    for axes, name, values in zip(
        panels, ("truth", "fit_relu", "64 neurons"), (truth(grid), fit.predict(grid), wide.predict(grid)), strict=True
    ):
        axes.pcolormesh(side, side, values.reshape(120, 120), cmap="RdBu_r", vmin=-1.5, vmax=1.5)
        axes.set_title(name)
OUT.mkdir(parents=True, exist_ok=True)
js.plots.save(figure, OUT / "37_four_neurons.png")
