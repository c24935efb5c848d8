"""Where a test's model comes from: what tells baselines of several models apart.

Not what the model is called, because Keras numbers the names of models that are built in one process, and not what
is in it, because retraining changes that.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

PROJECT = "."
"""The fixture of the project's root, or the ini file."""


def model_origin(item: pytest.Item) -> str:
    """The folder or module whose fkeras_model the test sees, and the parameters that this fixture depends on."""
    definition = _visible(item, "fkeras_model")
    where = getattr(definition, "baseid", None) or PROJECT
    callspec = getattr(item, "callspec", None)
    given: dict[str, Any] = {} if callspec is None else callspec.params
    parameters = [
        f"{name}={_text(name, callspec)}" for name in sorted(set(_closure(item, "fkeras_model"))) if name in given
    ]
    return f"{where}[{','.join(parameters)}]" if parameters else where


def _visible(item: pytest.Item, name: str) -> Any:
    definitions = item.session._fixturemanager.getfixturedefs(name, item)
    return definitions[-1] if definitions else None


def _closure(item: pytest.Item, name: str, seen: frozenset[str] = frozenset()) -> Iterator[str]:
    """The fixture and all that it depends on."""
    yield name
    definition = _visible(item, name)
    for needed in () if definition is None or name in seen else definition.argnames:
        yield from _closure(item, needed, seen | {name})


def _text(name: str, callspec: Any) -> str:
    """A parameter as text that is the same in every session: by value where that can be, else by its place."""
    value = callspec.params[name]
    if value is None or isinstance(value, str | int | float | bool):
        return str(value)
    return str(getattr(value, "__name__", None) or callspec.indices.get(name, "?"))
