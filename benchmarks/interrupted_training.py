"""Does a run that is killed again and again end with the bits of one that is not?

One run, in a process of its own, goes to its end. Another one is killed with SIGKILL at random times, and started again
with the same arguments, until it has been killed the given number of times; then it is left to end. Compared: every
byte of the last weights, of their average and of the optimizer's memory. A run is a perceptron on scikit-learn's digits
and labels, read one by one through Grain, with a checkpoint every few steps and a rate that falls over all the steps.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import jax
import numpy as np
from common import arguments, report

import jaxsamp as js


def train(folder, steps, every):
    """The run; each of its processes calls the same."""
    import grain

    digits, labels, _ = js.datasets.digits()
    data = grain.MapDataset.range(len(digits)).map(lambda i: (digits[i], labels[i]))
    network = js.models.MLP(width=64, depth=2, classes=10)
    loss = js.training.denoising_loss(drop=0.1)
    options = {"checkpoint": folder, "checkpoint_every": every, "resume": True, "loss": loss, "batch_size": 32}
    say = lambda step, state: print(step, flush=True)  # noqa: E731
    schedule = js.schedules.Cosine()
    return js.fit(jax.random.key(0), network, data, schedule, steps, callback=say, callback_every=1, **options)


def start(folder, options):
    command = [sys.executable, __file__, "--run", str(folder), "--steps", str(options.steps)]
    command += ["--checkpoint-every", str(options.checkpoint_every)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=os.environ)


def steps_of(process):
    """The steps of a run, as it makes them."""
    for line in process.stdout:
        yield int(line)


def kill(folder, after, wait, options):
    """Kill a run after a number of its own steps and `wait` of one more; returns its steps and the last checkpoint."""
    process, first, last, times = start(folder, options), None, None, [time.perf_counter()]
    for last in steps_of(process):
        first = last if first is None else first
        times.append(time.perf_counter())
        if last >= first + after:
            break
    time.sleep(wait * (times[-1] - times[1]) / max(1, len(times) - 2))
    process.send_signal(signal.SIGKILL)
    if process.wait() != -signal.SIGKILL:
        raise RuntimeError(f"the run ended before it was killed, at step {last}; give it more steps")
    names = [path.name for path in folder.iterdir()]
    saved = max((int(name) for name in names if name.isdigit()), default=0)
    return {"first step": first, "last step": last, "checkpoint": saved, "unfinished": sum("tmp" in n for n in names)}


def leaves(folder, steps, every):
    """All arrays of the last checkpoint, by their names in the state."""
    state = train(folder, steps, every)
    return {name: jax.tree.leaves(getattr(state, name)) for name in ("params", "ema", "opt_state")}


def main():
    parser = arguments(__doc__)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--checkpoint-every", type=int, default=7)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--run", type=Path, help="make the run itself, in this folder")
    options = parser.parse_args()
    if options.run is not None:
        train(options.run, options.steps, options.checkpoint_every)
        return
    del options.run
    rng = np.random.default_rng(options.seed)
    with tempfile.TemporaryDirectory() as place:
        whole, cut = Path(place) / "whole", Path(place) / "cut"
        for _ in steps_of(start(whole, options)):
            pass
        rows = []
        for number in range(options.kills):
            after = int(rng.integers(1, max(2, 2 * options.steps // (3 * options.kills))))
            row = {"kill": number + 1} | kill(cut, after, float(rng.random()), options)
            rows.append(row)
            print(json.dumps(row), flush=True)
        for _ in steps_of(start(cut, options)):
            pass
        states = [leaves(folder, options.steps, options.checkpoint_every) for folder in (whole, cut)]
    bits = {}
    for name in states[0]:
        found = [state[name] for state in states]
        pairs = [(np.asarray(a).tobytes(), np.asarray(b).tobytes()) for a, b in zip(*found, strict=True)]
        bits[name] = {"bytes": sum(len(a) for a, _ in pairs), "equal": all(a == b for a, b in pairs)}
    same = all(word["equal"] for word in bits.values())
    print(json.dumps(bits))
    print(f"Killed {options.kills} times and resumed: final state {'bit-identical' if same else 'DIFFERENT'}.")
    options.final_state = bits
    report("interrupted_training", f"Killed {options.kills} times, final state identical: {same}", rows, options)
    if not same:
        sys.exit(1)


if __name__ == "__main__":
    main()
