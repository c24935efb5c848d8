"""Nothing that a user can type is missing from the documentation, and nothing in it is misspelt."""

from __future__ import annotations

import ast
import importlib
import inspect
import re

import pytest
from _pytest.fixtures import FixtureFunctionDefinition as FixtureDefinition

import fkeras
import pytest_fkeras
import pytest_fkeras.fixtures
from fkeras.cli import COMMANDS, parser
from pytest_fkeras import hooks, marks
from pytest_fkeras.options import INI_KEYS, OPTIONS, Option

PAGES = ("README.md", "docs/*.md")


@pytest.fixture(scope="module")
def texts(docs_pages) -> dict[str, str]:
    """Every page by its name."""
    root = docs_pages.DOCS.parent
    paths = [path for pattern in PAGES for path in root.glob(pattern)]
    return {path.name: path.read_text(encoding="utf-8") for path in paths}


def test_the_table_of_options_is_the_one_that_pytest_gets(pytestconfig, texts):
    group = next(one for one in pytestconfig._parser._groups if one.name == "fkeras")
    flags = {name for option in group.options for name in option.names()}
    keys = {name for name in pytestconfig._parser._inidict if name.startswith("fkeras_")}
    assert flags == {option.flag for option in OPTIONS.values() if option.only != "ini"}
    assert keys == set(INI_KEYS)
    rows = "\n".join(map(_row, OPTIONS.values()))
    assert rows in texts["reference.md"], f"write into docs/reference.md\n{rows}"
    mentioned = {name for text in texts.values() for name in re.findall(r"--fkeras-[a-z-]+[a-z]", text)}
    assert mentioned - flags == set()


def test_every_keyword_of_the_mark(texts):
    keywords = set(marks.keywords())
    assert [name for name in sorted(keywords) if f"`{name}=" not in texts["reference.md"]] == []


def test_every_fixture_and_hook(texts):
    fixtures = [name for name, value in vars(pytest_fkeras.fixtures).items() if isinstance(value, FixtureDefinition)]
    assert "fkeras_campaign" in fixtures
    names = [*fixtures, *(name for name, _ in inspect.getmembers(hooks, inspect.isfunction))]
    assert "pytest_fkeras_start_run" in names
    assert [name for name in names if f"`{name}`" not in texts["reference.md"]] == []


def test_every_command_and_exit_code(texts):
    from fkeras.cli import session

    assert [name for name in COMMANDS if not re.search(rf"`(fkeras )?{name}\b", texts["cli.md"])] == []
    codes = {
        session.FINE,
        session.FAILED,
        session.MISUSED,
        session.UNDECIDED,
        session.OUR_MISTAKE,
        session.INTERRUPTED,
        session.TERMINATED,
    }
    section = texts["cli.md"].partition("## Exit codes")[2]
    assert [code for code in sorted(codes) if not re.search(rf"\b{code}\b", section)] == []


def test_commands_in_the_pages_are_understood(texts, docs_pages):
    lines = [
        line.partition("  #")[0].replace("model.h5 ...", "model.h5")
        for page in ("tutorial.md", "how-to.md")
        for block in docs_pages.blocks(page)
        if block.kind == "shell"
        for line in block.lines
        if line.startswith("fkeras ") and "..." not in line
    ]
    assert len(lines) > 5
    for line in lines:
        parser().parse_args(line.split()[1:])


def test_public_names_are_in_the_library_page(texts):
    modules = re.findall(r"automodule:: (\S+)", texts["api.md"])
    assert {"fkeras", "fkeras.metrics", "fkeras.report", "pytest_fkeras", "pytest_fkeras.hooks"} <= set(modules)


def test_names_in_the_pages_exist(texts):
    named = {
        name
        for text in texts.values()
        for name in re.findall(r"(?<![\w./@-])((?:fkeras|pytest_fkeras)(?:\.\w+)+)\b(?![/-])", text)
        if not re.search(r"\.(?:md|py|h5|json|yml)$", name)
    }
    assert {"fkeras.campaign", "fkeras.metrics.emd", "fkeras.BudgetExceeded"} <= named
    assert [name for name in sorted(named) if not _exists(name)] == []


def test_python_in_the_pages_is_python_and_its_budgets_are_budgets(texts, docs_pages):
    seen = 0
    for page in texts:
        if page == "README.md":
            continue
        for block in docs_pages.blocks(page):
            if block.kind != "python":
                continue
            for call in _budgets(_parsed(block.text)):
                stated = {keyword.arg for keyword in call.keywords} - set(marks.keywords())
                assert [name for name in stated if not re.match("(max|min)_", str(name))] == [], block.text
                seen += 1
    assert seen > 20


def _row(option: Option) -> str:
    """A line of the reference: `--fkeras-NAME=VALUE`, the ini key, the text."""
    typed = f"{option.flag}={option.metavar}" if option.metavar else option.flag
    cells = ["" if option.only == "ini" else f"`{typed}`", "" if option.only == "command line" else f"`{option.key}`"]
    return " | ".join(["", *(cell.replace("|", "\\|") for cell in cells), option.text, ""]).strip()


def _exists(name: str) -> bool:
    """Whether a dotted name is a module, or leads from one to an attribute; a parameter counts as one."""
    parts = name.split(".")
    for length in range(len(parts), 0, -1):
        try:
            found = importlib.import_module(".".join(parts[:length]))
        except ImportError:
            continue
        for part in parts[length:]:
            if not hasattr(found, part):
                return False
            found = getattr(found, part)
        return True
    return False


def _parsed(text: str) -> ast.Module:
    """The syntax of a block; decorators that stand alone get a function of their own."""
    alone = re.compile(
        r"^(@fault_budget\((?:[^\n]*\)|\n(?:    [^\n]*\n)+\)))(?: *#[^\n]*)?$(?!\n(?:@|def|async)(?!fault_budget))",
        re.MULTILINE,
    )
    return ast.parse(alone.sub(r"\1\ndef test(): ...\n", text))


def _budgets(tree: ast.Module) -> list[ast.Call]:
    return [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == pytest_fkeras.fault_budget.__name__
    ]


def test_the_version_is_known():
    assert re.fullmatch(r"\d+\.\d+\.\d+", fkeras.__version__)


def explained(thing) -> set[str]:
    """The arguments that a docstring has an entry for."""
    section = (inspect.getdoc(thing) or "").partition("Arguments:\n")[2]
    entries = re.findall(r"^    (\w+(?:, \w+)*): \S", section, re.MULTILINE)
    return {name for entry in entries for name in entry.split(", ")}


def test_every_argument_of_a_public_name_has_an_entry():
    public = [thing for name in fkeras.__all__ if callable(thing := getattr(fkeras, name))]
    things = [thing for thing in public if not (inspect.isclass(thing) and issubclass(thing, Exception))]
    assert fkeras.campaign in things
    assert fkeras.Ranking in things
    missing = {
        thing.__name__: sorted(inspect.signature(thing).parameters.keys() - explained(thing))
        for thing in [*things, pytest_fkeras.fault_budget]
    }
    assert {name: arguments for name, arguments in missing.items() if arguments} == {}


def test_every_room_of_the_house_is_in_its_table(docs_pages):
    root = docs_pages.DOCS.parent
    table = (root / "CONTRIBUTING.md").read_text().partition("| folder |")[2].partition("\n\n")[0]
    rooms = [path for path in (root / "fkeras").iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()]
    names = {path.name for path in rooms} - {"__init__.py", "frontends", "engines"}
    assert {"study.py", "runs"} <= names
    assert {name for name in names if not re.search(rf"`(fkeras/)?{re.escape(name)}`", table)} == set()
