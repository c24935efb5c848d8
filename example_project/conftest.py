"""What the tests of this project are about, unless a directory says otherwise: the digits network.

Three fixtures tell pytest-fkeras everything. ``tests/econ_t/conftest.py`` replaces them for the second network.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from digits import data

PROJECT = Path(__file__).parent


@pytest.fixture(scope="session")
def fkeras_model() -> Path:
    """A saved model; a model in memory will do as well."""
    return PROJECT / "digits" / "digits.h5"


@pytest.fixture(scope="session")
def fkeras_data() -> tuple[np.ndarray, np.ndarray]:
    """Inputs and targets that a campaign is scored on: 500 images that the network never saw."""
    return data.test_set()


@pytest.fixture(scope="session")
def fkeras_metrics() -> dict[str, object]:
    """Own metrics by name; accuracy and a few others need no entry here."""
    return {}
