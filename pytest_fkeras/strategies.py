"""Hypothesis tests on the model under test: what `fkeras.strategies` draws from, and no deadline.

Nothing here imports hypothesis; where no test has, there is nothing to do.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from pytest_fkeras.session import state_of


class NotMadeYet(BaseException):
    """A draw needs a fixture that has not been made: making it there would count as a slow draw.

    No Exception, because hypothesis takes those for the test's own failures.
    """

    def __init__(self, fixture: str) -> None:
        super().__init__(fixture)
        self.fixture = fixture


@contextmanager
def offer_ranking(item: pytest.Item, ask: Callable[[str], Any] | None = None) -> Iterator[None]:
    """While the block lasts, strategies without a source draw from the fkeras_ranking and fault_space of `item`."""
    strategies = sys.modules.get("fkeras.strategies")
    request = getattr(item, "_request", None)
    if strategies is None or request is None:
        yield
        return
    ask = ask or request.getfixturevalue
    with strategies.source_of_draws(lambda: ask("fault_space"), lambda: ask("fkeras_ranking")):
        yield


def call_with_fixtures_made(item: pytest.Function) -> Generator[None, Any, Any]:
    """Around a test's call: where a draw of a @given test needs a fixture for the first time, the call is begun anew.

    A wrapper of pytest_pyfunc_call; any other test gets the fixture where it asks.
    """
    if not is_given(item):
        return (yield)
    made = state_of(item).fixtures

    def ask(fixture: str) -> Any:
        if fixture not in made:
            raise NotMadeYet(fixture)
        return item._request.getfixturevalue(fixture)

    missing = ""
    with offer_ranking(item, ask):
        try:
            return (yield)
        except NotMadeYet as error:
            missing = error.fixture
    item._request.getfixturevalue(missing)
    made.add(missing)
    return item.ihook.pytest_pyfunc_call(pyfuncitem=item)


def lift_deadline(item: pytest.Item) -> None:
    """Take hypothesis' stock deadline (200 ms) off a @given test on a model, whose first evaluation compiles.

    Only there: a test with @settings of its own keeps them, and so does a deadline that a profile states.
    """
    if not is_given(item) or "fkeras_model" not in getattr(item, "fixturenames", ()):
        return
    from hypothesis import settings
    from hypothesis.errors import InvalidArgument

    current = settings.default
    if current is None or current.deadline != settings.get_profile("default").deadline:
        return
    function: Any = getattr(item, "function", None)
    try:
        settings(deadline=None)(function)
    except InvalidArgument:
        return  # it has settings of its own


def register_profile(config: pytest.Config) -> None:
    """Make --hypothesis-profile=fkeras known; hypothesis is imported only where it is asked for."""
    if getattr(config.known_args_namespace, "hypothesis_profile", None) == "fkeras":
        import fkeras.strategies  # noqa: F401


def is_given(item: pytest.Item) -> bool:
    """Whether a test is one of hypothesis'."""
    if "hypothesis" not in sys.modules:
        return False
    from hypothesis import is_hypothesis_test

    return is_hypothesis_test(getattr(item, "obj", None))
