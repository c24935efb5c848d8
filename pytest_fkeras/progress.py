"""Progress inside pytest: a bar on the terminal that the user looks at, whatever captures a test's output."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING, Any, TextIO, cast

import pytest

if TYPE_CHECKING:
    from fkeras.progress import Advance, Progress

DELAY_SECONDS = 5.0
"""Work that takes less is not worth a bar."""


class UncapturedStderr:
    """The process' own standard error: capturing is suspended for as long as something is written."""

    encoding = "utf-8"

    def __init__(self, capture: Any) -> None:
        self._capture = capture

    def _suspended(self) -> AbstractContextManager[Any]:
        if self._capture is None:
            return nullcontext()
        return cast("AbstractContextManager[Any]", self._capture.global_and_fixture_disabled())

    def isatty(self) -> bool:
        """Whether somebody looks at it; no worker of pytest-xdist has a terminal."""
        with self._suspended():
            return sys.stderr.isatty()

    def write(self, text: str) -> int:
        """Write and show at once."""
        with self._suspended():
            n = sys.stderr.write(text)
            sys.stderr.flush()
        return n

    def flush(self) -> None:
        """Everything is shown already."""


def progress_in(config: pytest.Config, delay: float = DELAY_SECONDS) -> Progress:
    """Bars for what a session measures."""

    @contextmanager
    def progress(total: int, unit: str, what: str) -> Iterator[Advance]:
        from fkeras.progress import bar_on

        stream = cast(TextIO, UncapturedStderr(config.pluginmanager.getplugin("capturemanager")))
        with bar_on(stream, total, unit, what, delay) as advance:
            yield advance

    return progress
