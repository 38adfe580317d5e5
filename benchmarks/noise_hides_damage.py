"""From which noise level on do many samples of a wrong law teach more than a few of the right one? In one dimension.

Five bumps on [0, 1] of standard deviation 0.03 and, as the damaged law, the uniform one, which has lost them. First
table: the total variation between both under noise of level s, and the bound of Ambient Omni, TV_0 / 2s. Second table:
from which level on n1 clean and n2 damaged samples teach the clean law under noise better than the n1 alone, if one
learns the mean of the Gaussians around the samples, as a network does that knows them by heart: the lowest of the
levels, and the one where both are equally near. At each place the mixed estimate has the bias b = n2 / (n1 + n2)
(q_s - p_s) and the variance v = (n1 Var_p + n2 Var_q) / (n1 + n2)^2 of the Gaussian of one sample, so that its mean
distance over all data sets is 1/2 int E|N(b, v)|, to the order of the central limit theorem. These are integrals, by
quadrature in float64; the JSON has them all. `--draws` compares them with data sets that are drawn.
"""

import numpy as np
from common import arguments, report, show
from scipy.optimize import brentq
from scipy.special import erf

CENTERS, WIDTH = np.array([0.1, 0.3, 0.5, 0.7, 0.9]), 0.03
LEVELS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.4)
CASES = ((20, 2000), (100, 2000), (1000, 2000), (1000, 10_000))
PLACES = (np.arange(600) + 0.5) / 600  # the midpoint rule on [0, 1]
ENDS = 6.0  # how far noised laws are followed beyond [0, 1], in standard deviations


def clean(x):
    """The density of the bumps at places in [0, 1]."""
    p = np.exp(-0.5 * ((x[:, None] - CENTERS) / WIDTH) ** 2).sum(1)
    return p / p.mean()


def damaged(x):
    """The uniform density."""
    return np.ones_like(x)


def mean_absolute(mean, std):
    """E|N(mean, std^2)|."""
    z = mean / np.maximum(std, 1e-300)
    return mean * erf(z / np.sqrt(2)) + std * np.sqrt(2 / np.pi) * np.exp(-0.5 * z**2)


class Noised:
    """Both laws under noise of one level: their densities, and the variances of the Gaussian of one sample."""

    def __init__(self, s):
        self.grid = np.linspace(-ENDS * s, 1 + ENDS * s, 1201)
        kernel = np.exp(-0.5 * ((self.grid[:, None] - PLACES) / s) ** 2) / s / np.sqrt(2 * np.pi)
        weights = np.stack([clean(PLACES), damaged(PLACES)], 1) / len(PLACES)
        self.densities = kernel @ weights
        self.variances = np.maximum(kernel**2 @ weights - self.densities**2, 0)

    def total_variation(self, difference):
        """Half of the integral of an absolute difference."""
        return float(np.trapezoid(np.abs(difference), self.grid) / 2)

    def between(self):
        """TV(p_s, q_s)."""
        return self.total_variation(self.densities[:, 0] - self.densities[:, 1])

    def learned(self, clean_count, damaged_count=0):
        """Mean TV between p_s and the estimate of so many samples."""
        n = clean_count + damaged_count
        bias = damaged_count / n * (self.densities[:, 1] - self.densities[:, 0])
        variance = self.variances @ [clean_count, damaged_count] / n**2
        return self.total_variation(mean_absolute(bias, np.sqrt(variance)))

    def gain(self, clean_count, damaged_count):
        """By how much the damaged samples lower that."""
        return self.learned(clean_count) - self.learned(clean_count, damaged_count)


def crossover(clean_count, damaged_count):
    """The lowest of the levels from which on damaged samples help, and the level where they begin to."""
    helps = np.array([Noised(s).gain(clean_count, damaged_count) > 0 for s in LEVELS])
    first = len(LEVELS) - int(np.cumprod(helps[::-1]).sum())
    if first == len(LEVELS):
        return float("inf"), float("inf")
    ends = LEVELS[max(first - 1, 0)], LEVELS[first]
    equal = brentq(lambda s: Noised(s).gain(clean_count, damaged_count), *ends, xtol=1e-4) if first else ends[0]
    return LEVELS[first], float(equal)


def drawn(noised, s, rng, clean_count, damaged_count, draws):
    """Mean TV of estimates from samples."""
    places, values = PLACES, clean(PLACES)
    found = []
    for _ in range(draws):
        bumps = rng.choice(places, clean_count, p=values / values.sum()) + (rng.random(clean_count) - 0.5) / len(places)
        x = np.concatenate([bumps, rng.random(damaged_count)])
        estimate = np.exp(-0.5 * ((noised.grid[:, None] - x) / s) ** 2).mean(1) / s / np.sqrt(2 * np.pi)
        found.append(noised.total_variation(estimate - noised.densities[:, 0]))
    return float(np.mean(found))


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--draws", type=int, default=0, help="data sets to compare the mean distances with")
    options = parser.parse_args()
    before = float(np.abs(clean(PLACES) - damaged(PLACES)).mean() / 2)
    levels = {s: Noised(s) for s in LEVELS}
    laws = [{"level": 0.0, "TV": before, "bound": None}]
    laws += [{"level": s, "TV": at.between(), "bound": before / (2 * s)} for s, at in levels.items()]
    show("The clean and the damaged law under noise", laws)
    rows, rng, worst = [], np.random.default_rng(0), 0.0
    for case in CASES:
        distances = {name: [at.learned(case[0], n) for at in levels.values()] for name, n in _kinds(case)}
        for name, n in _kinds(case) if options.draws else ():
            for (s, at), mean in zip(levels.items(), distances[name], strict=True):
                worst = max(worst, abs(drawn(at, s, rng, case[0], n, options.draws) / mean - 1))
        first, equal = crossover(*case)
        rows.append({"clean": case[0], "damaged": case[1], "from": first, "equal at": equal, "distances": distances})
    if options.draws:
        print(f"means of {options.draws} data sets differ from the integrals by at most {worst:.1%}")
    report("noise_hides_damage", "Levels from which on damaged samples help", rows, options, laws=laws)


def _kinds(case):
    return ("clean only", 0), ("mixed", case[1])


if __name__ == "__main__":
    main()
