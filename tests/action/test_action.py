"""action.yml does what it says: its steps are run as GitHub runs them, with a `gh` that keeps comments in a folder."""

from __future__ import annotations

import json
import os
import re
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from fkeras.report.document import new_report
from tests.unit.report.conftest import make_record  # noqa: F401

ROOT = Path(__file__).resolve().parents[2]
ACTION: dict[str, Any] = yaml.safe_load((ROOT / "action.yml").read_text(encoding="utf-8"))
STEPS = {step["name"]: step for step in ACTION["runs"]["steps"]}
SHELLS = {"bash": ["bash", "--noprofile", "--norc", "-eo", "pipefail"], "python": [sys.executable]}
"""As the documentation of workflows states them."""
MARKER = "<!-- pytest-fkeras: resilience -->"
GH = """#!{python}
import json, os, pathlib, sys
words, store = sys.argv[1:], pathlib.Path(os.environ["STORE"])
calls = store / "calls"
calls.write_text((calls.read_text() if calls.exists() else "") + json.dumps(words) + "\\n")
if os.environ.get("READ_ONLY") and "--method" in words or os.environ.get("OFFLINE"):
    sys.exit("HTTP 403: Resource not accessible by integration")
comments = sorted(store.glob("*.md"))
if "--method" not in words:
    assert words[words.index("--jq") + 1] == ".[] | select(.body | startswith(env.FKERAS_MARKER)) | .id"
    print(*[path.stem for path in comments if path.read_text().startswith(os.environ["FKERAS_MARKER"])], sep="\\n")
else:
    field, method = words[words.index("--field") + 1], words[words.index("--method") + 1]
    address = next(word for word in words if word.startswith("repos/"))
    name = address.rpartition("/")[2] if method == "PATCH" else str(len(comments) + 1)
    assert address == "repos/beam/line/issues/" + ("comments/" + name if method == "PATCH" else "7/comments")
    (store / (name + ".md")).write_text(pathlib.Path(field.removeprefix("body=@")).read_text())
"""


