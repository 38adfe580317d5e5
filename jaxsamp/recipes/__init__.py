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
from jaxsamp.recipes.drafts import draft_trial, follow_draft, try_draft
from jaxsamp.recipes.laws import law_of
from jaxsamp.recipes.learned_windows import LearnedWindow, Reader, learned_windows, null_label, reader_of
from jaxsamp.recipes.measured import against_measurements, corruption, measure, measurements, save_measured, visible
from jaxsamp.recipes.mixtures import (
    LearnedMixture,
    drawn_from,
    learn_mixture,
    mean_log_density,
    mixture_facts,
    save_mixture,
)
from jaxsamp.recipes.networks import draft_of, network_for
from jaxsamp.recipes.parts import LearningData
from jaxsamp.recipes.pauli import pauli_channel, pauli_facts, pauli_picture
from jaxsamp.recipes.pictures import alone, beside_truth, side_by_side, training_pictures
from jaxsamp.recipes.pretrained import decoded, picture_of, pretrained_data, pretrained_denoiser
from jaxsamp.recipes.reports import about, against_data, against_law, against_reference, report, score_errors
from jaxsamp.recipes.sampling import Drawing, draw, draw_to_folder, noise_levels
from jaxsamp.recipes.sparameters import FittedSParameters, fit_sparameters, load_sparameters, sparameters_picture
from jaxsamp.recipes.spin_laws import load_labeled_spins, load_spin_law, load_spins, save_spin_law, spin_law
from jaxsamp.recipes.spins import (
    LearnedSpins,
    learn_spins,
    pseudo_likelihood,
    selected_spins,
    spin_facts,
    spin_fit_picture,
)
from jaxsamp.recipes.tasks import (
    Guidance,
    SamplingTask,
    calibrated,
    exact_task,
    learned_denoiser,
    learned_task,
    thresholded,
    trained_labels,
    trained_on,
)
from jaxsamp.recipes.tomography import CopyCurves, copies_against_error, quantum_state
from jaxsamp.recipes.windows import component_numbers, groups_of, mixture_tree, mixture_windows, tree_row, window_row

__all__ = [
    "CopyCurves",
    "Drawing",
    "FittedSParameters",
    "Guidance",
    "LearnedMixture",
    "LearnedSpins",
    "LearnedWindow",
    "LearningData",
    "Reader",
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
    "component_numbers",
    "copies_against_error",
    "corruption",
    "decoded",
    "draft_of",
    "draft_trial",
    "draw",
    "draw_to_folder",
    "drawn_from",
    "dropped_of",
    "exact_task",
    "fit_sparameters",
    "follow_draft",
    "further_of",
    "groups_of",
    "law_of",
    "learn_mixture",
    "learn_spins",
    "learned_denoiser",
    "learned_task",
    "learned_windows",
    "levels_histogram",
    "load",
    "load_labeled_spins",
    "load_reference",
    "load_samples",
    "load_sparameters",
    "load_spin_law",
    "load_spins",
    "mean_log_density",
    "measure",
    "measured_task",
    "measurements",
    "mixture_facts",
    "mixture_tree",
    "mixture_windows",
    "network_for",
    "noise_levels",
    "null_label",
    "numbered",
    "pauli_channel",
    "pauli_facts",
    "pauli_picture",
    "picture_of",
    "pretrained_data",
    "pretrained_denoiser",
    "pseudo_likelihood",
    "quantum_state",
    "reader_of",
    "report",
    "restoration",
    "restored",
    "save_measured",
    "save_mixture",
    "save_spin_law",
    "score_errors",
    "selected_spins",
    "side_by_side",
    "sparameters_picture",
    "spin_facts",
    "spin_fit_picture",
    "spin_law",
    "thresholded",
    "trained_above",
    "trained_labels",
    "trained_on",
    "training_pictures",
    "tree_row",
    "try_draft",
    "visible",
    "window_row",
]
