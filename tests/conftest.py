"""What all tests share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

pytest_plugins = ["pytester"]

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real models and data beside the project; tests that need it skip without it."""
    if not SHARED.is_dir():
        if os.environ.get("FKERAS_REQUIRE_SHARED_DATA"):
            pytest.fail(f"{SHARED} is missing, and FKERAS_REQUIRE_SHARED_DATA says that it must be there")
        pytest.skip(f"{SHARED} is absent")
    return SHARED
