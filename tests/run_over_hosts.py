"""Training as one of two hosts of two devices each: argv is a folder, this host's number and a port."""

import json
import os
import signal
import sys
from pathlib import Path

import jax
import numpy as np

import jaxsamp as js
from tests.run_over_devices import X, places, run, sample

STEPS = 20


def main(folder, host, port):
    jax.config.update("jax_cpu_collectives_implementation", "gloo")
    jax.distributed.initialize(f"127.0.0.1:{port}", 2, host)
    mesh, seen, mine = js.mesh(), [], folder / str(host)
    mine.mkdir()
    np.save(mine / "x.npy", X)
    options = {"mesh": mesh, "steps": STEPS}
    arrays = run(mine, "arrays", fsdp=True, callback=lambda step, state: seen.append(step), callback_every=8, **options)
    lazy = js.datasets.memory_mapped(mine / "x.npy")
    run(mine, "lazy", data=lazy, checkpoint=folder / "run", checkpoint_every=8, **options)
    run(mine, "law", data=js.targets.moons(), steps=3, mesh=mesh)

    def kill(step, state):
        if step == 3 and host == 1:
            os.kill(os.getpid(), signal.SIGTERM)

    code = None
    stopped = {"report_every": 5, "callback": kill, "callback_every": 1, "checkpoint": folder / "stopped"}
    try:
        run(mine, "stopped", **options, **stopped)
    except SystemExit as stop:
        code = stop.code
    saved = js.training.latest_step(folder / "stopped")
    again = run(mine, "again", checkpoint=folder / "stopped", resume=True, **options)
    found = {"places": places(arrays), "callback": seen, "code": code, "saved": saved, "step": int(again.step)}
    found["journals"] = sorted(path.name for path in mine.glob("*.jsonl"))
    (mine / "found.json").write_text(json.dumps(found))
    x = sample(arrays, mesh=mesh)
    np.save(mine / "samples.npy", [np.asarray(part.data) for part in x.addressable_shards])


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
