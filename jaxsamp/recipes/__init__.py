"""The work of the commands as functions: data with a held-out part, laws and networks from data, reports.

    data = load("digits")                       # 1,297 digits to learn from, 500 held out
    task = exact_task(data)                     # or learned_task(key, data, learned_denoiser("runs/digits"), n)
    drawn = draw(key, task, n)                  # in the scale and the shape of the data
    report(key, task, drawn.x, level)           # against the law, and against the held-out data

Nothing here prints or reads a command line. Reading images and plotting need `pip install "jaxsamp[cli]"`, networks
need "jaxsamp[train]".
"""

from jaxsamp.recipes.ambient import (
    check_learned,
    clean_of,
    dropped_of,
    further_of,
    measured_task,
    numbered,
    restoration,
    restored,
    trained_above,
)
from jaxsamp.recipes.annotating import annotated, compared_levels, levels_histogram
from jaxsamp.recipes.comparison import compare
from jaxsamp.recipes.data import load, load_reference, load_samples
from jaxsamp.recipes.laws import law_of
from jaxsamp.recipes.measured import against_measurements, corruption, measure, measurements, save_measured, visible
from jaxsamp.recipes.networks import network_for
from jaxsamp.recipes.parts import LearningData
from jaxsamp.recipes.pictures import alone, beside_truth, side_by_side, training_pictures
from jaxsamp.recipes.reports import about, against_data, against_law, against_reference, report, score_errors
from jaxsamp.recipes.sampling import Drawing, draw, draw_to_folder, noise_levels
from jaxsamp.recipes.tasks import (
    SamplingTask,
    calibrated,
    exact_task,
    learned_denoiser,
    learned_task,
    trained_labels,
    trained_on,
)

__all__ = [
    "Drawing",
    "LearningData",
    "SamplingTask",
    "about",
    "against_data",
    "against_law",
    "against_measurements",
    "against_reference",
    "alone",
    "annotated",
    "beside_truth",
    "calibrated",
    "check_learned",
    "clean_of",
    "compare",
    "compared_levels",
    "corruption",
    "draw",
    "draw_to_folder",
    "dropped_of",
    "exact_task",
    "further_of",
    "law_of",
    "learned_denoiser",
    "learned_task",
    "levels_histogram",
    "load",
    "load_reference",
    "load_samples",
    "measure",
    "measured_task",
    "measurements",
    "network_for",
    "noise_levels",
    "numbered",
    "report",
    "restoration",
    "restored",
    "save_measured",
    "score_errors",
    "side_by_side",
    "trained_above",
    "trained_labels",
    "trained_on",
    "training_pictures",
    "visible",
]
