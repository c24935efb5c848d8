"""The handwritten digits that ship with scikit-learn, split the same way on every machine."""

from __future__ import annotations

import numpy as np
from sklearn.datasets import load_digits


def _images_and_labels() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    digits = load_digits()
    # Pixels are integers 0 ... 16: dividing by 16 puts them on the grid of the network's input quantizer.
    images = (digits.images[..., np.newaxis] / 16).astype(np.float32)
    # Five of every eighteen images are for testing; no random split that a library version could change.
    is_test = np.arange(len(images)) % 18 < 5
    return images, digits.target.astype(np.int64), is_test


def training_set() -> tuple[np.ndarray, np.ndarray]:
    """1,297 images (n, 8, 8, 1), float32 in [0, 1], and their labels (n,)."""
    images, labels, is_test = _images_and_labels()
    return images[~is_test], labels[~is_test]


def test_set() -> tuple[np.ndarray, np.ndarray]:
    """500 images (n, 8, 8, 1), float32 in [0, 1], and their labels (n,); the network never saw them."""
    images, labels, is_test = _images_and_labels()
    return images[is_test], labels[is_test]
