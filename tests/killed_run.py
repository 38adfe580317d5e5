"""A small training run in a process of its own, to be killed: argv is folder and the seconds that step 7 takes.

Compiled as the tests are, so that both have the same bits.
"""

import sys
import time

import jax
import numpy as np

import jaxsamp as js

STEPS, EVERY = 12, 3


def run(folder, seconds=0.0, steps=STEPS, **options):
    """The run, of which every process has the same bits."""
    x = np.random.default_rng(0).normal(size=(20, 2))
    network, schedule = js.models.MLP(width=8, depth=1), js.schedules.VariancePreserving()

    def wait(step, state):
        print(step, flush=True)
        if step == 7:
            time.sleep(seconds)

    settings = {"batch_size": 4, "checkpoint": folder, "checkpoint_every": EVERY, "resume": True}
    settings |= {"callback": wait, "callback_every": 1} if seconds else {}
    return js.fit(jax.random.key(7), network, x, schedule, steps, **settings | options)


if __name__ == "__main__":
    run(sys.argv[1], float(sys.argv[2]))
