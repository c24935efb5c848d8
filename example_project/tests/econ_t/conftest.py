"""The ECON-T autoencoder, for the tests in this directory."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from econ_t import data, geometry

import fkeras

PROJECT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def fkeras_model() -> Path:
    return PROJECT / "econ_t" / "econ_t_medium.h5"


@pytest.fixture(scope="session")
def fkeras_data() -> tuple[np.ndarray, np.ndarray]:
    """Images of 1,000 wafers, and the 48 charges that each one stands for; ``ECON_T_CSV`` names real ones."""
    return data.validation_set()


@pytest.fixture(scope="session")
def fkeras_metrics() -> dict[str, object]:
    """The EMD needs to know where the cells lie, and which outputs they are."""
    return {"emd": fkeras.metrics.emd(geometry.cell_coordinates(), cells=geometry.cell_of_output())}
