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


BUDGET = f"{BUDGETS}the_upper_half_of_every_word_protected"
PYTEST = ("-m", "pytest", "-v", "-p", "no:cacheprovider")


@pytest.fixture
def example(tmp_path):
    """The example's digits, to be changed."""
    project = tmp_path / "example"
    shutil.copytree(EXAMPLE, project, ignore=shutil.ignore_patterns("econ_t", "__pycache__", ".*cache"))
    return project


@pytest.mark.parametrize(
    ("training", "code", "line"),
    [
        (
            ["--seed=2", "--epochs=20"],
            0,
            "; worse by more than 0.03 in 0 of 69 pairs, at most 4.9 % of draws (5 % allowed): PASS; paired on 69 ",
        ),
        (["--integer-bits=-3", "--epochs=10"], 1, "WorseThanBaseline: FAIL against baselines/400-flips-"),
    ],
    ids=["another seed", "fewer integer bits"],
)
def test_the_retrained_example_meets_its_committed_baseline(example, tensorflow_processes, training, code, line):
    trained, output = python(tensorflow_processes, example, "-m", "digits.train", *training)
    assert trained == 0, output
    gated, output = python(tensorflow_processes, example, *PYTEST, BUDGET, "--fkeras-compare-fail=accuracy:0.03")
    assert gated == code, output
    assert line in " ".join(output.split())
    assert "WorseThanBaseline" in output or code == 0


def test_the_unchanged_example_passes_with_one_trial(example, tensorflow_processes):
    one_trial = (BUDGET, "--fkeras-trials=1", "--fkeras-baseline=one", "-o", "fkeras_inconclusive=pass")
    written, output = python(tensorflow_processes, example, *PYTEST, *one_trial, "--fkeras-baseline-update")
    assert written == 0, output
    gated, output = python(tensorflow_processes, example, *PYTEST, *one_trial, "--fkeras-compare-fail=accuracy:0.002")
    assert gated == 0, output
    assert "accuracy unchanged, fault-free 0.972, under faults 0.9" in output
