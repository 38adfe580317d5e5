"""Midpoint steps: the slope at one inner node, carried over the whole step.

For the clock kappa of a frame and U uniform on [0, 1], kappa_m = kappa_0 + U (kappa_1 - kappa_0):

    y_m = y + (kappa_m - kappa_0) f_start,    y_1 = y + (kappa_1 - kappa_0) f(y_m, kappa_m).

The second equation is unbiased for the integral of f along the path through the nodes. Its weight is constant, so it is
exact if f is constant. A node drawn uniformly in another clock c needs the weight (c_1 - c_0) kappa'(c_m), which is
unbiased but noisy.

Source: Gupta, Cai and Chen, "Faster Diffusion-based Sampling with Randomized Midpoints: Sequential and Parallel",
arXiv 2406.00924, where kappa = -e^tau and c = tau, the time of the Ornstein-Uhlenbeck process.
"""

import jax.numpy as jnp

from jaxsamp_kernels.frame import Frame, clock_share, step

DRAWS = ("importance", "uniform_ou", "uniform_log_snr")


def node(frame: Frame, draws, u, lam0, lam1):
    """The node's lambda and the weight of its slope for one uniform number `u`.

    Args:
        frame: the frame of the step.
        draws: the clock in which the node is uniform: "importance", the frame's own; "uniform_ou",
            tau = log(1 + e^(-2 lambda)) / 2; "uniform_log_snr", lambda.
        u: the uniform number in [0, 1].
        lam0: start of the step.
        lam1: end of the step.
    """
    if draws == "importance":
        lam = frame.advance(lam0, u, lam1)
        return lam, clock_share(frame, lam0, lam1, lam)
    if draws == "uniform_log_snr":
        lam = lam0 + u * (lam1 - lam0)
        return lam, (lam1 - lam0) * frame.clock_rate(lam)
    tau0, tau1 = 0.5 * jnp.log1p(jnp.exp(-2 * lam0)), 0.5 * jnp.log1p(jnp.exp(-2 * lam1))
    tau = tau0 + u * (tau1 - tau0)
    lam = -0.5 * jnp.log(jnp.expm1(2 * tau))
    return lam, (tau0 - tau1) * frame.clock_rate(lam) * (1 + jnp.exp(2 * lam))


def midpoint_step(frame: Frame, evaluate, x, f_start, lam0, lam1, lam_mid, weight):
    """One step; returns the new state and the slope at the node, which the next step may use as its `f_start`.

    Args:
        frame: the frame of the step.
        evaluate: (x, lam) -> posterior mean, for states divided by alpha.
        x: the state at `lam0`.
        f_start: the slope that carries the state to the node.
        lam0: start of the step.
        lam1: end of the step.
        lam_mid: the node.
        weight: the weight of its slope, a clock difference of the whole step.
    """
    x_mid = step(frame, x, f_start, lam0, lam_mid)
    f_mid = frame.integrand(x_mid, evaluate(x_mid, lam_mid), lam_mid)
    return step(frame, x, f_mid, lam0, lam1, weight), f_mid
