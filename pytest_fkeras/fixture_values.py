"""What fixtures gave: model and data, as they were then. A verdict belongs to these, whatever a test does to them."""

from __future__ import annotations

import os
import sys
from collections.abc import Hashable
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from fkeras.errors import ChangedError
    from pytest_fkeras.session import FkerasSession


class FixtureValue:
    """A fixture's value with its digest at the moment it was given, None where it has none.

    It keeps the value alive, so no other object gets its identity meanwhile.
    """

    def __init__(self, fixture: str, value: Any, hooks: Any) -> None:
        self.fixture, self.value, self._hooks = fixture, value, hooks
        self.digest = _digest(value, fixture, hooks)

    @property
    def key(self) -> Hashable:
        """Equal for values that are one object in one state, and for equal paths."""
        return os.fspath(self.value) if _is_path(self.value) else (id(self.value), self.digest)

    def require_unchanged(self) -> None:
        """ChangedError, naming the test that runs now, when the value is another one now."""
        if _digest(self.value, self.fixture, self._hooks) != self.digest:
            raise changed(self.fixture)


def changed(fixture: str) -> ChangedError:
    """The error for a fixture's value that is no longer what it was."""
    from fkeras.errors import ChangedError

    test = os.environ.get("PYTEST_CURRENT_TEST", "").rpartition(" (")[0] or "this session"
    return ChangedError(
        f"what {fixture} gave has changed since, as noticed in {test}: this test, or one before it, wrote into it "
        f"({_WRITES[fixture]}), so nothing is measured on it or stored; {_REMEDIES[fixture]}"
    )


_WRITES = {"fkeras_model": "set_weights, assign, fit ...", "fkeras_data": "x *= 0, y[0] = 1 ..."}
_REMEDIES = {
    "fkeras_model": "let the test change a copy, as in fkeras.load_model(path)",
    "fkeras_data": "let the test change a copy, as in x = x.copy()",
}


def fixture_value(session: FkerasSession, fixture: str, value: Any) -> FixtureValue:
    """The value with the digest that it had when its fixture gave it, or, of others, now."""
    return session.fixture_values.get((fixture, id(value)), lambda: FixtureValue(fixture, value, session.config.hook))


def hand_out(fixturedef: pytest.FixtureDef[Any], session: FkerasSession, value: Any) -> Any:
    """What the fixtures that take a fixture's value get: data read-only, and known by their digest from now on."""
    fixture = fixturedef.argname
    if fixture not in _WRITES:
        return value
    if fixture == "fkeras_data":
        from fkeras.metrics.inputs import read_only

        value = read_only(value)
        _, *cached = fixturedef.cached_result or (None, None, None)
        fixturedef.cached_result = (value, *cached)
    session.fixture_values.forget((fixture, id(value)))
    fixture_value(session, fixture, value)
    return value


def _digest(value: Any, fixture: str, hooks: Any) -> str | None:
    """Of data, and of models: those of Keras have one, of others the project may say it. None for what has none, and
    for paths, which are read once."""
    if _is_path(value):
        return None
    if fixture == "fkeras_data":
        from fkeras.errors import IdentityError
        from fkeras.store import digest_of

        try:
            return digest_of(value)
        except (IdentityError, TypeError, ValueError):
            return None
    from fkeras.models.kinds import is_known, model_of

    if is_known(value):
        return model_of(value).state()
    # Elsewhere no model can be one of Keras'.
    if "tensorflow" in sys.modules and callable(getattr(value, "get_weights", None)):
        from fkeras.frontends.qkeras.identity import model_state

        return model_state(value)
    declared = hooks.pytest_fkeras_model_identity(model=value)
    return declared if isinstance(declared, str) else None


def _is_path(value: Any) -> bool:
    return isinstance(value, str | os.PathLike)
