"""Budgets at collection: what a mark states is checked where it stands, before anything runs."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

import pytest

from pytest_fkeras.session import state_of

if TYPE_CHECKING:
    from pytest_fkeras.marks import Budget

NAME = "fault_budget"
FIXTURE = "fkeras_campaign"
GUARD = "fault_budget_needs_the_plugin_fkeras"
"""The condition of a skipif mark that never skips: a name that the plugin gives pytest, and an error without it."""


class BudgetError(ValueError):
    """A fault_budget that states nothing sensible."""


def request_campaign(collector: pytest.Collector, test: object) -> None:
    """Make a test that carries a raw mark request the campaign, as `fault_budget` does."""
    if not inspect.isfunction(test):
        return
    marks = [*collector.iter_markers(), *getattr(test, "pytestmark", ())]
    is_budget = any(mark.name == NAME or _is_guard(mark) for mark in marks)
    if is_budget and not any(mark.name == "usefixtures" and FIXTURE in mark.args for mark in marks):
        pytest.mark.usefixtures(FIXTURE)(test)


def budget_of(item: pytest.Item) -> Budget | None:
    """The budget of a test, None if it has none. BudgetError, with file and line, for a wrong one."""
    state = state_of(item)
    if state.budget is not None:
        return state.budget
    marks = [mark for mark in item.iter_markers() if mark.name == NAME or _is_guard(mark)]
    if not marks:
        return None
    if _is_guard(marks[0]):
        item.add_marker(getattr(pytest.mark, NAME)(**marks[0].kwargs))
    from pytest_fkeras.marks import parse_budget

    try:
        if len(marks) > 1:
            raise BudgetError(
                f"{NAME}: a test has one budget, this one has {len(marks)} (a class's or module's mark "
                "counts too); write two tests"
            )
        budget = parse_budget(() if _is_guard(marks[0]) else marks[0].args, marks[0].kwargs)
        if budget.requirement is None and not budget.golden and FIXTURE not in _parameters(item):
            raise BudgetError(
                f"{NAME}: this budget could not fail: it has no limit, and the test reads no result; add "
                f"a limit such as max_emd=1.25, or take {FIXTURE} as an argument and assert on it"
            )
    except BudgetError as error:
        raise BudgetError(f"{_where(item)}: {error}") from None
    state.budget = budget
    return budget


def _is_guard(mark: pytest.Mark) -> bool:
    """Whether a mark is what `fault_budget` gives where it decorates no test."""
    return mark.name == "skipif" and mark.args == (GUARD,)


def _parameters(item: pytest.Item) -> set[str]:
    function: Any = getattr(item, "obj", None)
    return set(inspect.signature(function).parameters) if callable(function) else set()


def _where(item: pytest.Item) -> str:
    path, line, name = item.reportinfo()
    return f"{path}:{'?' if line is None else line + 1}: {name}"
