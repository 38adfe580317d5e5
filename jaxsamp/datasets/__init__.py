"""Data to train on and to compare with, checked: digits, patches of photographs, files, folders, data sets by name.

Reading images needs Pillow, and the digits and photographs need scikit-learn: `pip install "jaxsamp[cli]"`. Data that
do not fit in memory are read as a `grain.MapDataset`: `pip install "jaxsamp[data]"`.
"""

from jaxsamp.datasets.arrays import DataWarning, as_sample, as_samples
from jaxsamp.datasets.digits import digit_classifier, digit_features, digits
from jaxsamp.datasets.files import read_file
from jaxsamp.datasets.folders import class_names, read_folder
from jaxsamp.datasets.hubs import hugging_face, tfds
from jaxsamp.datasets.labels import renumber_labels
from jaxsamp.datasets.lazy import folder, in_memory, memory_mapped
from jaxsamp.datasets.patches import photo_patches

__all__ = [
    "DataWarning",
    "as_samples",
    "as_sample",
    "class_names",
    "digit_classifier",
    "digit_features",
    "digits",
    "folder",
    "hugging_face",
    "in_memory",
    "memory_mapped",
    "photo_patches",
    "read_file",
    "read_folder",
    "renumber_labels",
    "tfds",
]
