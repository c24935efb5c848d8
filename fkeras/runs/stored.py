"""Measuring with a store: what is there is read, what is missing is measured and written as it is measured."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fkeras.engine import Run, Scores
from fkeras.faults import FaultSet
from fkeras.progress import Advance
from fkeras.store import Entry, Table, Writer
from fkeras.store.parts import united

Entries = Mapping[str, Entry]
"""Results in a store by metric; a metric without one is measured and not stored."""

DIGEST_LENGTH = 32


class Settled:
    """What writes into entries in a `with`, and settles them where that ends well."""

    _entries: Entries
    _stack: ExitStack

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.__exit__(kind, error, trace)
        if error is None:
            for entry in self._entries.values():
                entry.settle()


class Claim(Settled):
    """The right to measure what is missing from some entries: writers for them, and nobody else at it meanwhile."""

    def __init__(self, entries: Entries, who: str = "") -> None:
        self._entries, self._who = entries, who
        self._stack = ExitStack()
        self.writers: dict[str, Writer] = {}

    def __enter__(self) -> Claim:
        # One metric under two names is one result: to be locked, and written, once.
        names: dict[str, str] = {}
        for name, entry in self._entries.items():
            names.setdefault(entry.identity.digest, name)
        # In one order everywhere: two processes that want the same two entries must not wait for one another.
        ordered = [self._entries[names[digest]] for digest in sorted(names)]
        with self._stack:
            for entry in ordered:
                self._stack.enter_context(entry.alone(self._who))
            for entry in ordered:
                self.writers[names[entry.identity.digest]] = self._stack.enter_context(entry.writer())
            self._stack = self._stack.pop_all()
        return self


def single_flips(
    run: Run,
    names: Sequence[str],
    bits: NDArray[np.int64],
    entries: Entries,
    advance: Advance,
    who: str = "",
) -> tuple[dict[str, Scores], int]:
    """Each of `bits` flipped alone: the scores of the metrics `names`, and how many bits were stored.

    entries: tables of bit, value, undefined, harmed.
    """
    scores, stored = recalled(names, tables_of(entries), "bit", bits)
    if stored.all():
        for entry in entries.values():
            entry.settle()
        advance(bits.size, is_new=False)
        return scores, bits.size
    with Claim(entries, who) as claim:
        if entries:
            scores, stored = recalled(names, tables_of(entries), "bit", bits)
        missing = np.flatnonzero(~stored)
        advance(bits.size - missing.size, is_new=False)
        # Without anything missing, an engine need not start.
        for positions in run.batches(bits[missing]) if missing.size else ():
            places = missing[positions]
            measured = run.flips(bits[places])
            for name in names:
                part = measured[name]
                assert not np.isnan(part.values).any(), "no score is NaN"
                scores[name].fill(places, part)
                if name in claim.writers:
                    claim.writers[name].add(
                        bit=bits[places], value=part.values, undefined=part.undefined, harmed=part.harmed
                    )
            advance(len(places))
    return scores, bits.size - missing.size


def stored_answers(
    entry: Entry, bits: NDArray[np.int64], ask: Callable[[NDArray[np.int64]], NDArray[np.bool_]]
) -> NDArray[np.bool_]:
    """Whether each of `bits` is sensitive, (n,) bool: from a table of bit, sensitive, else by asking."""
    table = entry.known()
    if not rows_with(table, "bit", bits)[1].all():
        with entry.alone():
            table = entry.known()
            missing = np.unique(bits[~rows_with(table, "bit", bits)[1]])
            if missing.size:
                answers = {"bit": missing, "sensitive": ask(missing)}
                entry.append(answers)
                entry.finish()
                table = united([answers, table] if table else [answers])[0]
    return table["sensitive"][rows_with(table, "bit", bits)[0]] if bits.size else bits > 0


def tables_of(entries: Entries) -> dict[str, Table]:
    """What is stored of each metric now."""
    return {name: entry.known() for name, entry in entries.items()}


def recalled(
    names: Sequence[str], tables: Mapping[str, Table], key: str, wanted: NDArray[Any]
) -> tuple[dict[str, Scores], NDArray[np.bool_]]:
    """The scores stored under the keys `wanted`, by metric, and which of them are stored for all metrics."""
    scores = {name: Scores.zeros(wanted.size) for name in names}
    stored = np.ones(wanted.size, np.bool_)
    for name, score in scores.items():
        table = tables.get(name, {})
        rows, present = rows_with(table, key, wanted)
        places = np.flatnonzero(present)
        if places.size:
            rows = rows[places]
            score.fill(places, Scores(table["value"][rows], table["undefined"][rows], table["harmed"][rows]))
        stored &= present
    return scores, stored


def rows_with(table: Table, key: str, wanted: NDArray[Any]) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Where each wanted key stands in a table, and whether it is there."""
    if not table or not wanted.size:
        return np.zeros(wanted.size, np.int64), np.zeros(wanted.size, np.bool_)
    keys = table[key]
    rows = np.minimum(np.searchsorted(keys, wanted), keys.size - 1)
    return rows, keys[rows] == wanted


def digest_of_faults(faults: FaultSet) -> str:
    """What a stored trial says of its faults."""
    return faults.digest[:DIGEST_LENGTH]
