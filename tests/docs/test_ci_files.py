"""docs/ci: valid for their services, and their script lines work in the tutorial's project."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys

import pytest
import yaml

FILES = {"github-actions.yml": "vendor.github-workflows", "gitlab-ci.yml": "vendor.gitlab-ci"}
"""Those whose script lines are run here; the steps of the action have tests of their own."""
PLATFORMS = {
    "github-actions.yml": {"GITHUB_ACTIONS": "true", "GITHUB_REPOSITORY": "beam/line", "GITHUB_SHA": "0123abcd"},
    "gitlab-ci.yml": {"GITLAB_CI": "true", "CI_PROJECT_PATH": "beam/line", "CI_COMMIT_SHA": "0123abcd"},
}
SCHEMAS = {**FILES, "github-action.yml": "vendor.github-workflows"}


def script(docs_pages, name: str) -> list[str]:
    """The lines that a job of the file runs."""
    content = yaml.safe_load((docs_pages.DOCS / "ci" / name).read_text(encoding="utf-8"))
    job = content["jobs"]["bit-flips"] if "jobs" in content else content["bit-flips"]
    return [step["run"] for step in job["steps"] if "run" in step] if "steps" in job else list(job["script"])


@pytest.mark.parametrize(("name", "schema"), SCHEMAS.items())
def test_they_are_valid(docs_pages, name, schema):
    path = docs_pages.DOCS / "ci" / name
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", schema, str(path)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("name", FILES)
def test_their_lines_pass_with_the_committed_baseline(docs_pages, docs_shell, tutorial, name):
    install, line = script(docs_pages, name)
    assert install == "pip install 'pytest-fkeras[qkeras,plot]'"
    summary = tutorial.project / f"{name}.md"
    code, output = docs_shell.run(line, CI="true", **PLATFORMS[name], GITHUB_STEP_SUMMARY=str(summary))
    assert code == 0, output
    assert "::" not in re.sub(r"\w::\w", "", output), "nothing to mark"
    assert "Project `beam/line`, commit `0123abcd`" in summary.read_text()
    assert re.search(r"unchanged +PASS", output)
    assert (tutorial.project / "resilience.html").stat().st_size > 10_000
    assert (tutorial.project / "resilience.json").is_file()
    for option, file in (("--junitxml", "junit.xml"), ("--fkeras-openmetrics", "metrics.txt")):
        assert (option in line) == (tutorial.project / file).is_file()


def test_without_a_baseline_they_fail_with_the_command_that_makes_it(docs_pages, docs_shell, tutorial):
    baselines, away = tutorial.project / "baselines", tutorial.project / "away"
    shutil.move(baselines, away)
    try:
        line = script(docs_pages, "github-actions.yml")[1]
        code, output = docs_shell.run(line, CI="true", GITHUB_ACTIONS="true", GITHUB_WORKSPACE=str(tutorial.project))
        assert code == 1, output
        assert re.search(r"^::error file=test_resilience.py,line=\d+,title=NOT_RUN test_protected::", output, re.M)
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


def test_the_action_gates_the_project_and_leaves_all_its_files(docs_pages, docs_shell, tutorial, tmp_path):
    action = yaml.safe_load((docs_pages.DOCS.parent / "action.yml").read_text(encoding="utf-8"))
    (step,) = [step for step in action["runs"]["steps"] if "budgets" in step["name"]]
    (tmp_path / "step.py").write_text(step["run"])
    given = {"FKERAS_BASELINE": "baselines", "FKERAS_COMPARE_FAIL": "accuracy:0.01"}
    given["FKERAS_FOLDER"] = str(tmp_path / "out")
    words = {"FKERAS_ARGUMENTS": "-p no:randomly -k 'protected or nothing'"}
    code, output = docs_shell.run(f"python {tmp_path / 'step.py'}", CI="true", GITHUB_ACTIONS="true", **given, **words)
    assert code == 0, output
    files = {path.name for path in (tmp_path / "out").iterdir()}
    assert files == {"resilience.json", "resilience.html", "trend.json", "badge.json"}
    assert '"message": "1 of 1 budgets kept"' in (tmp_path / "out" / "badge.json").read_text()
