"""Big jobs as programs: killed again and again, over several devices, and how much memory they take."""

import os
import random
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from jaxsamp.running.shards import Shards

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.slow
COMMAND = "import sys; from jaxsamp.cli import main; sys.exit(main())"
JOB = ("sample", "--target", "ring", "--num-samples", "300_000", "--shard-size", "2000", "--steps", "64")


def start(code, *argv, **settings):
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'kernels'}", "XLA_FLAGS": "", **settings}
    environment.pop("PJRT_NPROC", None)  # as a user starts it: each thread more keeps memory of its own
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen([sys.executable, "-c", code, *map(str, argv)], cwd=ROOT, env=environment, **pipes)


def job(out, cache):
    return start(COMMAND, *JOB, "--no-metrics", "--out", out, JAX_COMPILATION_CACHE_DIR=str(cache))


def written(folder):
    return sum(len(path.read_bytes().splitlines()) for path in folder.glob("done-*.jsonl"))


def content(folder):
    """Of shards and manifest; the report tells of times."""
    return {
        path.name: path.read_bytes() for path in folder.iterdir() if path.name not in ("report.json", "samples.png")
    }


def wait_until(condition, process):
    while process.poll() is None and not condition():
        time.sleep(0.001)


def test_killed_ten_times_at_random_a_job_ends_with_the_bytes_of_one_that_was_not(tmp_path):
    """Half of the kills come while a file is being written, the others within half a second after one has been."""
    whole, folder, cache, dice = tmp_path / "whole", tmp_path / "killed", tmp_path / "cache", random.Random(0)
    folder.mkdir()
    assert job(whole, cache).wait(600) == 0
    stages, cut = [], 0
    for attempt in range(10):
        process, before = job(folder, cache), written(folder)
        wait_until(lambda: written(folder) > before, process)  # noqa: B023
        if attempt % 2:
            time.sleep(dice.uniform(0, 0.5))
        else:
            wait_until(lambda: list(folder.glob(".shard-*")), process)
        process.kill()
        assert process.wait(60) == -signal.SIGKILL, "the job ended early"
        cut += bool(list(folder.glob(".shard-*")))
        stages.append(written(folder))
    assert stages == sorted(set(stages)) and 0 < stages[-1] < 150 and cut, (stages, cut)
    process = job(folder, cache)
    wait_until(lambda: written(folder) > stages[-1], process)
    process.terminate()
    _, err = process.communicate(timeout=60)
    assert process.returncode == 143
    said = re.fullmatch(
        r"jaxsamp: stopped by SIGTERM; (\d+) of 150 shards are in .*killed\. "
        r"Run the same command again to continue\.\n",
        err,
    )
    assert said and int(said[1]) == written(folder) and not list(folder.glob(".shard-*"))
    assert job(folder, cache).wait(600) == 0
    assert content(folder) == content(whole)
    Shards(folder).verify()


SPINS = """
import sys
import jax, jaxsamp as js
model, sampler = js.discrete.sk(jax.random.key(1), 16, 0.8), js.discrete.Tempering(levels=4)
js.sample_spins_shards(sys.argv[1], jax.random.key(0), model, (3000, 16), sampler, 300, warmup=50, shard_size=100)
"""


def test_chains_of_spins_that_are_killed_end_with_the_bytes_of_those_that_were_not(tmp_path):
    """With a ladder that every process tunes anew."""
    cache, dice, stages = str(tmp_path / "cache"), random.Random(0), []
    whole, folder = tmp_path / "whole", tmp_path / "killed"
    process = start(SPINS, whole, JAX_COMPILATION_CACHE_DIR=cache)
    assert process.wait(300) == 0, process.communicate()[1]
    for attempt in range(4):
        process, before = start(SPINS, folder, JAX_COMPILATION_CACHE_DIR=cache), written(folder)
        wait_until(lambda: written(folder) > before, process)  # noqa: B023
        if attempt % 2:
            time.sleep(dice.uniform(0, 0.1))
        process.kill()
        assert process.wait(60) == -signal.SIGKILL, "the job ended early"
        stages.append(written(folder))
    assert stages == sorted(set(stages)) and 0 < stages[-1] < 30, stages
    assert start(SPINS, folder, JAX_COMPILATION_CACHE_DIR=cache).wait(300) == 0
    assert content(folder) == content(whole)
    Shards(folder).verify()


MEMORY = """
import resource, sys
import jax, jaxsamp as js
denoiser = js.denoiser(lambda params, x, t, cond: 0.5 * x, None, js.schedules.VariancePreserving(), prediction="x0")
for shards in (32, 96):
    shape, options = (shards * 2048, 1024), {"steps": 4, "shard_size": 2048}
    js.sample_shards(f"{sys.argv[1]}/{shards}", jax.random.key(0), denoiser, shape, **options)
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
"""


def test_memory_does_not_grow_with_the_number_of_shards(tmp_path):
    """96 shards of 8 MiB, where holding them all would take 512 MiB more than 32 do; the allocator takes a while."""
    process = start(MEMORY, tmp_path)
    out, err = process.communicate(timeout=600)
    assert process.returncode == 0, err
    few, many = (int(line) for line in out.split())
    assert many - few < 40, (few, many)


DEVICES = """
import sys
import jax, jaxsamp as js
denoiser = js.targets.ring().denoiser(js.schedules.VariancePreserving())
for count in (1, 2):
    mesh = None if count == 1 else js.mesh(devices=jax.devices()[:count])
    options = {"steps": 4, "shard_size": 7, "mesh": mesh}
    js.sample_shards(f"{sys.argv[1]}/{count}", jax.random.key(0), denoiser, (20, 2), **options)
options["mesh"] = None
try:
    js.sample_shards(f"{sys.argv[1]}/2", jax.random.key(0), denoiser, (20, 2), **options)
except js.running.shards.OtherSettings as error:
    print(error)
"""


def test_shards_are_divided_over_the_devices_of_a_process(tmp_path):
    process = start(DEVICES, tmp_path, JAX_NUM_CPU_DEVICES="2")
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    one, two = Shards(tmp_path / "1"), Shards(tmp_path / "2")
    assert one.complete and two.complete and abs(one[:] - two[:]).max() < 1e-5
    assert two.manifest["settings"]["devices"] == {"kind": "cpu", "time": 1, "batch": 2}
    assert "devices.batch is 2 there and 1 here" in out


NUMBERS = """
import sys
import jax, jax.numpy as jnp, jaxsamp as js
schedule, weights = js.schedules.VariancePreserving(), jnp.ones((2, 2))
denoiser = js.denoiser(lambda params, x, t, cond: jnp.tanh(x @ params), weights, schedule, prediction="x0")
options = {"steps": 4, "shard_size": 7, "process": (0, jax.device_count())}
shards = js.sample_shards(sys.argv[1], jax.random.key(0), denoiser, (20, 2), **options)
print(len(shards.missing))
"""


def test_a_job_goes_on_to_the_same_bytes_in_another_number_of_processes_that_see_other_numbers_of_devices(tmp_path):
    for name, devices, missing in (("whole", "1", "0"), ("begun", "2", "1"), ("begun", "1", "0")):
        process = start(NUMBERS, tmp_path / name, JAX_NUM_CPU_DEVICES=devices)
        out, err = process.communicate(timeout=300)
        assert (process.returncode, out.strip()) == (0, missing), err
    assert content(tmp_path / "begun") == content(tmp_path / "whole")
