"""The command as a process: start-up, interruption, pipes."""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from pathlib import Path

import pytest

import fkeras.cli
from fkeras.cli import session
from fkeras.errors import InputError
from fkeras.report.document import new_report
from fkeras.report.record import BudgetRecord

HEAVY = ("numpy", "tensorflow", "numba", "scipy", "matplotlib", "pyarrow", "dask", "tqdm", "tabulate", "pytest")


def test_help_loads_nothing_heavy():
    program = (
        "import sys; from fkeras.cli import main, COMMANDS; main(['--help']); [main([c, '--help']) for c in COMMANDS]; "
        f"print(*[name for name in {HEAVY!r} if name in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stderr.split() == []


@pytest.fixture
def reports(tmp_path):
    """r.json: a report whose test has a name that would clear the screen."""
    record = BudgetRecord("t.py::\x1b[2J\x1b[32mPASS", "NOT_RUN", "\u202eno")
    new_report([record], 0, 0).write(tmp_path / "r.json")
    return tmp_path


STREAMS = {
    "fine": ("report r.json", 0),
    "stdout closed": ("report r.json >&-", 0),
    "all closed": ("report r.json <&- >&- 2>&-", 0),
    "stdout full": ("report r.json >/dev/full", 2),
    "stdout full, stderr too": ("report r.json >/dev/full 2>&1", 2),
    "stdout abandoned": ("report r.json | true; exit ${PIPESTATUS[0]}", (0, 141)),
    "stderr closed": ("report none.json 2>&-", 2),
    "stderr full": ("report none.json 2>/dev/full", 2),
    "stderr full, verdict": ("compare r.json r.json --fail=emd:5% 2>/dev/full", 3),
    "without asserts and docstrings": ("report r.json", 0),
}


@pytest.mark.parametrize("name", STREAMS)
def test_exit_codes_do_not_depend_on_streams(reports, name):
    words, code = STREAMS[name]
    python = f"{sys.executable} {'-OO' if name.startswith('without') else ''} -m fkeras"
    done = subprocess.run(["bash", "-c", f"{python} {words}"], cwd=reports, capture_output=True, text=True)
    assert done.returncode in (code if isinstance(code, tuple) else (code,)), done.stderr
    assert "Traceback" not in done.stderr
    assert "mistake in fkeras" not in done.stderr
    assert not re.search(r"[\x00-\x09\x0b-\x1f\u202e]", done.stdout + done.stderr)
    if name == "stdout full":
        assert "standard output cannot be written (No space left on device); send it elsewhere" in done.stderr


def test_our_own_colours_are_left(reports, monkeypatch, capsys):
    monkeypatch.chdir(reports)
    monkeypatch.setattr("fkeras.report.table.wants_colour", lambda: True)
    assert fkeras.cli.main(["report", "r.json"]) == 0
    out = capsys.readouterr().out
    assert set(re.findall(r"\x1b\[[\d;]*m", out)) == {"\x1b[1;33m", "\x1b[0m"}
    assert r"\x1b[2J\x1b[32mPASS" in out
    assert r"\u202eno" in out


def test_results_are_shown_without_control_characters(capsys):
    session.show("conv\x1b[31m\u200b\nline")
    assert capsys.readouterr().out == "conv\\x1b[31m\\u200b\nline\n"


def test_no_command_prints_by_itself():
    files = [path for path in Path(fkeras.cli.__file__).parent.glob("*.py") if path.name != "session.py"]
    assert [path.name for path in files if re.search(r"\bprint\(", path.read_text())] == []


def run(function):
    """The exit code of a command line that does this."""
    made = argparse.ArgumentParser()
    made.set_defaults(run=lambda options: function())
    return session.run(lambda: made, [])


def code_at(path, source):
    names: dict[str, object] = {}
    exec(compile(source, str(path), "exec"), names)
    return names["f"]


def test_what_the_users_code_raises_is_no_mistake_of_ours(tmp_path, capsys):
    source = "def f():\n    {}['no such key']"
    assert run(code_at(tmp_path / "my_metric.py", source)) == 2
    err = capsys.readouterr().err
    assert "KeyError: 'no such key'" in err
    assert f"raised by code of yours, {tmp_path / 'my_metric.py'}" in err
    assert "mistake in fkeras" not in err


@pytest.mark.parametrize(
    "source", ["import no_such_library", "from json import no_such_name", "import broken_library"], ids=str
)
def test_a_library_that_cannot_be_loaded_is_no_mistake_of_ours(tmp_path, capsys, monkeypatch, source):
    library = tmp_path / "site-packages" / "broken_library.py"
    library.parent.mkdir()
    library.write_text("import json\njson.no_such_attribute\n")
    monkeypatch.syspath_prepend(library.parent)
    ours = code_at(session.__file__, f"def f():\n    {source}")
    assert run(ours) == 2
    err = capsys.readouterr().err
    assert "a library that could not be loaded: install pytest-fkeras anew, in an environment of its own" in err
    assert "mistake in fkeras" not in err


@pytest.mark.parametrize("source", ["{}['key']", "import json\n    json.loads('{')", "from fkeras.cli import none"])
def test_our_mistakes_are_said_to_be_ours(capsys, source):
    assert run(code_at(session.__file__, f"def f():\n    {source}")) == 70
    assert "This is a mistake in fkeras" in capsys.readouterr().err


def test_errors_are_text_without_control_characters():
    assert str(InputError("layer 'a\x1b[2J\u202e'\nsecond line")) == "layer 'a\\x1b[2J\\u202e'\nsecond line"
