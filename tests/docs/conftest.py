"""The tutorial, followed once; its tests and those of the CI files look at what came out."""

from __future__ import annotations

import importlib.util
import os
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest


def _neighbour(name: str) -> ModuleType:
    """A module beside this file, which is no package."""
    full = f"fkeras_docs_{name}"
    if full not in sys.modules:
        spec = importlib.util.spec_from_file_location(full, Path(__file__).with_name(f"{name}.py"))
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[full] = module
        spec.loader.exec_module(module)
    return sys.modules[full]


pages = _neighbour("pages")

PROGRAMS = {
    "python": (),
    "fkeras": ("-m", "fkeras"),
    # What a developer's own environment has installed besides must not matter.
    "pytest": ("-m", "pytest", "-p", "no:randomly", "-p", "no:cacheprovider"),
}


@dataclass(frozen=True)
class Shell:
    """Runs lines of PROGRAMS in a folder, each in a process of its own."""

    folder: Path
    processes: Any

    def run(self, line: str, **environment: str) -> tuple[int, str]:
        """The exit code of a line and its output, both streams."""
        program, *words = shlex.split(line, comments=True)
        usual = {**os.environ, "COLUMNS": "80"}
        for name in ("CI", "PYTEST_ADDOPTS", "GITHUB_STEP_SUMMARY", "PYTEST_XDIST_WORKER"):
            usual.pop(name, None)
        args = [sys.executable, "-W", "ignore", *PROGRAMS[program], *words]
        output = self.folder / ".output"
        with output.open("wb") as file:
            running = self.processes.popen(
                args, subprocess.DEVNULL, file, file, env={**usual, **environment}, cwd=self.folder
            )
        return running.wait(), output.read_text(encoding="utf-8")


@dataclass
class Walk:
    """What happened to somebody who typed the tutorial.

    ran: (line, exit code, output) in order; skipped: the lines that were not run; excerpts: (shown text, the output of
    the commands of the shell block before it).
    """

    project: Path
    ran: list[tuple[str, int, str]] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    excerpts: list[tuple[str, str]] = field(default_factory=list)


@pytest.fixture(scope="session")
def docs_shell(tmp_path_factory, tensorflow_processes) -> Shell:
    """A shell in an empty folder."""
    return Shell(tmp_path_factory.mktemp("project"), tensorflow_processes)


@pytest.fixture(scope="session")
def tutorial(docs_shell) -> Walk:
    """The tutorial, followed to its end."""
    walk = Walk(docs_shell.folder)
    shutil.copy(pages.DOCS / "ci" / "make_tagger.py", walk.project)
    shown = ""
    for block in pages.blocks("tutorial.md"):
        if block.kind == "shell":
            shown = ""
            for line in block.lines:
                if line.split()[0] not in PROGRAMS:
                    walk.skipped.append(line)
                    continue
                code, output = docs_shell.run(line)
                walk.ran.append((line, code, output))
                shown += output
        elif block.kind == "text":
            walk.excerpts.append((block.text, shown))
        elif block.file_name:
            (walk.project / block.file_name).write_text(block.text, encoding="utf-8")
        else:
            assert block.kind == "{literalinclude} ci/github-actions.yml" or block.kind.endswith("gitlab-ci.yml")
    return walk


@pytest.fixture(scope="session")
def docs_pages() -> ModuleType:
    """The module that reads the documentation's blocks."""
    return pages
