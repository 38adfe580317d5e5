"""Folders as diffusers saves them, made from frozen names and shapes, with weights drawn by a rule."""

import importlib.util
import json
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

HERE = Path(__file__).parent
FROZEN = HERE / "frozen"
_spec = importlib.util.spec_from_file_location(
    "freeze", HERE.parents[1] / "benchmarks" / "frozen" / "diffusers_networks.py"
)
assert _spec is not None and _spec.loader is not None
freeze = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(freeze)
SCHEDULER = {"_class_name": "DDIMScheduler", "prediction_type": "v_prediction", "clip_sample": False}


def frozen(name):
    """The numbers in a file, by case and by what they are."""
    found = {}
    with np.load(FROZEN / f"{name}.npz") as arrays:
        for key in arrays.files:
            case, _, what = key.rpartition("/")
            found.setdefault(case, {})[what] = arrays[key]
    return found


def about(array):
    return json.loads(str(array))


def written(folder, description, scheduler=None, **changes):
    """A folder with the config, the weights and perhaps the scheduler; changes replace settings of the config."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(description["config"] | changes))
    weights = {name: freeze.drawn(name, tuple(shape)) for name, shape in description["shapes"].items()}
    save_file(weights, folder / "diffusion_pytorch_model.safetensors")
    if scheduler is not None:
        (folder / "scheduler_config.json").write_text(json.dumps(scheduler))
    return folder
