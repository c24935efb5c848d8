"""The tutorial, followed once; its tests and those of the CI files look at what came out."""

from __future__ import annotations

import importlib.util
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType

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
shell = _neighbour("shell")


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
def docs_shell(tmp_path_factory) -> Iterator[object]:
    """A shell in an empty folder."""
    with shell.Shell(tmp_path_factory.mktemp("project")) as made:
        yield made


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
                if line.split()[0] not in shell.PROGRAMS:
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
