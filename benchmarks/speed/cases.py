"""The networks and data that are measured."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import fkeras

EXAMPLE = Path(__file__).parents[2] / "example_project"


@dataclass(frozen=True, slots=True)
class Case:
    """A network with its data; geometry: (coordinates, cells) where the metric is the EMD, else None."""

    name: str
    model: Any
    x: np.ndarray
    y: np.ndarray
    geometry: tuple[np.ndarray, np.ndarray] | None

    @property
    def metric(self) -> Any:
        """What is measured."""
        if self.geometry is None:
            return fkeras.metrics.mispredictions()
        return fkeras.metrics.emd(self.geometry[0], cells=self.geometry[1])

    def part(self, n: int) -> Case:
        """The same on the first n samples."""
        return Case(self.name, self.model, self.x[:n], self.y[:n], self.geometry)


def econ_t(data: Path, size: str) -> Case:
    """A real ECON-T network on real wafers."""
    geometry = np.load(data / "hgcal/geometry.npz")
    charges = np.load(data / "econ_t_val.npz")["calq"].astype(np.float32)
    model = fkeras.load_model(data / f"models/econ_t_{size}.h5")
    return Case(
        f"ECON-T {size}",
        model,
        images_of(charges, geometry),
        charges,
        (geometry["coordinates"], geometry["cell_of_output"]),
    )


def images_of(charges: np.ndarray, geometry: Any) -> np.ndarray:
    """What the ECON-T networks read: the charges (n, 48) as shares of their sum, arranged as images (n, 8, 8, 1)."""
    share = charges / charges.sum(1, keepdims=True)
    return (share[:, geometry["arrange"]] * geometry["mask"]).reshape(-1, 8, 8, 1)


def cifar10(data: Path) -> Case:
    """The CIFAR-10 network on the images that it classifies correctly."""
    images = np.load(data / "cifar10_test_2000.npz")
    x, y = images["X"].astype(np.float32) / 256, images["Y"].ravel().astype(int)
    model = fkeras.load_model(data / "models/rn07_cifar10.h5")
    right = model.predict(x, batch_size=200, verbose=0).argmax(1) == y
    return Case("CIFAR-10", model, x[right], y[right], None)


def example() -> Case:
    """The example project's encoder on simulated wafers."""
    sys.path.insert(0, str(EXAMPLE))
    from econ_t import data, geometry

    x, charges = data.validation_set()
    model = fkeras.load_model(EXAMPLE / "econ_t/econ_t_medium.h5")
    return Case("example", model, x, charges, (np.asarray(geometry.cell_coordinates()), geometry.cell_of_output()))