class Runner:
    """A job on a pull request, in a folder."""

    def __init__(self, folder: Path) -> None:
        self.temp, self.store, bin_ = folder / "temp", folder / "comments", folder / "bin"
        for path in (self.temp / "resilience", self.store, bin_):
            path.mkdir(parents=True)
        gh = bin_ / "gh"
        gh.write_text(GH.replace("{python}", sys.executable))
        gh.chmod(gh.stat().st_mode | stat.S_IXUSR)
        self.folder = folder
        self.variables = {
            "PATH": f"{bin_}:{Path(sys.executable).parent}:{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT),
            "HOME": str(folder),
            "STORE": str(self.store),
            "RUNNER_TEMP": str(self.temp),
            "GITHUB_ACTIONS": "true",
            "GITHUB_ACTION_PATH": str(ROOT),
            "GITHUB_REPOSITORY": "beam/line",
            "GITHUB_SERVER_URL": "https://github.com",
            "GITHUB_RUN_ID": "42",
            "GITHUB_SHA": "0123abcd",
        }
        self.contexts = {
            "runner.temp": str(self.temp),
            "github.event.pull_request.number": "7",
            "github.token": "secret",
        }
        self.contexts["steps.artifact.outputs.artifact-url"] = "https://github.com/page"
        self.contexts |= {f"inputs.{name}": str(one.get("default", "")) for name, one in ACTION["inputs"].items()}

    def filled(self, text: str) -> str:
        """The text with its expressions evaluated."""
        return re.sub(r"\$\{\{ ([a-z._-]+) \}\}", lambda found: self.filled(self.contexts[found[1]]), text)

    def run(self, name: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """A step, run as GitHub runs it."""
        step = STEPS[name]
        script = self.temp / "script"
        script.write_text(step["run"])
        env = {key: self.filled(value) for key, value in step.get("env", {}).items()}
        return subprocess.run(
            [*SHELLS[step["shell"]], str(script)],
            cwd=self.folder / self.filled(step.get("working-directory", ".")),
            env={**self.variables, **env, **variables},
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
        )

    @property
    def comments(self) -> dict[str, str]:
        return {path.stem: path.read_text() for path in sorted(self.store.glob("*.md"))}


@pytest.fixture
def runner(tmp_path) -> Runner:
    return Runner(tmp_path)


@pytest.fixture
def reported(runner, make_record):  # noqa: F811
    """What pytest leaves behind."""

    def write(*values: float, exit_code: int = 1) -> None:
        one = make_record("t.py::test_beam", values)
        new_report([one], exit_code, 7).write(runner.temp / "resilience" / "resilience.json")

    return write


COMMENT, GATE = "Comment on the pull request", "Run the fault budgets"


def test_there_is_one_comment_and_it_is_the_last_word(runner, reported):
    (runner.store / "1.md").write_text("Looks good to me\n")
    for values, verdict in (([3.0] * 60, "FAIL"), ([1.0] * 60, "PASS"), ([3.0] * 60, "FAIL")):
        reported(*values)
        done = runner.run(COMMENT)
        assert (done.returncode, done.stderr) == (0, "")
        assert "::" not in done.stdout
        assert list(runner.comments) == ["1", "2"]
        text = runner.comments["2"]
        assert text.startswith(f"{MARKER}\n## Fault budgets\n\n1 {verdict} of 1 budgets")
        assert text.endswith(
            "[The page](https://github.com/page), [the run](https://github.com/beam/line/actions/runs/42)\n"
        )
    assert "- again: `python -m pytest t.py::test_beam`" in text
    assert runner.comments["1"] == "Looks good to me\n"


def test_a_run_without_a_report_does_not_leave_an_old_verdict(runner, reported):
    reported(*[1.0] * 60, exit_code=0)
    runner.run(COMMENT)
    (runner.temp / "resilience" / "resilience.json").unlink()
    assert runner.run(COMMENT, FKERAS_PAGE="").returncode == 0
    (text,) = runner.comments.values()
    assert "PASS" not in text
    assert "Nothing was measured: pytest wrote no report of commit `0123abcd`." in text
    assert text.count("https://github.com/beam/line/actions/runs/42") == 2


@pytest.mark.parametrize("why", ["READ_ONLY", "OFFLINE"])
def test_a_comment_that_cannot_be_written_is_a_warning(runner, reported, why):
    reported(*[3.0] * 60)
    done = runner.run(COMMENT, **{why: "1"})
    assert done.returncode == 0
    assert done.stdout.startswith("::warning title=pytest-fkeras::The comment could not be written; give the job the")
    assert runner.comments == {}


STUB = """
import json, os, sys
with open(os.environ["RUNNER_TEMP"] + "/words", "w") as file:
    json.dump(sys.argv[1:], file)
sys.exit(int(os.environ["EXIT"]))
"""


@pytest.mark.parametrize("exit_code", [0, 1, 5])
@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({}, []),
        ({"arguments": "tests -m 'not slow'"}, ["tests", "-m", "not slow"]),
        (
            {"baseline": "base lines", "compare-fail": "emd:5%"},
            ["--fkeras-baseline=base lines", "--fkeras-compare-fail=emd:5%"],
        ),
        ({"arguments": "$(touch x); `touch x` > x"}, ["$(touch", "x);", "`touch", "x`", ">", "x"]),
    ],
)
def test_the_gate_is_pytest_with_these_words_and_its_exit_code(runner, given, words, exit_code):
    (runner.folder / "pytest.py").write_text(STUB)
    runner.contexts |= {f"inputs.{name}": value for name, value in given.items()}
    done = runner.run(GATE, EXIT=str(exit_code), PYTHONPATH=str(runner.folder))
    assert (done.returncode, done.stderr) == (exit_code, "")
    folder = runner.temp / "resilience"
    files = {"json": "resilience.json", "html": "resilience.html", "trend": "trend.json", "badge": "badge.json"}
    assert json.loads((runner.temp / "words").read_text()) == [
        *words,
        *(f"--fkeras-{name}={folder / file}" for name, file in files.items()),
    ]
    assert not (runner.folder / "x").exists()
    outputs = {name: runner.filled(one["value"]) for name, one in ACTION["outputs"].items()}
    assert set(outputs.values()) == {str(folder / file) for file in files.values()}


def test_no_script_holds_what_others_wrote():
    """Expressions are pasted into scripts before a shell reads them, so none stands there."""
    for step in STEPS.values():
        assert "${{" not in step.get("run", "")
        assert step.get("shell") in (None, *SHELLS)
        assert ("uses" in step) != ("run" in step)
        assert re.fullmatch(r"actions/[a-z-]+@v\d+", step.get("uses", "actions/none@v1"))
        for name in re.findall(r"FKERAS_[A-Z_]+", step.get("run", "")):
            assert name in step["env"]


def test_every_input_is_used_and_the_page_is_kept_whatever_happens():
    text = json.dumps(ACTION["runs"]) + json.dumps(ACTION["outputs"])
    assert [name for name in ACTION["inputs"] if f"inputs.{name}" not in text] == []
    assert STEPS["Keep the page"]["if"] == "always()"
    assert STEPS[COMMENT]["if"].startswith("always() && ")
    assert "pull_request'" in STEPS[COMMENT]["if"], "not pull_request_target, whose token may write"


def test_it_follows_its_schema():
    command = [
        sys.executable,
        "-m",
        "check_jsonschema",
        "--builtin-schema",
        "vendor.github-actions",
        str(ROOT / "action.yml"),
    ]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
