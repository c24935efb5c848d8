"""The pytest plugin: fault budgets as tests.

Loading it imports the standard library and pytest only; fkeras itself comes in with the first test that uses it.
"""

from __future__ import annotations

from pytest_fkeras.marks import fault_budget
from pytest_fkeras.selection import SECDED, TMR, Parity, mask, ranking

__all__ = ["SECDED", "TMR", "Parity", "fault_budget", "mask", "ranking"]
