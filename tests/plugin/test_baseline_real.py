"""The example's own gate: a digits network that was trained with fewer integer bits fails against the committed
baseline, an equal one with other weights passes."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

EXAMPLE = Path(__file__).parents[2] / "example_project"
BUDGETS = "tests/digits/test_digits.py::test_survives_400_flips_with_"


def python(processes: Any, folder: Path, *arguments: str) -> tuple[int, str]:
    """The exit code of a program and its output, both streams."""
    environment = {**os.environ, "COLUMNS": "200", "CI": ""}
    environment.pop("PYTEST_ADDOPTS", None)
    output = folder / "output.txt"
    with output.open("wb") as file:
        running = processes.popen(
            [sys.executable, *arguments], subprocess.DEVNULL, file, file, env=environment, cwd=folder
        )
    return running.wait(600), output.read_text()


@pytest.mark.parametrize(
    ("training", "code", "line"),
    [
        (["--seed=2", "--epochs=20"], 0, ": PASS; paired on "),
        (["--integer-bits=-3", "--epochs=10"], 1, ": FAIL; paired on "),
    ],
    ids=["another seed", "fewer integer bits"],
)
def test_the_retrained_example_meets_its_committed_baseline(tmp_path, tensorflow_processes, training, code, line):
    project = tmp_path / "example"
    shutil.copytree(EXAMPLE, project, ignore=shutil.ignore_patterns("econ_t", "__pycache__", ".*cache"))
    trained, output = python(tensorflow_processes, project, "-m", "digits.train", *training)
    assert trained == 0, output
    budget = f"{BUDGETS}the_upper_half_of_every_word_protected"
    gate = ("-m", "pytest", "-p", "no:cacheprovider", budget, "--fkeras-compare-fail=accuracy:0.03")
    gated, output = python(tensorflow_processes, project, *gate)
    assert gated == code, output
    assert line in output
    assert "WorseThanBaseline" in output or code == 0
