"""hackable_diffusion: its `DiffusionSampler` with each Gaussian step, times by its `UniformTimeSchedule`.

`num_steps` counts points: n of them are n - 1 steps, so one more is given. `HeunStep` visits every second point.
Volatility in the last step is left off, the library's default.
"""

import jax.numpy as jnp
from hackable_diffusion.lib.corruption.gaussian import GaussianProcess
from hackable_diffusion.lib.corruption.schedules import CosineSchedule, RFSchedule
from hackable_diffusion.lib.sampling import gaussian_step_sampler as steps_of
from hackable_diffusion.lib.sampling.sampling import DiffusionSampler
from hackable_diffusion.lib.sampling.time_scheduling import UniformTimeSchedule
from harness import Entry, Run, denoise, main

SCHEDULES = {"CosineSchedule": CosineSchedule(), "RFSchedule": RFSchedule()}


def entry(name, schedule_name, stochastic=False, heun=False, **more):
    schedule = SCHEDULES[schedule_name]
    process = GaussianProcess(schedule=schedule)

    def make(law, steps):
        times = UniformTimeSchedule()
        points = 2 * steps if heun else steps + 1
        own = {"time_schedule": times, "num_steps": points} if heun else more
        step = getattr(steps_of, name)(corruption_process=process, **own)
        sampler = DiffusionSampler(time_schedule=times, stepper=step, num_steps=points, store_trajectory=False)

        def inference(xt, conditioning, time):
            return {"x0": denoise(law, xt, schedule.alpha(time), schedule.sigma(time))}

        end = jnp.full((1, 1), 1e-6)
        low = float(schedule.sigma(end)[0, 0] / schedule.alpha(end)[0, 0])
        return Run(lambda key, z, first: sampler(inference, key, z)[0].xt, jnp.inf, low)

    given = ", ".join(f"{key}={value:g}" for key, value in more.items())
    calls, fewer = (2, 1) if heun else (1, 0)
    return Entry(f"{name}({given})", f"{schedule_name}, UniformTimeSchedule", make, calls, fewer, stochastic=stochastic)


ENTRIES = [
    made
    for schedule in SCHEDULES
    for made in (
        entry("DDIMStep", schedule, stoch_coeff=0.0),
        entry("DDIMStep", schedule, stochastic=True, stoch_coeff=1.0),
        entry("AdjustedDDIMStep", schedule),
        entry("SdeStep", schedule, stochastic=True, churn=1.0),
        entry("VelocityStep", schedule, stoch_coeff=0.0),
        entry("VelocityStep", schedule, stochastic=True, stoch_coeff=1.0),
        entry("HeunStep", schedule, heun=True),
    )
]

if __name__ == "__main__":
    main("hackable_diffusion", "hackable-diffusion", ENTRIES)
