"""Do the samplers of other JAX libraries have the right law, and does a row depend on its batch?

hackable_diffusion, gensbi, artifex, diffuse, diffusionlab, flaxdiff and diffusionjax, each in an environment of its own
under --folder, made by this script with prebuilt wheels if it is not there; and ours. peers_jax/ has a file a library,
and what all are put through: exact denoisers of two mixtures, the same starts, the library's own loop and schedules.
Every library's rows lie in FOLDER/NAME.json as soon as they are measured, and are kept by the next run.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from common import about, arguments, show, write

HERE = Path(__file__).parent
SHARED = ["scipy", "rich", "threadpoolctl", "jaxtyping"]  # what jaxsamp needs beside jax


# The Python, the module and, in turn, the arguments of pip. Two have requirements that no set of wheels meets, and are
# installed without them; one is published without a wheel, and is pure Python.
PEERS: dict[str, tuple[str, str, list[list[str]]]] = {
    "hackable_diffusion": (
        "3.12",
        "hackable_diffusion.lib.sampling.sampling",
        [
            ["jax", "flax", "einops", "etils[epath,epy]", "immutabledict", "optax", "chex", "typeguard", "lark"],
            ["--no-deps", "hackable-diffusion", "kauldron"],
        ],
    ),
    "gensbi": ("3.12", "gensbi.diffusion", [["gensbi"]]),
    "artifex": ("3.12", "artifex.generative_models.models.diffusion", [["avitai-artifex"]]),
    "diffuse": ("3.12", "diffuse.integrator", [["diffuse-jax"]]),
    "diffusionlab": ("3.13", "diffusionlab.sampling", [["diffusionlab"]]),
    "flaxdiff": ("3.12", "flaxdiff.samplers", [["flaxdiff"]]),
    "diffusionjax": (
        "3.12",
        "diffusionjax.solvers",
        [
            ["jax", "flax", "tqdm", "ml_collections", "absl-py", "matplotlib", "setuptools", "wheel"],
            ["--no-deps", "--no-binary", "diffusionjax", "diffusionjax"],
        ],
    ),
}


class LeftOut(Exception):
    """A sentence that says why a library is not measured."""


def find_python(version: str) -> str:
    """An interpreter of that version: by name, from uv, or from pyenv."""
    named = shutil.which(f"python{version}")
    if named and subprocess.run([named, "-c", ""], capture_output=True).returncode == 0:
        return named
    if uv := shutil.which("uv"):
        told = subprocess.run([uv, "python", "find", version], capture_output=True, text=True)
        if told.returncode == 0 and told.stdout.strip():
            return told.stdout.strip()
    root = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    for found in sorted(root.glob(f"versions/{version}.*/bin/python")):
        return str(found)
    raise LeftOut(f"Python {version} was not found by name, by uv or in {root}")


def environment(name: str, folder: Path, offline: bool) -> Path:
    """The interpreter of a library's environment, which is made if it does not work yet."""
    version, module, installs = PEERS[name]
    python = folder / name / "bin" / "python"
    check = [str(python), "-c", f"import {', '.join([*SHARED, module])}"]
    if python.exists() and subprocess.run(check, capture_output=True).returncode == 0:
        return python
    if offline:
        raise LeftOut(f"there is no working environment in {folder / name}, and none was to be made")
    subprocess.run([find_python(version), "-m", "venv", str(folder / name)], check=True)
    for install in (*installs, SHARED):
        wheels = ["--only-binary", ":all:"] if "--no-binary" not in install else []
        pip = subprocess.run(
            [str(python), "-m", "pip", "install", "-q", *wheels, *install], capture_output=True, text=True
        )
        if pip.returncode:
            raise LeftOut(f"pip install {' '.join(install)} ended with: {_last(pip.stderr)}")
    tried = subprocess.run(check, capture_output=True, text=True)
    if tried.returncode:
        raise LeftOut(f"importing {module} ended with: {_last(tried.stderr)}")
    return python


def measured(name: str, options: argparse.Namespace) -> dict[str, Any]:
    """What the library's file has measured, in its environment."""
    options.folder.mkdir(parents=True, exist_ok=True)
    own = name == "jaxsamp"
    python = Path(sys.executable) if own else environment(name, options.folder, options.offline)
    into = (options.folder / f"{name}.json").resolve()
    paths = os.pathsep.join([str(HERE.parent), str(HERE.parent / "kernels")])
    command = [str(python), str(HERE / "peers_jax" / f"of_{name}.py"), "--into", str(into), *options.worker]
    done = subprocess.run(command, env=os.environ | {"PYTHONPATH": paths}, stderr=subprocess.PIPE, text=True)
    if not into.exists():
        raise LeftOut(f"its file ended with: {_last(done.stderr)}")
    return json.loads(into.read_text())


def promises(samples: int) -> list[dict[str, Any]]:
    """How far our samples are from those of the whole batch when the run is split, on four devices of the CPU."""
    paths = os.pathsep.join([str(HERE.parent), str(HERE.parent / "kernels")])
    devices = {"XLA_FLAGS": "--xla_force_host_platform_device_count=4", "PJRT_NPROC": "16"}
    with tempfile.TemporaryDirectory() as folder:
        into = Path(folder) / "promises.json"
        command = [sys.executable, str(HERE / "peers_jax" / "promises.py"), "--into", str(into)]
        environment = os.environ | devices | {"PYTHONPATH": paths}
        subprocess.run([*command, "--samples", str(samples)], env=environment, check=True, capture_output=True)
        return json.loads(into.read_text())


def _last(text: str) -> str:
    lines = [line for line in text.strip().splitlines() if not line.startswith("WARNING")]
    return lines[-1].strip() if lines else "no message"


def flat(row: dict[str, Any]) -> dict[str, Any]:
    """A row of the printed table."""
    line = {key: row.get(key) for key in ("library", "sampler", "setting")}
    for case, errors in row.get("law", {}).items():
        line[f"variance %, {case}"] = errors.get("variance_percent")
    for case, error in row.get("flow", {}).items():
        line[f"flow, {case}"] = error
    return line | {key: row.get(key) for key in ("over_ours", "compile_s", "alone", "raises")}


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--folder", type=Path, default=Path.home() / ".cache" / "jaxsamp-peers", help="environments")
    parser.add_argument("--only", nargs="+", default=["jaxsamp", *PEERS], choices=["jaxsamp", *PEERS])
    parser.add_argument("--offline", action="store_true", help="make no environment")
    parser.add_argument("--split", type=int, default=1024, help="samples of our runs that are split; 0 for none")
    parser.add_argument("worker", nargs=argparse.REMAINDER, help="-- and options of the libraries' files")
    options = parser.parse_args()
    options.worker = [option for option in options.worker if option != "--"]
    rows: list[dict[str, Any]] = []
    libraries: dict[str, Any] = {}
    title = "Laws of the samplers of JAX libraries with exact scores"
    for name in options.only:
        try:
            found = measured(name, options)
        except LeftOut as reason:
            print(f"{name} is left out: {reason}", flush=True)
            rows.append({"library": name, "sampler": f"left out: {reason}"})
        else:
            rows += found.pop("rows")
            libraries[name] = found
        content = about(title, options) | {"libraries": libraries, "rows": rows}
        write(options.results / "vs_jax_laws.json", content)
    show(title, [flat(row) for row in rows])
    if options.split:
        content["promises"] = promises(options.split)
        write(options.results / "vs_jax_laws.json", content)
        show("Samples of split runs, from those of the whole batch", content["promises"])


if __name__ == "__main__":
    main()
