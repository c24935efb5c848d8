"""Progress of long work: a bar on a terminal, silence elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

Progress = Callable[[int, str, str], AbstractContextManager[Callable[[int], object]]]
"""progress(total, unit, what) -> context manager that gives advance(n)."""


@contextmanager
def terminal_bar(total: int, unit: str, what: str) -> Iterator[Callable[[int], object]]:
    """A tqdm bar with the time left, shown on a terminal only."""
    from tqdm import tqdm

    with tqdm(total=total, unit=unit, desc=what, disable=not sys.stderr.isatty(), leave=False) as bar:
        yield bar.update


@contextmanager
def silent(total: int, unit: str, what: str) -> Iterator[Callable[[int], object]]:
    """No bar."""
    yield lambda n: None
