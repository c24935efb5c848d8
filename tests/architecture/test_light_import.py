"""`import fkeras` is light, and the test that says so can fail."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = ("filelock", "hls4ml", "matplotlib", "numba", "pyarrow", "qkeras", "scipy", "tensorflow", "tf_keras")


def loaded_by(statement: str) -> set[str]:
    program = f"import sys; {statement}; print(*[name for name in {HEAVY!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


@pytest.mark.parametrize(
    "statement",
    [
        "import fkeras",
        "import fkeras; fkeras.Store('none')",
        "from pytest_fkeras import fault_budget, ranking; fault_budget(bits=3, protected=ranking[:3], max_emd=1)",
        "import fkeras; fkeras.FaultSet([1]) ^ fkeras.FaultSet([2]); fkeras.TMR([1]); fkeras.BitErrorRate(0.1)",
    ],
)
def test_import_is_light(statement):
    assert loaded_by(statement) == set()


def test_the_test_above_can_fail():
    assert "scipy" in loaded_by("import fkeras; import scipy")
