"""A filter was measured at 21 frequencies, with noise: its S-parameters at 401, with bands and passive draws."""

from pathlib import Path

import jax
import numpy as np

import jaxsamp as js

OUT = Path("runs/examples")

truth = js.sparameters.ladder()  # or js.sparameters.read("filter.s2p")
noise = np.random.default_rng(0).standard_normal((2, *truth.s.shape)) * 0.01 / np.sqrt(2)
measured = truth._replace(s=truth.s + noise[0] + 1j * noise[1])
samples = js.sparameters.spaced(401, 21 / 401)


def decibels(s):
    return 20 * np.log10(np.linalg.norm(truth.s) / np.linalg.norm(truth.s - s))


for method in ("spline", "aaa", "vector", "causal"):
    fit = js.sparameters.interpolate(measured, samples, method=method)
    print(f"{method:>7}: {decibels(fit.s):.1f} dB, largest singular value {fit.largest_singular_value:.4f}")

inside = np.abs(truth.s - fit.s) < 1.73 * fit.standard_error  # 95 % of complex normal errors
print(f"within 1.73 standard errors: {inside.mean():.1%}; noise found: {fit.settings['noise']['S11']:.4f}")

draws = js.sparameters.posterior(jax.random.key(0), fit, 50)
largest = draws.stats["largest"].max()
print(f"50 passive draws: largest singular value {largest:.6f}, mean {decibels(draws.s.mean(0)):.1f} dB")

figure = js.plots.sparameters(fit, truth=truth.s, draws=draws.s, title="A filter measured at 21 frequencies")
OUT.mkdir(parents=True, exist_ok=True)
js.plots.save(figure, OUT / "36_sparameters.png")
js.sparameters.write(OUT / "36_sparameters.s2p", fit)
