"""Train a network on handwritten digits and their labels, and draw each digit, with and without guidance.

One training sample in ten loses its label, so that the network also learns the law of all digits: guidance amplifies
the difference between the two. It costs a second evaluation. Samples become clearer cases of their label, but no longer
have the law of the class, as 04_guidance.py shows for a known law.
"""

from pathlib import Path

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
from sklearn.linear_model import LogisticRegression

import jaxsamp as js
from jaxsamp.losses import EDMWeighting, LogNormal

OUT = Path("runs/examples")
SCHEDULE, EACH, STEPS = js.schedules.VarianceExploding(), 50, 2000


def main():
    digits, labels, held_out = js.datasets.digits()
    for_training, for_samples = jax.random.split(jax.random.key(0))
    loss = js.training.denoising_loss(LogNormal(-0.5), EDMWeighting(float(digits.std())), drop=0.1)
    state = js.fit(
        for_training,
        js.models.MLP(width=256, depth=2, classes=10),
        digits,
        SCHEDULE,
        STEPS,
        cond=labels,
        batch_size=128,
        loss=loss,
        optimizer=js.training.AdamW(learning_rate=2e-3),
        ema=0.995,
    )
    reader = LogisticRegression(max_iter=2000).fit(digits.reshape(-1, 64), labels)
    asked = np.repeat(np.arange(10), EACH)
    plt.style.use(js.plots.STYLE)
    figure, panels = plt.subplots(1, 3, figsize=(9, 3.2))
    print("scale   recognized as asked   pixels out of range   copies of training digits (real digits at most)")
    for axes, scale in zip(panels, (1.0, 2.0, 5.0), strict=True):
        guided = js.guide(state.denoiser(), scale, null=10)  # a new scale does not recompile
        x = np.asarray(js.sample(for_samples, guided, (len(asked), 8, 8), steps=16, cond=jnp.asarray(asked)).x)
        right, outside = (reader.predict(x.reshape(-1, 64)) == asked).mean(), (np.abs(x) > 1.1).mean()
        copies = js.metrics.memorization(x, digits, held_out)
        print(f"{scale:5.1f}   {right:19.1%}   {outside:19.1%}   {copies.value:.1%} ({copies.null_high:.1%})")
        shown = x.reshape(10, EACH, 8, 8)[:, :10].reshape(-1, 8, 8)
        axes.imshow(js.plots.sheet(shown, limits=(-1, 1)))
        axes.set(title=f"guidance scale {scale:g}", xticks=[], yticks=9 * np.arange(10) + 4, yticklabels=range(10))
    panels[0].set_ylabel("given label")
    OUT.mkdir(parents=True, exist_ok=True)
    js.plots.save(figure, OUT / "10_digits_by_label.png")


if __name__ == "__main__":
    main()
