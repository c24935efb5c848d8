"""Small memories, and the tools that simulate and synthesize them."""

from __future__ import annotations

import os

import numpy as np
import pytest

from fkeras.memory import BitSpace, FixedPoint, Ternary, WordTensor
from fkeras.rtl.tools import missing


def tensor(path, codec, words):
    stored = np.array(words, np.uint32)
    return WordTensor(
        path, stored.shape, codec, stored, np.ones(stored.size, np.float32), codec.decode(stored).astype(np.float32)
    )


@pytest.fixture(scope="session")
def memory() -> BitSpace:
    """Twelve 5-bit words of which few are in use, and three ternary ones: 66 bits. The second name is hostile."""
    words = np.random.default_rng(0).integers(0, 9, 12)
    return BitSpace((tensor("dense/kernel", FixedPoint(5, 0), words), tensor('wire/"\n;end$', Ternary(), [0, 1, 3])))


def _required(*tools: str) -> None:
    absent = missing(*tools)
    if absent and os.environ.get("FKERAS_REQUIRE_SHARED_DATA"):
        pytest.fail(f"FKERAS_REQUIRE_SHARED_DATA says that all tests must run, which need {' and '.join(absent)}")
    if absent:
        pytest.skip(f"needs {' and '.join(absent)}")


@pytest.fixture(scope="session")
def simulator() -> None:
    """Icarus Verilog and cocotb; tests that need them skip without."""
    _required("iverilog", "cocotb")


@pytest.fixture(scope="session")
def synthesis() -> None:
    """Yosys; tests that need it skip without."""
    _required("yosys")
