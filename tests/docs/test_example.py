"""docs/reports.md shows what the example project prints, to the letter."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from fkeras.report import read_report
from fkeras.report.table import report_lines

EXAMPLE = Path(__file__).parents[2] / "example_project"


@pytest.fixture(scope="module")
def digits(docs_shell, tmp_path_factory):
    """The report of the example's tests of digits."""
    shell = replace(docs_shell, folder=tmp_path_factory.mktemp("example"))
    shutil.copytree(
        EXAMPLE, shell.folder, ignore=shutil.ignore_patterns("econ_t", "__pycache__", ".*cache"), dirs_exist_ok=True
    )
    # The committed baselines know the code that made them; what is shown here must not depend on its last change.
    for line in (
        "pytest tests/digits --fkeras-baseline-update",
        "pytest tests/digits --fkeras-cache=off --fkeras-json=run.json",
    ):
        code, output = shell.run(line)
        assert code == 0, output
    return read_report(shell.folder / "run.json")


@pytest.mark.parametrize("width", [80, 100, 120])
def test_it_looks_like_that(docs_pages, digits, width):
    (shown,) = [block.text for block in docs_pages.blocks("reports.md") if block.kind == f"text example {width}"]
    assert "\n".join(report_lines(digits.tests, width)) + "\n" == shown
