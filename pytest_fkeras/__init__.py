"""The pytest plugin: fault budgets as tests.

Loading it imports the standard library and pytest only; fkeras itself comes in with the first test that uses it.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fkeras.faults import KnownWords, RangeCheck, Recoded, StuckAt, Transient
    from pytest_fkeras.marks import fault_budget
    from pytest_fkeras.selection import SECDED, TMR, BlindScrubbing, Parity, mask, ranking

_HOMES = {
    **dict.fromkeys(("KnownWords", "RangeCheck", "Recoded", "StuckAt", "Transient"), "fkeras.faults"),
    **dict.fromkeys(("SECDED", "TMR", "BlindScrubbing", "Parity", "mask", "ranking"), "pytest_fkeras.selection"),
    "fault_budget": "pytest_fkeras.marks",
}
__all__ = [
    "SECDED",
    "TMR",
    "BlindScrubbing",
    "KnownWords",
    "Parity",
    "RangeCheck",
    "Recoded",
    "StuckAt",
    "Transient",
    "fault_budget",
    "mask",
    "ranking",
]


def __getattr__(name: str) -> Any:
    # The plugin is in this package, and a session without a budget has no use for these.
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)
