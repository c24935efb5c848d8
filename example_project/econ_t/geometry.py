"""Where the 48 trigger cells of a wafer lie, and where the network sees them in its 8x8 image.

A wafer carries 192 hexagonal sensor cells: three rhombi of 8 by 8, each turned by 120 degrees against the last, which
meet at the wafer's centre and together fill a hexagon. All of them lie on one hexagonal lattice. Two by two, the sensor
cells of a rhombus are summed into 16 trigger cells, so a wafer has 48. Trigger cell ``16 * rhombus + 4 * a + b`` is the
one at position ``(a, b)`` of its rhombus:

* ``b = 3, a = 0`` is the corner at the wafer's centre,
* ``a`` counts along one side of the rhombus, ``3 - b`` along the other.

The image has room for four 4x4 blocks; the three rhombi fill three of them, turned so that cells on both sides of a
seam between rhombi are neighbours in the image, and the fourth block stays empty.
"""

from __future__ import annotations

import numpy as np

N_CELLS = 48
IMAGE_SIDE = 8

# Sensor cells are 1 apart. The centre is a corner shared by three of them, one for each rhombus.
_SENSOR_CELL_AT_CENTRE = np.array([1 / np.sqrt(3), 0.0])
_ALONG_A = np.array([np.sqrt(3) / 2, -0.5])
_ALONG_B = np.array([0.0, 1.0])


def cell_coordinates() -> np.ndarray:
    """Centres of the trigger cells (48, 2), float64, from the wafer's centre; neighbours in a rhombus are 2 apart."""
    a, b = np.divmod(np.arange(16), 4)
    # The centre of a trigger cell is the mean of its four sensor cells: half a step past the first along each side.
    steps = np.stack([2 * a + 0.5, 2 * (3 - b) + 0.5], axis=1)
    rhombus = _SENSOR_CELL_AT_CENTRE + steps @ np.stack([_ALONG_A, _ALONG_B])
    return np.concatenate([rhombus @ _rotation(turn * 2 * np.pi / 3).T for turn in range(3)])


def cell_of_output() -> np.ndarray:
    """Index into the flattened 8x8 image of each trigger cell (48,), int64."""
    a, b = np.divmod(np.arange(16), 4)
    rows = np.concatenate([b, 3 - a, 7 - b])
    columns = np.concatenate([4 + a, b, 3 - a])
    return rows * IMAGE_SIDE + columns


def distances() -> np.ndarray:
    """Euclidean distance between the centres of every two cells (48, 48), float64."""
    coordinates = cell_coordinates()
    return np.linalg.norm(coordinates[:, np.newaxis] - coordinates, axis=-1)


def images(charges: np.ndarray) -> np.ndarray:
    """Each wafer's share of charge per cell, as the network's input (n, 8, 8, 1), float32; ``charges`` is (n, 48)."""
    shares = charges / charges.sum(axis=1, keepdims=True)
    flat = np.zeros((len(charges), IMAGE_SIDE**2), dtype=np.float32)
    flat[:, cell_of_output()] = shares
    return flat.reshape(-1, IMAGE_SIDE, IMAGE_SIDE, 1)


def _rotation(angle: float) -> np.ndarray:
    return np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
