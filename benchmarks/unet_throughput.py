"""How many images a second does a U-Net train and denoise on this device, and what share of its matmul peak is that?

A U-Net of about 50 million weights on 32 x 32 x 3 images, computing in bfloat16: the training step of `fit` (loss,
gradient, AdamW, average), and one call of the denoiser, each compiled and timed by itself. The peak is of a product
of two square bfloat16 matrices on the same device; work is counted by XLA on the program before it is optimized.
`--small` runs a tiny network in float32, to see that all is well on a laptop.
"""

import time
from functools import partial

import jax
import jax.numpy as jnp
from common import arguments, report

import jaxsamp as js
from jaxsamp import training

SCHEDULE = js.schedules.VarianceExploding()


def seconds(call, repeats):
    """Least time of one call, after one that compiles; `call` takes and returns what it carries."""
    carried, times = jax.block_until_ready(call(None)), []
    for _ in range(repeats):
        start = time.perf_counter()
        carried = jax.block_until_ready(call(carried))
        times.append(time.perf_counter() - start)
    return min(times)


def peak(size, dtype, repeats):
    """Floating-point operations a second of one product after another."""
    a = jax.random.normal(jax.random.key(0), (size, size)).astype(dtype) / size**0.5
    chain = jax.jit(lambda x: jax.lax.fori_loop(0, 8, lambda _, y: y @ a, x))
    return 8 * 2 * size**3 / seconds(lambda x: chain(a if x is None else x), repeats)


def main():
    parser = arguments(__doc__)
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--repeats", type=int, default=20)
    parser.add_argument("--small", action="store_true")
    options = parser.parse_args()
    if options.small:
        network, batch, size, dtype = js.models.UNet(8, (1, 2), 1, ()), 4, 256, jnp.float32
    else:
        network = js.models.UNet(128, (1, 2, 2, 2), 3, dtype=jnp.bfloat16)
        batch, size, dtype = options.batch, 8192, jnp.bfloat16
    model = js.models.Model(network, SCHEDULE)
    x = 0.5 * jax.random.normal(jax.random.key(0), (batch, 32, 32, 3))
    fresh = training.TrainState.create(jax.random.key(1), model, x, optimizer=training.AdamW().build(1000))
    step = jax.jit(partial(training.train_step, loss=training.denoising_loss()), donate_argnums=0)
    denoise = jax.jit(lambda params, x: model.denoiser(params)(x, SCHEDULE.level(jnp.zeros(()))))
    weights = sum(leaf.size for leaf in jax.tree.leaves(fresh.params))
    work = {
        "train": step.lower(fresh, x).cost_analysis()["flops"],
        "denoise": denoise.lower(fresh.params, x).cost_analysis()["flops"],
    }
    params = jax.tree.map(jnp.copy, fresh.params)  # the step reuses the memory of its state
    times = {
        "train": seconds(lambda state: step(fresh if state is None else state, x)[0], options.repeats),
        "denoise": seconds(lambda _: denoise(params, x), options.repeats),
    }
    most = peak(size, dtype, options.repeats)
    rows = [
        {
            "what": name,
            "million weights": weights / 1e6,
            "batch": batch,
            "images / s": batch / times[name],
            "GFLOP / image": work[name] / batch / 1e9,
            "TFLOP / s": work[name] / times[name] / 1e12,
            "matmul peak, TFLOP / s": most / 1e12,
            "share of peak": work[name] / times[name] / most,
        }
        for name in times
    ]
    report("unet_throughput", "U-Net on 32 x 32 images", rows, options, ("flax", "optax"))


if __name__ == "__main__":
    main()
