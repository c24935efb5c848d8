"""docs/ci: valid for their services, and their script lines work in the tutorial's project."""

from __future__ import annotations

import shutil
import subprocess
import sys

import pytest
import yaml

FILES = {"github-actions.yml": "vendor.github-workflows", "gitlab-ci.yml": "vendor.gitlab-ci"}


def script(docs_pages, name: str) -> list[str]:
    """The lines that a job of the file runs."""
    content = yaml.safe_load((docs_pages.DOCS / "ci" / name).read_text(encoding="utf-8"))
    job = content["jobs"]["bit-flips"] if "jobs" in content else content["bit-flips"]
    return [step["run"] for step in job["steps"] if "run" in step] if "steps" in job else list(job["script"])


@pytest.mark.parametrize(("name", "schema"), FILES.items())
def test_they_are_valid(docs_pages, name, schema):
    path = docs_pages.DOCS / "ci" / name
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", schema, str(path)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("name", FILES)
def test_their_lines_pass_with_the_committed_baseline(docs_pages, docs_shell, tutorial, name):
    install, line = script(docs_pages, name)
    assert install == "pip install 'pytest-fkeras[plot]'"
    code, output = docs_shell.run(line, CI="true")
    assert code == 0, output
    assert "accuracy unchanged, fault-free " in " ".join(output.split())
    assert (tutorial.project / "resilience.html").stat().st_size > 10_000
    assert (tutorial.project / "resilience.json").is_file()
    assert ("--junitxml" in line) == (tutorial.project / "junit.xml").is_file()


def test_without_a_baseline_they_fail_with_the_command_that_makes_it(docs_pages, docs_shell, tutorial):
    baselines, away = tutorial.project / "baselines", tutorial.project / "away"
    shutil.move(baselines, away)
    try:
        line = script(docs_pages, "github-actions.yml")[1]
        code, output = docs_shell.run(line, CI="true")
        assert code == 1, output
        found = " ".join(output.split())
        assert "has no baseline for this budget; make one on your machine and commit it: python -m pytest" in found
        assert "test_resilience.py::test_protected" in found
        assert "--fkeras-baseline-update" in found
        assert not baselines.exists()
        code, output = docs_shell.run(f"{line} --fkeras-baseline-update", CI="true")
        assert code == 4, output
        assert "because a gate that moves itself gates nothing" in " ".join(output.split())
    finally:
        shutil.move(away, baselines)
