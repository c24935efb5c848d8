"""Progress of long work: a bar on a terminal, silence elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol


class Advance(Protocol):
    """advance(n): n more are done; is_new=False: they were there before, and say nothing about the time left."""

    def __call__(self, n: int, is_new: bool = True) -> object: ...


Progress = Callable[[int, str, str], AbstractContextManager[Advance]]
"""progress(total, unit, what) -> context manager that gives an Advance."""


@contextmanager
def terminal_bar(total: int, unit: str, what: str) -> Iterator[Advance]:
    """A tqdm bar with the time left, shown on a terminal only."""
    from tqdm import tqdm

    with tqdm(total=total, unit=unit, desc=what, disable=not sys.stderr.isatty(), leave=False) as bar:

        def advance(n: int, is_new: bool = True) -> None:
            if not is_new and not bar.disable:
                bar.initial += n
            bar.update(n)

        yield advance


@contextmanager
def silent(total: int, unit: str, what: str) -> Iterator[Advance]:
    """No bar."""
    yield lambda n, is_new=True: None
