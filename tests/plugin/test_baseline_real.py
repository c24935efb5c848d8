"""The example's own gate: a digits network that was trained with fewer integer bits fails against the committed
baseline, an equal one with other weights passes."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).parents[2] / "example_project"
BUDGETS = "tests/digits/test_digits.py::test_survives_400_flips_with_"


def python(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "COLUMNS": "200", "CI": ""}
    environment.pop("PYTEST_ADDOPTS", None)
    return subprocess.run(
        [sys.executable, *arguments], cwd=folder, env=environment, capture_output=True, text=True, timeout=600
    )


@pytest.mark.parametrize(
    ("training", "code", "line"),
    [
        (["--seed=2", "--epochs=20"], 0, "tolerance 0.03: PASS; paired on "),
        (["--integer-bits=-3", "--epochs=10"], 1, "tolerance 0.03: FAIL; paired on "),
    ],
    ids=["another seed", "fewer integer bits"],
)
def test_the_retrained_example_meets_its_committed_baseline(tmp_path, training, code, line):
    project = tmp_path / "example"
    shutil.copytree(EXAMPLE, project, ignore=shutil.ignore_patterns("econ_t", "__pycache__", ".*cache"))
    trained = python(project, "-m", "digits.train", *training)
    assert trained.returncode == 0, trained.stderr
    budget = f"{BUDGETS}the_upper_half_of_every_word_protected"
    gated = python(project, "-m", "pytest", "-p", "no:cacheprovider", budget, "--fkeras-compare-fail=accuracy:0.03")
    assert gated.returncode == code, gated.stdout
    assert line in gated.stdout
    assert "WorseThanBaseline" in gated.stdout or code == 0
