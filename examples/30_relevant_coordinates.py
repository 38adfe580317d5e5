"""Which of sixteen spins does a label depend on, where all of them depend on each other?"""

from pathlib import Path

import jax
import numpy as np

import jaxsamp as js

OUT = Path("runs/examples")

law = js.discrete.lattice(4, 2, beta=0.3, field=0.3)
x = np.asarray(law.sample(jax.random.key(0), 20_000))
clean = np.where(x[:, 6] > 0, x[:, 3], -x[:, 8]) * x[:, 1]
rng = np.random.default_rng(0)
y = clean * np.where(rng.random(len(x)) < 0.05, -1, 1)

correlated = np.argsort(-np.abs(np.corrcoef(x.T, y)[-1, :-1]))[:4]
print("the label depends on spins 1, 3, 6 and 8; of the largest correlation are", *sorted(correlated.tolist()))

found = js.learning.select(x, y)
print("found:", *found.indices, "in the order", *found.path[: len(found.indices)])
print(f"largest |z| of labels that cannot depend on a spin: {found.control:.1f}, limit {found.control_limit:.1f}")

new = np.asarray(law.sample(jax.random.key(1), 20_000))
truth = np.where(new[:, 6] > 0, new[:, 3], -new[:, 8]) * new[:, 1]
print(f"labels of new rows without flips: {np.mean(np.sign(found.predict(new)) == truth):.1%} right")

names = [f"spin {i}" for i in found.path]
figure = js.plots.selection(names, found.z_path, found.limits, title="Which spins the label depends on")
OUT.mkdir(parents=True, exist_ok=True)
js.plots.save(figure, OUT / "30_relevant_coordinates.png")
