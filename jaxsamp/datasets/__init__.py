"""Data to train on and to compare with: digits, photographs cut into patches, files, folders; checked once.

Reading images needs Pillow, and the digits and photographs need scikit-learn: `pip install "jaxsamp[cli]"`.
"""

from jaxsamp.datasets.arrays import checked, read_file
from jaxsamp.datasets.digits import digit_features, digits
from jaxsamp.datasets.images import read_folder
from jaxsamp.datasets.patches import photo_patches

__all__ = ["checked", "digit_features", "digits", "photo_patches", "read_file", "read_folder"]
