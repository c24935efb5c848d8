"""Models of Keras 3, where HGQ2 or QKeras for Keras 3 is installed; elsewhere these tests are skipped, and say so."""

from __future__ import annotations

import importlib.util
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
QKERAS_3 = metadata.packages_distributions().get("qkeras") == ["qkeras-v3"]
HGQ2 = importlib.util.find_spec("hgq") is not None
WARNINGS = ("ignore::DeprecationWarning", "ignore::UserWarning", "ignore::FutureWarning")
"""What Keras 3, HGQ2 and QKeras do to each other; nothing that a test here is about."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.parent != HERE:
            continue
        for warning in WARNINGS:
            item.add_marker(pytest.mark.filterwarnings(warning))
        needs_qkeras = "qkeras3" in item.path.name
        if not (QKERAS_3 if needs_qkeras else HGQ2):
            needed = "qkeras-v3 (pip install qkeras-v3)" if needs_qkeras else "HGQ2 (pip install 'HGQ2>=0.2')"
            item.add_marker(pytest.mark.skip(reason=f"needs {needed} in an environment of its own"))


@pytest.fixture(scope="session")
def keras3_data(shared_data: Path) -> Path:
    """The folder of trained models of Keras 3 with their truth."""
    folder = shared_data / "keras3"
    if not folder.exists():
        pytest.skip("no shared data of Keras 3 models")
    return folder


@pytest.fixture(scope="session")
def keras() -> Any:
    """The module of Keras 3."""
    from fkeras.frontends.keras3.setup import keras

    return keras()


@pytest.fixture(scope="session")
def hgq(keras: Any) -> Any:
    """The layers of HGQ2."""
    from fkeras.frontends.keras3.setup import hgq

    return hgq()
