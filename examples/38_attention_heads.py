"""Attention heads from all inputs of signs: entries that were found, and how rarely a start finds more heads."""

from pathlib import Path

import jax
import matplotlib.pyplot as plt
import numpy as np

import jaxsamp as js

OUT = Path("runs/examples")
RESTARTS = 24

x = js.supervised.sign_matrices(3, 2)  # all 64 matrices of three rows of +1 and -1
fits, teachers = {}, {}
for heads in (1, 2, 3, 4):
    teachers[heads] = js.supervised.AttentionLayer.random(jax.random.key(heads), heads, dim=2)
    fits[heads] = js.supervised.fit_attention(jax.random.key(9), x, teachers[heads](x), heads, RESTARTS)
    off = fits[heads].layer.distance(teachers[heads])[0]
    print(f"heads {heads}: {fits[heads].restarts_solved} of {RESTARTS} restarts solved, ", end="")
    print(f"relative error of the best {fits[heads].relative_error:.1e}, entries of Theta off by at most {off:.1e}")

theta = np.asarray(teachers[2].theta)
found = np.asarray(fits[2].layer.theta)
if abs(found - theta).max() > abs(found[::-1] - theta).max():
    found = found[::-1]  # heads have no order
with plt.style.context(js.plots.STYLE):
    figure, (left, right) = plt.subplots(1, 2, figsize=(8.0, 3.4))
    left.plot([-3, 3], [-3, 3], color="0.8", zorder=0)
    for i in range(2):
        left.scatter(theta[i].ravel(), found[i].ravel(), label=f"head {i + 1}")
    left.set(xlabel="entry of the teacher's Theta", ylabel="entry that was found", title="Two heads")
    left.legend()
    for heads, fit in fits.items():
        right.semilogx(np.sort(fit.errors), np.arange(RESTARTS) / RESTARTS, label=f"m = {heads}")
    right.axvline(1e-4, color="0.6", linestyle=":")
    right.set(xlabel="relative error after 600 steps of Adam", ylabel="share of restarts below", title="More heads")
    right.legend()
OUT.mkdir(parents=True, exist_ok=True)
js.plots.save(figure, OUT / "38_attention_heads.png")
