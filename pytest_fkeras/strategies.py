"""Tells `fkeras.strategies` which model is under test while a test runs, if anything imported them."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest


@contextmanager
def offer_ranking(item: pytest.Item) -> Iterator[None]:
    """While the block lasts, strategies without a source draw from the fkeras_ranking and fault_space of `item`."""
    strategies = sys.modules.get("fkeras.strategies")
    request = getattr(item, "_request", None)
    if strategies is None or request is None:
        yield
        return
    with strategies.source_of_draws(
        lambda: request.getfixturevalue("fault_space"), lambda: request.getfixturevalue("fkeras_ranking")
    ):
        yield
