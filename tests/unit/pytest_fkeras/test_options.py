"""Who wins: the command line over the mark over the ini file."""

from __future__ import annotations

import pytest

from pytest_fkeras.options import MAX_TRIALS, TRIALS_WITHOUT_LIMIT, Choices, Options

STATES_NOTHING = {"trials": None, "margin": None, "max_trials": None}


def test_seed_and_engine():
    nothing, ini = Options(), Options(ini=Choices(seed=1, engine="a"))
    both = Options(Choices(seed=3, engine="c"), Choices(seed=1, engine="a"))
    assert [options.seed(None) for options in (nothing, ini, both)] == [0, 1, 3]
    assert [options.seed(0) for options in (nothing, ini, both)] == [0, 0, 3]
    assert [options.engine(None) for options in (nothing, ini, both)] == ["auto", "a", "c"]
    assert [options.engine("b") for options in (nothing, ini, both)] == ["b", "b", "c"]


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


def test_choices_are_read_from_text():
    assert Choices.read({"seed": "5", "max_trials": "80", "engine": "reference"}, "--fkeras-{}") == Choices(
        5, None, 80, "reference"
    )
    assert Choices.read({}, "--fkeras-{}") == Choices()


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        ({"seed": "x"}, "--fkeras-seed is 'x'; allowed are whole numbers from 0 up"),
        ({"seed": "-1"}, "--fkeras-seed is '-1'"),
        ({"trials": "0"}, "--fkeras-trials is '0'; allowed are whole numbers from 1 up"),
        ({"max_trials": "1.5"}, "--fkeras-max-trials is '1.5'"),
        ({"trials": "5", "max_trials": "5"}, "keep one of them"),
    ],
)
def test_wrong_texts_are_named(texts, message):
    with pytest.raises(ValueError, match=message):
        Choices.read(texts, "--fkeras-{}")
