"""How many uses of a Pauli channel does each method need, and how fast are its errors drawn?

Channels with no error at 0.8 and 24 strings (15 of two qubits) that share 0.2 by Dirichlet(1). Of each method the
largest error of any eigenvalue and of any rate, total variation of the rates, and the share of 95 % intervals of
eigenvalues that hold the truth, means over channels and shots. Bell pairs have n ancillas; the others have none. A
string that was not found has the rate zero. The decays have a visibility of 0.9, which the other methods would have to
be told.

Beside them: a million errors of a channel on six qubits, by `PauliChannel.sample` and by stim (pip install stim).
"""

import argparse
import importlib.util
import time
from collections.abc import Callable, Iterator
from typing import Any

import common
import jax
import numpy as np
from scipy.stats import chi2

import jaxsamp as js
from jaxsamp.quantum.pauli_measure import DEPTHS

LEAST = 50  # shots of each setting
SETTINGS: dict[str, Callable[[int], int]] = {  # settings of each method, times uses in one shot of all of them
    "bell": lambda n: 1,
    "stabilizer": lambda n: 2**n + 1,
    "decay": lambda n: (4**n - 1) * sum(DEPTHS),
    "product": lambda n: 1,
}


def channel_of(n: int, seed: int) -> js.quantum.PauliChannel:
    """A sparse channel."""
    rng, strings = np.random.default_rng(seed), min(24, 4**n - 1)
    p = np.zeros(4**n)
    p[0], p[rng.choice(np.arange(1, 4**n), strings, replace=False)] = 0.8, 0.2 * rng.dirichlet(np.ones(strings))
    return js.quantum.PauliChannel(p)


def once(channel: js.quantum.PauliChannel, method: str, shots: int, seed: int) -> dict[str, float]:
    """Errors and seconds of one set of shots."""
    start, noise = time.perf_counter(), {"visibility": 0.9} if method == "decay" else {}
    data = jax.block_until_ready(js.quantum.measure_channel(jax.random.key(seed), channel, shots, method, **noise))
    middle = time.perf_counter()
    estimate = js.quantum.pauli_eigenvalues(data)
    end, found, rates = time.perf_counter(), estimate.eigenvalues, estimate.rates
    exact, p = np.asarray(channel.eigenvalues, float)[found.indices], np.asarray(channel.probabilities, float)
    inside = (found.low - 1e-6 <= exact) & (exact <= found.high + 1e-6)
    row = {"eigenvalues": float(np.nanmax(np.abs(found.values - exact))), "inside": float(inside.mean())}
    if rates is not None:
        full = np.zeros(len(p))
        full[rates.indices] = rates.values
        row |= {"rates": float(np.abs(full - p).max()), "total variation": float(np.abs(full - p).sum() / 2)}
    return row | {"measuring, s": middle - start, "estimating, s": end - middle}


def errors(options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    for n in options.qubits:
        for method in options.only:
            for uses in options.uses:
                shots = uses // SETTINGS[method](n)
                if shots < LEAST or (method == "stabilizer" and n > 6):
                    continue
                found = [once(channel_of(n, seed), method, shots, seed) for seed in range(options.sets)]
                row = {"qubits": n, "method": method, "uses": uses, "shots": shots}
                for name in ("eigenvalues", "inside", "rates", "total variation"):
                    row[name] = float(np.mean([one[name] for one in found])) if name in found[0] else None
                for name in ("measuring, s", "estimating, s"):  # the first one compiles
                    row[name] = float(np.min([one[name] for one in found]))
                yield row


def of_stim(channel: js.quantum.PauliChannel, draws: int) -> np.ndarray:
    """Indices of errors that stim draws."""
    import stim

    circuit, left = stim.Circuit(), 1.0
    for label, p in channel.labels().items():
        if set(label) != {"I"}:
            name = "ELSE_CORRELATED_ERROR" if len(circuit) else "CORRELATED_ERROR"
            targets = [stim.target_pauli(i, letter) for i, letter in enumerate(label) if letter != "I"]
            circuit.append(name, targets, min(1.0, p / left))
            left -= p
    simulator = stim.FlipSimulator(batch_size=draws, num_qubits=channel.qubits, disable_stabilizer_randomization=True)
    simulator.do(circuit)
    xs, zs, *_ = simulator.to_numpy(output_xs=True, output_zs=True)
    places = 1 << np.arange(channel.qubits - 1, -1, -1)
    return (places << channel.qubits) @ xs + places @ zs


def drawing(options: argparse.Namespace) -> list[dict[str, Any]]:
    channel, draws = channel_of(6, 0), options.draws
    calls: dict[str, Callable[[], Any]] = {
        "jaxsamp": lambda: np.asarray(channel.sample(jax.random.key(0), (draws,))),
    }
    if importlib.util.find_spec("stim"):
        calls["stim"] = lambda: of_stim(channel, draws)
    else:
        print("stim is not installed and is left out.")
    seconds, p = common.interleaved(calls, options.repeats), np.asarray(channel.probabilities, float)
    rows = []
    for name, call in calls.items():
        counts, kept = np.bincount(call(), minlength=4**6), p > 0
        expected = draws * p[kept] / p.sum()
        chance = float(chi2.sf(((counts[kept] - expected) ** 2 / expected).sum(), kept.sum() - 1))
        row = {"a second": draws / min(seconds[name]), "chi-square p": chance, "of rate zero": int(counts[~kept].sum())}
        rows.append({"drawn by": name} | row)
    return rows


def main() -> None:
    parser = common.arguments(__doc__)
    parser.add_argument("--qubits", type=int, nargs="+", default=[2, 4, 6], help="numbers of qubits")
    parser.add_argument("--uses", type=int, nargs="+", default=[10**k for k in (3, 4, 5, 6)], help="of the channel")
    parser.add_argument("--sets", type=int, default=5, help="channels, with shots of each")
    parser.add_argument("--only", nargs="+", default=[*SETTINGS], choices=SETTINGS, help="methods")
    parser.add_argument("--draws", type=int, default=1_000_000, help="errors drawn beside stim")
    parser.add_argument("--repeats", type=int, default=5, help="timings of these")
    options = parser.parse_args()
    title, rows = "Pauli channels: error against uses", []
    for row in errors(options):
        rows.append(row)
        print(row, flush=True)
        content = common.about(title, options, ["stim"]) | {"rows": rows}
        common.write(options.results / "pauli_channels.json", content)
    drawn = drawing(options)
    common.show("Errors drawn", drawn)
    common.report("pauli_channels", title, rows, options, ["stim"], drawing=drawn)


if __name__ == "__main__":
    main()
