"""docs/tutorial.md does what it says: every line is run, in order, in an empty folder."""

from __future__ import annotations

import json
import re

SKIPPED = [
    "pip install 'pytest-fkeras[qkeras,plot]'",
    "git add baselines protection tagger.h5 validation.npz pyproject.toml test_resilience.py",
]
CONTENT = "content 044d48874e05"
"""The tutorial's network; a training on another kind of processor ends at other weights, and other numbers."""


def test_every_line_runs_but_installation_and_git(tutorial):
    assert tutorial.skipped == SKIPPED
    failed = {line: output for line, code, output in tutorial.ran if code != 0}
    assert list(failed) == ["pytest"], failed
    assert "FAILED test_resilience.py::test_bare - BudgetExceeded: FAIL" in failed["pytest"]
    assert "1 failed, 1 passed" in failed["pytest"]


def test_nothing_is_run_before_it_is_installed(docs_pages):
    for page in ("tutorial.md", "../README.md"):
        first = next(line for block in docs_pages.blocks(page) if block.kind == "shell" for line in block.lines)
        assert first.startswith(SKIPPED[0]), page


def test_who_begins_says_what_the_network_must_be_without_faults(docs_pages):
    for page in ("tutorial.md", "../README.md"):
        first = next(block.text for block in docs_pages.blocks(page) if block.kind == "toml")
        assert 'fkeras_golden = "min_golden_accuracy=' in first, page


def test_what_it_shows_is_what_is_printed(tutorial):
    assert len(tutorial.excerpts) == 7
    is_same = CONTENT in tutorial.excerpts[0][1]
    for excerpt, output in tutorial.excerpts:
        lines = [line for line in excerpt.splitlines() if line.strip()]
        for line in lines if is_same else lines[:1]:
            assert _plain(line, is_same) in _plain(output, is_same), output


def test_the_smaller_protection_passes_with_the_mask(tutorial):
    mask = json.loads((tutorial.project / "protection" / "protection.json").read_text())
    assert mask["schema"] == "fkeras-protection/1"
    by_line = {line: output for line, _, output in tutorial.ran}
    protected = by_line["pytest --fkeras-baseline=baselines --fkeras-baseline-update"]
    assert re.search(r"test_protected  flips 100 .*\n +accuracy .* PASS\n", protected)
    assert "baseline: new baselines/" in protected


def test_the_comparison_is_paired_and_passes(tutorial):
    report = json.loads((tutorial.project / "branch.json").read_text())
    (test,) = report["tests"]
    assert report["summary"]["exit_code"] == 0
    assert test["verdict"] == "PASS"
    assert test["assumptions"]["file"] == "tagger.h5"
    assert test["golden_limits"] == ["min_golden_accuracy=0.9"]
    assert len(list((tutorial.project / "baselines").iterdir())) == 1
    assert "paired on" in tutorial.ran[-1][2]


def _plain(text: str, with_numbers: bool) -> str:
    """One line, however it was wrapped; numbers and digests count only where the network is the same."""
    text = " ".join(text.split())
    return text if with_numbers else re.sub(r"-+", "-", re.sub(r"\b[0-9a-f]{8,12}\b|[0-9][0-9.,]*", "N", text))
