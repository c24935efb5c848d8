"""The digits network of HGQ2, for the tests in this directory."""

from __future__ import annotations

from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def fkeras_model() -> Path:
    return PROJECT / "digits" / "digits_hgq.keras"
