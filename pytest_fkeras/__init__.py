"""The pytest plugin: fault budgets as tests.

Loading it imports the standard library and pytest only; fkeras itself comes in with the first test that uses it.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pytest_fkeras.marks import fault_budget
    from pytest_fkeras.selection import SECDED, TMR, Parity, mask, ranking

__all__ = ["SECDED", "TMR", "Parity", "fault_budget", "mask", "ranking"]


def __getattr__(name: str) -> Any:
    # The plugin is in this package, and a session without a budget has no use for these.
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    home = "marks" if name == "fault_budget" else "selection"
    return getattr(importlib.import_module(f"pytest_fkeras.{home}"), name)
