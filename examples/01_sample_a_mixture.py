"""Sample a law whose score is known exactly, and test that the samples have that law.

With an exact score the sampler is the only thing that can go wrong, so every number below tests the sampler alone.
With four steps it leaves noise behind: the log density sees that, a distance between samples does not.
"""

from pathlib import Path

import jax
import jax.numpy as jnp

import jaxsamp as js

OUT = Path("runs/examples")
N = 500


def main():
    target = js.targets.ring()  # eight Gaussians on a circle
    denoiser = target.denoiser(js.schedules.VarianceExploding())
    for_samples, for_metrics, for_picture = jax.random.split(jax.random.key(0), 3)

    # The grid ends at sigma = 0.02. Without a last denoising step the samples have the law of the target with that
    # much noise, and this is what they are compared with.
    last = denoiser.schedule.level(-jnp.log(0.02))
    for steps in (4, 24):
        drawn = js.sample(for_samples, denoiser, (N, 2), steps=steps, final_denoise=False)
        found = js.evaluate(drawn.x, target, for_metrics, metrics=("sliced_w2", "log_density"), level=last)
        print(f"{N} samples in {steps} steps, {int(drawn.stats['evaluations'][0])} evaluations of the score each")
        for name, metric in found.items():
            verdict = "inside" if metric.inside else "outside"
            band = f"{metric.null_low:7.3f} to {metric.null_high:6.3f}"
            print(f"  {name:12} {metric.value:7.3f}   true samples give {band}   {verdict}")

    OUT.mkdir(parents=True, exist_ok=True)
    true = target.sample(for_picture, N)
    figure = js.plots.scatter(drawn.x, true, log_prob=target.log_prob, title="eight Gaussians on a circle")
    js.plots.save(figure, OUT / "01_sample_a_mixture.png")
    print(f"written: {OUT / '01_sample_a_mixture.png'}")


if __name__ == "__main__":
    main()
