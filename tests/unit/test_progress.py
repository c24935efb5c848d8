"""The bar counts what was there before, and estimates from what is new."""

from __future__ import annotations

import io
import sys

from fkeras.progress import silent, terminal_bar


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_what_was_there_before_says_nothing_about_the_time_left(monkeypatch) -> None:
    made = []
    import tqdm

    class Bar(tqdm.tqdm):
        def __init__(self, *arguments, **keywords):
            super().__init__(*arguments, **keywords)
            made.append(self)

    monkeypatch.setattr("tqdm.tqdm", Bar)
    monkeypatch.setattr(sys, "stderr", Terminal())
    with terminal_bar(100, "bit", "oracle") as advance:
        advance(60, is_new=False)
        advance(10)
        (bar,) = made
        assert (bar.n, bar.initial) == (70, 60)
    with silent(100, "bit", "oracle") as advance:
        advance(60, is_new=False)


def test_nothing_is_drawn_where_there_is_no_terminal(monkeypatch) -> None:
    written = io.StringIO()
    monkeypatch.setattr(sys, "stderr", written)
    with terminal_bar(100, "bit", "oracle") as advance:
        advance(60, is_new=False)
        advance(10)
    assert written.getvalue() == ""
