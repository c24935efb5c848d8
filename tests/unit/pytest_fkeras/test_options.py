"""Who wins: the command line over the mark over the ini file."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from fkeras.campaigns import budget
from pytest_fkeras.options import MAX_TRIALS, OPTIONS, TRIALS_WITHOUT_LIMIT, Choices, Options, is_on, said, stated

STATES_NOTHING = {"trials": None, "margin": None, "max_trials": None}


def test_seed_and_engine():
    nothing, ini = Options(), Options(ini=Choices(seed=1, engine="a"))
    both = Options(Choices(seed=3, engine="c"), Choices(seed=1, engine="a"))
    assert [options.seed(None) for options in (nothing, ini, both)] == [0, 1, 3]
    assert [options.seed(0) for options in (nothing, ini, both)] == [0, 0, 3]
    assert [options.engine(None) for options in (nothing, ini, both)] == ["auto", "a", "c"]
    assert [options.engine("b") for options in (nothing, ini, both)] == ["b", "b", "c"]


def test_numbers_of_trials_are_the_librarys():
    """The plugin, which must import nothing of it until it is used, says them in its help."""
    assert (MAX_TRIALS, TRIALS_WITHOUT_LIMIT) == (budget.MAX_TRIALS, budget.TRIALS_WITHOUT_LIMIT)


@pytest.mark.parametrize(
    ("options", "stated", "has_limits", "expected"),
    [
        (Options(), {}, True, ("until", MAX_TRIALS)),
        (Options(), {}, False, ("fixed", TRIALS_WITHOUT_LIMIT)),
        (Options(), {"trials": 7}, True, ("fixed", 7)),
        (Options(), {"margin": 0.1}, True, ("margin", 0.1)),
        (Options(), {"max_trials": 9}, True, ("until", 9)),
        (Options(), {"max_trials": 9}, False, ("fixed", TRIALS_WITHOUT_LIMIT)),
        (Options(ini=Choices(trials=5)), {}, True, ("fixed", 5)),
        (Options(ini=Choices(trials=5)), {"max_trials": 9}, True, ("until", 9)),
        (Options(ini=Choices(max_trials=5)), {"trials": 7}, True, ("fixed", 7)),
        (Options(ini=Choices(trials=5)), {}, False, ("fixed", 5)),
        (Options(Choices(trials=3)), {"trials": 7}, True, ("fixed", 3)),
        (Options(Choices(max_trials=3)), {"trials": 7}, True, ("until", 3)),
        (Options(Choices(max_trials=3)), {"trials": 7}, False, ("fixed", 7)),
    ],
)
def test_trials(options, stated, has_limits, expected):
    assert options.trials(**{**STATES_NOTHING, **stated}, has_limits=has_limits) == expected


def typed(texts: dict[str, str]) -> dict[str, Any]:
    return {name: said(config({name: text}, {}), name)[0] for name, text in texts.items()}


def test_choices_are_read_from_text():
    texts = {"seed": "5", "max_trials": "80", "engine": "framework"}
    assert Choices.read(typed(texts)) == Choices(5, None, 80, "framework")
    assert Choices.read({}) == Choices()


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        ({"seed": "x"}, "--fkeras-seed is 'x'; allowed are whole numbers from 0 up"),
        ({"seed": "-1"}, "--fkeras-seed is '-1'"),
        ({"seed": ""}, "--fkeras-seed is ''; allowed are whole numbers from 0 up"),
        ({"trials": "0"}, "--fkeras-trials is '0'; allowed are whole numbers from 1 up"),
        ({"max_trials": "1.5"}, "--fkeras-max-trials is '1.5'"),
        ({"trials": "5", "max_trials": "5"}, "keep one of them"),
    ],
)
def test_wrong_texts_are_named(texts, message):
    with pytest.raises(pytest.UsageError, match=message):
        Choices.read(typed(texts))


def config(command_line: dict[str, Any], ini: dict[str, Any]) -> Any:
    """What pytest would know: the ini file lies in /project, and pytest was started in /start."""
    return SimpleNamespace(
        option=SimpleNamespace(**{OPTIONS[name].key: value for name, value in command_line.items()}),
        getini=lambda key: ini.get(key.removeprefix("fkeras_")),
        invocation_params=SimpleNamespace(dir=Path("/start")),
        inipath=Path("/project/pytest.ini"),
    )


@pytest.mark.parametrize(
    "name", [name for name, option in OPTIONS.items() if option.metavar in ("PATH", "DIR", "DIR|off")]
)
def test_paths_start_where_they_are_stated(name, monkeypatch):
    monkeypatch.setenv("HOME", "/home/me")
    assert stated(config({}, {}), name) is None
    assert stated(config({}, {name: "a"}), name).path == Path("/project/a")
    assert stated(config({}, {name: "~/a"}), name).path == Path("/home/me/a")
    if OPTIONS[name].only != "ini":
        assert stated(config({name: "b"}, {name: "a"}), name).path == Path("/start/b")


@pytest.mark.parametrize("name", ["json", "html", "baseline"])
def test_an_option_that_names_nothing_says_what_to_write(name):
    what = "folder" if name == "baseline" else "file"
    example = "baselines" if name == "baseline" else f"report.{name}"
    with pytest.raises(pytest.UsageError, match=f"^--fkeras-{name} names no {what}; write --fkeras-{name}={example}$"):
        stated(config({name: ""}, {name: "a"}), name)


@pytest.mark.parametrize(
    ("command_line", "ini", "default", "expected"),
    [
        ({}, {}, False, False),
        ({}, {}, True, True),
        ({}, {"junit": False}, True, False),
        ({}, {"junit": True}, False, True),
        ({"junit": True}, {"junit": False}, False, True),
    ],
)
def test_a_switch(command_line, ini, default, expected):
    assert is_on(config(command_line, ini), "junit", default) is expected
