"""A restricted Boltzmann machine of digits in black and white: trained, judged by its log likelihood, and sampled.

log Z is bracketed by annealed importance sampling, from independent pixels to the machine and back, so the log
likelihood of held-out digits is a number that another model can be compared with. Pixels that are the same in all
digits are left out and put back into the picture.
"""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

import jaxsamp as js

OUT = Path("runs/examples")
HIDDEN, STEPS = 64, 1500


def black_and_white(images):
    return np.where(images.reshape(len(images), -1) > 0, 1, -1).astype(np.int8)


def main():
    for_fit, for_bracket, for_chains = jax.random.split(jax.random.key(0), 3)
    train, held = (black_and_white(images) for images in js.datasets.digits()[::2])
    varies = train.min(0) < train.max(0)
    x, test = train[:, varies], jnp.asarray(held[:, varies])
    rbm = js.learning.fit_rbm(for_fit, x, HIDDEN, steps=STEPS, chains=512, batch_size=256, sweeps=5)

    z = js.discrete.log_partition(for_bracket, rbm, temperatures=1000, chains=200)
    print(f"log Z is between {z.lower:.2f} +- {z.lower_error:.2f} and {z.upper:.2f} +- {z.upper_error:.2f}")
    independent = js.discrete.RBM(np.zeros((x.shape[1], 1)), np.arctanh(x.mean(0)))
    likely = float(rbm.exponent(test).mean()) - z.estimate
    print(f"a held-out digit: {likely:.2f} nats, of independent pixels {float(independent.log_prob(test).mean()):.2f}")

    sampler = js.mcmc.BlockGibbs()
    chains = js.sample_spins(for_chains, rbm, (100, x.shape[1]), sampler, steps=2000, warmup=0, thin=0)
    found = np.tile(train[0], (100, 1))  # what never varies is as in any digit
    found[:, varies] = chains.x
    OUT.mkdir(parents=True, exist_ok=True)
    pictures = [part.reshape(-1, 8, 8) for part in (found, held)]
    figure = js.plots.images(*pictures, labels=("drawn by the machine", "held-out digits"))
    js.plots.save(figure, OUT / "29_rbm_digits.png")


if __name__ == "__main__":
    main()
