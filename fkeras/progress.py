"""Progress of long work: a bar on a terminal, silence elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol, TextIO


class Advance(Protocol):
    """advance(n): n more are done; is_new=False: they were there before, and say nothing about the time left."""

    def __call__(self, n: int, is_new: bool = True) -> object: ...


Progress = Callable[[int, str, str], AbstractContextManager[Advance]]
"""progress(total, unit, what) -> context manager that gives an Advance."""


@contextmanager
def terminal_bar(total: int, unit: str, what: str) -> Iterator[Advance]:
    """A tqdm bar with the time left, shown on a terminal only."""
    with bar_on(sys.stderr, total, unit, what) as advance:
        yield advance


@contextmanager
def bar_on(terminal: TextIO, total: int, unit: str, what: str, delay: float = 0.0) -> Iterator[Advance]:
    """The same on this stream, if it is a terminal, of what takes more than `delay` seconds."""
    from tqdm import tqdm

    disable = not terminal.isatty()
    with tqdm(total=total, unit=unit, desc=what, file=terminal, disable=disable, leave=False, delay=delay) as bar:

        def advance(n: int, is_new: bool = True) -> None:
            if not is_new and not bar.disable:
                bar.initial += n
            bar.update(n)

        yield advance


@contextmanager
def silent(total: int, unit: str, what: str) -> Iterator[Advance]:
    """No bar."""
    yield lambda n, is_new=True: None
