"""Is a general ODE solver as fast as a sampler that knows the linear part of the flow?

diffrax's Heun, Tsit5 and Dopri5 on the same flow, dx / dlambda = D(x) - x in lambda = -log sigma: at fixed steps, or
under its step-size control, with one step size for the batch ("batch") or one per sample, vmapped ("each").
Tolerances and step sizes are arguments of its compiled programs. Of all pairs of rtol, by quarter decades, and
atol / rtol = 1, 0.1 or 0.01, the one with the fewest batched calls that reaches the target is timed: a choice that
knows the answer, in favor of diffrax. Its evaluations leave out those before its first step.
"""

import jax
import jax.numpy as jnp
import numpy as np
from peers import HIGH, LOW, Solver, compare, denoise, optional, ours

from jaxsamp.samplers import DDIM, DPMSolverPP, Heun, RandomizedMidpoint, UniPC

diffrax = optional("diffrax")

OURS = {
    "UniPC3": ours(UniPC(order=3, lower_order_final=False)),
    "UniPC2": ours(UniPC(order=2, lower_order_final=False)),
    "DPM-Solver++(2M)": ours(DPMSolverPP(order=2, lower_order_final=False)),
    "DPM-Solver++(3M)": ours(DPMSolverPP(order=3, lower_order_final=False)),
    "Heun": ours(Heun()),
    "RandomizedMidpoint": ours(RandomizedMidpoint()),
    "DDIM": ours(DDIM()),
}
TOLERANCES = [f"{rtol:.2g}, {share} rtol" for rtol in 10.0 ** -np.arange(1, 6.1, 0.25) for share in (1.0, 0.1, 0.01)]


def diffrax_solver(name, evaluations, control, each=False):
    """`evaluations` of a step: the last stage of Tsit5 and Dopri5 is the first of the next step."""
    method, span = getattr(diffrax, name)(), (-np.log(HIGH), -np.log(LOW))
    field = diffrax.ODETerm(lambda lam, x, _: denoise(x, jnp.exp(-lam)) - x)

    def solve(x, rtol, atol, step):
        controller = diffrax.PIDController(rtol, atol) if control else diffrax.ConstantStepSize()
        first = None if control else step
        end = diffrax.diffeqsolve(field, method, *span, first, x, stepsize_controller=controller, max_steps=None)
        return end.ys[0], evaluations * end.stats["num_steps"]

    run = jax.jit(jax.vmap(solve, (0, None, None, None)) if each else solve)

    def make(setting, init, dtype):
        if control:
            rtol, share = (float(number) for number in setting.removesuffix(" rtol").split(", "))
            numbers = rtol, share * rtol, 0.0
        else:
            numbers = 0.0, 0.0, (span[1] - span[0]) / setting
        arguments = [jnp.asarray(value, dtype) for value in (init, *numbers)]
        return lambda: run(*arguments)

    return Solver(make, TOLERANCES if control else range(1, 1000), exhaustive=control)


def solvers():
    yield from OURS.items()
    if diffrax:
        for name, evaluations in (("Tsit5", 6), ("Dopri5", 6), ("Heun", 2)):
            yield f"diffrax {name}, controlled, batch", diffrax_solver(name, evaluations, True)
            yield f"diffrax {name}, controlled, each", diffrax_solver(name, evaluations, True, each=True)
            yield f"diffrax {name}, fixed steps", diffrax_solver(name, evaluations, False)


if __name__ == "__main__":
    compare(__doc__, "vs_diffrax", "Time to reach the same error as diffrax", dict(solvers()), ["diffrax"])
