"""The plugin's state lies in one module, and its options are declared and read in one."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import pytest_fkeras

FOLDER = Path(pytest_fkeras.__file__).parent


def modules_with(pattern: str) -> set[str]:
    return {path.name for path in FOLDER.glob("*.py") if re.search(pattern, path.read_text(encoding="utf-8"))}


@pytest.mark.parametrize("pattern", [r"StashKey", r"workerinput"])
def test_state_lies_in_the_session(pattern):
    assert modules_with(pattern) == {"session.py"}


@pytest.mark.parametrize("pattern", [r"\.addoption\(", r"\.addini\(", r"option\.fkeras_", r"getini\(f?\"fkeras_"])
def test_options_are_declared_and_read_from_one_table(pattern):
    assert modules_with(pattern) <= {"options.py"}


def test_the_search_can_fail():
    assert modules_with(r"^INI_KEYS|\nINI_KEYS") == {"options.py"}
