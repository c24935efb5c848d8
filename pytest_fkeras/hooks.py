"""Hooks that a project may implement in its conftest.py: for models that are no Keras models, and for reports.

The model is whatever the fkeras_model fixture returns. An implementation that does not know it returns None, and
the next one is asked; the last ones are fkeras.bit_space, fkeras.rank and fkeras' own engines.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from fkeras.engine import Run
    from fkeras.memory import BitSpace, Coverage
    from fkeras.metrics import Metric
    from fkeras.report.record import BudgetRecord
    from fkeras.sensitivity import Ranking
    from pytest_fkeras.selection import Method


@pytest.hookspec(firstresult=True)
def pytest_fkeras_bit_space(
    model: Any, layers: str | Sequence[str], biases: bool, coverage: Coverage
) -> BitSpace | None:
    """The stored bits of a model that are covered; `layers` and `biases` are of `coverage`."""


@pytest.hookspec(firstresult=True)
def pytest_fkeras_model_identity(model: Any) -> str | None:
    """A text that changes whenever the model, or code of yours that measures it, computes something else.

    Results are reused, and the gate calls them unchanged, while it stays the same. None, which is also the answer for
    Keras models in a project that implements pytest_fkeras_start_run, pytest_fkeras_rank or pytest_fkeras_bit_space:
    nothing is reused.
    """


@pytest.hookspec(firstresult=True)
def pytest_fkeras_start_run(
    model: Any, data: tuple[Any, Any], metrics: Mapping[str, Metric], space: BitSpace, engine: str
) -> Run | None:
    """An engine (the `fkeras.engine.Run` protocol) bound to a model, its space, the data and the metrics."""


@pytest.hookspec(firstresult=True)
def pytest_fkeras_rank(
    model: Any, data: tuple[Any, Any], method: Method, metric: Metric | None, seed: int, space: BitSpace
) -> Ranking | None:
    """The bits of a model, most sensitive first, by a method's name, a user's function, or (None) the default."""


@pytest.hookspec
def pytest_fkeras_report_lines(record: BudgetRecord) -> Sequence[str] | None:
    """Lines of your own about a budget: below the table in the terminal, and `lines` in the JSON report.

    Asked once per budget when the session is over, also for budgets that did not run; all implementations count.
    """
