"""Several models in one session.

pytest keeps the value of a session fixture even where a fixture that it depends on is overridden (by another folder's
conftest.py, say), so `fault_space` of one model would be handed to the tests of another. Whenever the tests turn to
other definitions of fkeras_model, fkeras_data or fkeras_metrics, what was derived from them is therefore forgotten;
the expensive parts are kept by the identity of the fixtures' values, and found again.
"""

from __future__ import annotations

from typing import Any

import pytest

from pytest_fkeras.fixtures import SOURCES
from pytest_fkeras.origin import visible

_seen = pytest.StashKey[tuple[Any, ...]]()


def forget_overridden(item: pytest.Item) -> None:
    """Finish the derived session fixtures if `item` sees other sources than the test before it."""
    sources = tuple(visible(item, name) for name in SOURCES)
    derived = visible(item, "resilience")
    if derived is None or not hasattr(item, "_request"):
        return
    if item.session.stash.setdefault(_seen, sources) != sources:
        item.session.stash[_seen] = sources
        derived.finish(item._request)
