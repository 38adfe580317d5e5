"""How near do interpolators come to S-parameters between few frequencies, clean and with noise?

The two circuits of `jaxsamp.sparameters`: a ladder of five elements at 401 frequencies, and a channel of lines and
stubs at 1,000; a share of the frequencies, evenly spaced, is kept, with complex normal noise of standard deviation 0.01
or without. SNR in dB over all frequencies, share of the truth in bands of 95 %, largest singular value; medians over
keys. Then passive draws of "causal": the SNR of their mean and the share of the truth between their quantiles, beside
those of free draws. scikit-rf is the peer for vector fitting, scipy for AAA and splines.
"""

import argparse
import time
from collections.abc import Iterator
from itertools import chain
from typing import Any

import common
import jax
import numpy as np

from jaxsamp import sparameters
from jaxsamp.sparameters.comparing import snr
from jaxsamp.sparameters.interpolation import METHODS

CASES = {  # circuit, share of the frequencies, noise
    "ladder, 21 of 401": ("ladder", 21 / 401, 0.0),
    "ladder, 21 of 401, noise": ("ladder", 21 / 401, 0.01),
    "ladder, 41 of 401, noise": ("ladder", 41 / 401, 0.01),
    "channel, 5 %": ("channel", 0.05, 0.0),
    "channel, 5 %, noise": ("channel", 0.05, 0.01),
    "channel, 10 %": ("channel", 0.1, 0.0),
    "channel, 10 %, noise": ("channel", 0.1, 0.01),
}
CIRCUITS = {"ladder": sparameters.ladder, "channel": sparameters.channel}


def interpolated(options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """A row per case and method."""
    for case in options.cases:
        circuit, fraction, noise = CASES[case]
        for method in options.only:
            keys = options.keys if noise or method == "deep" else 1
            keys = min(keys, options.deep_keys) if method == "deep" else keys
            rows = [
                sparameters.compare(CIRCUITS[circuit](), fraction, noise, jax.random.key(k), (method,))[0]
                for k in range(keys)
            ]
            known = {}
            for name in ("snr", "coverage", "largest_singular_value", "seconds"):
                values = [row[name] for row in rows if row.get(name) is not None]
                known[name] = float(np.median(values)) if values else None
            lowest = min((row["snr"] for row in rows if row["failed"] is None), default=None)
            yield {"case": case, "method": method, "keys": keys} | known | {"lowest snr": lowest}


def drawn(options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Free and passive draws on the ladder with noise."""
    given = sparameters.ladder()
    for k in range(options.draw_keys):
        random = np.random.default_rng(k).standard_normal((2, *given.s.shape)) * 0.01 / np.sqrt(2)
        noisy = given._replace(s=given.s + random[0] + 1j * random[1])
        fit = sparameters.interpolate(noisy, sparameters.spaced(401, 41 / 401))
        for name, settings in (("free", {"passive": False}), ("projection", {}), ("slice", {"sampler": "slice"})):
            start = time.perf_counter()
            draws = sparameters.posterior(jax.random.key(k), fit, options.draws, steps=options.steps, **settings)
            seconds = time.perf_counter() - start
            inside = []
            for part in (np.real, np.imag):
                low, high = np.quantile(part(draws.s), [0.025, 0.975], 0)
                inside.append(np.mean((low <= part(given.s)) & (part(given.s) <= high)))
            yield {
                "case": f"ladder, 41 of 401, noise, key {k}",
                "method": f"draws, {name}",
                "snr": snr(given.s, draws.s.mean(0)),
                "coverage": float(np.mean(inside)),
                "largest_singular_value": float(draws.stats["largest"].max()),
                "seconds": seconds,
                "passive": float(np.mean(draws.stats["largest"] <= 1 + 1e-9)),
                "R-hat": float(draws.stats["rhat"][0]) if "rhat" in draws.stats else None,
            }


def main() -> None:
    parser = common.arguments(__doc__)
    parser.add_argument("--cases", nargs="+", default=[*CASES], choices=CASES)
    parser.add_argument("--only", nargs="+", default=[*METHODS], choices=METHODS, help="methods")
    parser.add_argument("--keys", type=int, default=9, help="of the noise")
    parser.add_argument("--deep-keys", type=int, default=3, help='most keys of "deep"')
    parser.add_argument("--draw-keys", type=int, default=4, help="noises of the draws; 0 for none")
    parser.add_argument("--draws", type=int, default=100)
    parser.add_argument("--steps", type=int, default=1000, help="of slice sampling")
    options = parser.parse_args()
    title, rows = "S-parameters between few frequencies", []
    for row in chain(interpolated(options), drawn(options)):
        rows.append(row)
        print(row, flush=True)
    common.report("sparameters", title, rows, options, ("scikit-rf", "scipy"))


if __name__ == "__main__":
    main()
