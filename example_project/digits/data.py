"""The handwritten digits that ship with scikit-learn, split the same way on every machine.

python -m digits.data      writes the test set to digits/test_set.npz, so that tests need no scikit-learn
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

TEST_SET = Path(__file__).with_name("test_set.npz")


def training_set() -> tuple[np.ndarray, np.ndarray]:
    """1,297 images (n, 8, 8, 1), float32 in [0, 1], and their labels (n,)."""
    pixels, labels, is_test = _pixels_and_labels()
    return _images(pixels[~is_test]), labels[~is_test]


def test_set() -> tuple[np.ndarray, np.ndarray]:
    """500 images (n, 8, 8, 1), float32 in [0, 1], and their labels (n,); the network never saw them."""
    with np.load(TEST_SET) as file:
        return _images(file["pixels"]), file["labels"].astype(np.int64)


def _images(pixels: np.ndarray) -> np.ndarray:
    # Pixels are integers 0 ... 16: dividing by 16 puts them on the grid of the network's input quantizer.
    return (pixels[..., np.newaxis] / 16).astype(np.float32)


def _pixels_and_labels() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    from sklearn.datasets import load_digits

    digits = load_digits()
    # Five of every eighteen images are for testing; no random split that a library version could change.
    is_test = np.arange(len(digits.images)) % 18 < 5
    return digits.images.astype(np.uint8), digits.target.astype(np.int64), is_test


if __name__ == "__main__":
    pixels, labels, is_test = _pixels_and_labels()
    np.savez_compressed(TEST_SET, pixels=pixels[is_test], labels=labels[is_test].astype(np.uint8))
