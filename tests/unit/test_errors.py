"""Errors carry the arguments that they speak of, and every front spells these its own way."""

from __future__ import annotations

import ast
import pickle
import re
from pathlib import Path

import pytest

import fkeras
from fkeras import cli
from fkeras.cli.session import spelled
from fkeras.errors import Argument, InputError, ModelError, Name

MENTIONS = {
    Argument("trusted", True): ("trusted=True", "--trust"),
    Argument("metric"): ("metric=", "--metric"),
    Argument("layers", "!lstm"): ("layers='!lstm'", "--layers '!lstm'"),
    Argument("weights", "file.h5"): ("weights='file.h5'", "--weights 'file.h5'"),
    Argument("data", Name("(x, y)")): ("data=(x, y)", "--data FILE"),
    Argument("under", Name("fkeras.TMR")): ("under=fkeras.TMR", "--under tmr"),
    Argument("exposure_seconds", 14400): ("exposure_seconds=14400", "--exposure-seconds 14400"),
    Argument("n_faults", -1, " is "): ("n_faults is -1", "--faults is -1"),
    Argument("max_failure_rate", 1, " is "): ("max_failure_rate is 1", "--max-failure-rate is 1"),
}


@pytest.mark.parametrize("argument", MENTIONS, ids=str)
def test_a_front_spells_an_argument_its_own_way(argument):
    error = InputError("bad; give ", argument, ", or not")
    said = str(error), error.said(spelled)
    assert said == tuple(f"bad; give {text}, or not" for text in MENTIONS[argument])


def test_a_list_of_layers_is_an_option_repeated():
    error = InputError("exclude them with ", Argument("layers", ["!lstm", "!gru"]))
    assert str(error) == "exclude them with layers=['!lstm', '!gru']"
    assert error.said(spelled) == "exclude them with --layers '!lstm' --layers '!gru'"


def test_what_only_looks_like_an_argument_is_left_alone():
    error = ModelError("trials=3.h5: layer 'bits=2' has no store=x; pass ", Argument("trusted", True))
    assert error.said(spelled) == "trials=3.h5: layer 'bits=2' has no store=x; pass --trust"


def test_arguments_survive_more_words_in_front_and_another_process():
    error = pickle.loads(pickle.dumps(ModelError("is damaged; give ", Argument("weights")).within("m.h5: ")))
    assert type(error) is ModelError
    assert (str(error), error.said(spelled)) == ("m.h5: is damaged; give weights=", "m.h5: is damaged; give --weights")


def test_no_part_of_a_message_has_control_characters():
    assert "\x1b" not in InputError("a\x1b[1m", Argument("layers", "\x1b")).said(spelled)


OWN = {
    "adaptive.py": {"share"},
    "randomness.py": {"ber"},
    "sample_size.py": {"confidence"},
    "study.py": {"faults", "shard", "trials"},
}
"""Arguments, by module, of functions and layers that the command line does not have."""


def test_no_message_speaks_of_an_option_in_one_front_s_words():
    package = Path(fkeras.__file__).parent
    options = {action.dest for command in _commands() for action in command._actions}
    options |= {"limits", "trusted", "n_faults"}
    mention = re.compile(rf"(?<![\w.(-])({'|'.join(options)})=")
    said = [
        f"{path.name}:{text.lineno}: {text.value}"
        for path in sorted(package.rglob("*.py"))
        if path.parent.name != "cli"
        for call in ast.walk(ast.parse(path.read_text()))
        if isinstance(call, ast.Call) and ast.unparse(call.func).endswith(("Error", "Refusal"))
        for text in ast.walk(call)
        if isinstance(text, ast.Constant) and isinstance(text.value, str)
        for found in mention.finditer(text.value)
        if found[1] not in OWN.get(path.name, ()) and "fkeras." not in text.value  # Python is Python in every front
    ]
    assert said == []


def _commands():
    (commands,) = [action.choices.values() for action in cli.parser()._actions if isinstance(action.choices, dict)]
    return commands
