"""The trials of a campaign in a store."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fkeras.engine import Scores
from fkeras.faults import Draw, FaultSet
from fkeras.runs.stored import Claim, Entries, digest_of_faults, rows_with

MOST_RECALLED = 64
"""Stored trials are read in steps of this many, so that a campaign ends where it is decided."""


class StoredTrials:
    """The trials of one campaign in a store: read by number, measured ones added; to be used in a `with`.

    entries: tables of trial, hits, cancelled, residual, faults (digest of the faults that got through), value,
    undefined. A stored trial counts only when its faults are those that are drawn now.
    """

    def __init__(self, names: Sequence[str], entries: Entries, who: str = "") -> None:
        self._names, self._entries, self._who = names, entries, who
        self._stack = ExitStack()
        self._claim: Claim | None = None
        self._wrong: set[int] = set()
        self._read()

    def _read(self) -> None:
        self._tables = {name: self._entries[name].known() if name in self._entries else {} for name in self._names}
        keys = [set(table.get("trial", np.zeros(0, np.int64)).tolist()) for table in self._tables.values()]
        self._known: set[int] = set.intersection(*keys) - self._wrong if keys else set()

    def __contains__(self, trial: int) -> bool:
        return trial in self._known

    def __enter__(self) -> StoredTrials:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.__exit__(kind, error, trace)
        if self._claim is None:
            for entry in self._entries.values():
                entry.settle()

    def claim(self) -> bool:
        """Become the one that measures; True when other trials may be known now."""
        if self._claim is not None or not self._entries:
            return False
        self._claim = self._stack.enter_context(Claim(self._entries, self._who))
        before = self._known
        self._read()
        return self._known != before

    def recall(self, trials: Sequence[int], residuals: Sequence[FaultSet]) -> dict[str, Scores] | None:
        """The scores of known trials; None, and they are unknown, when the faults stored are not these."""
        digests = np.array([digest_of_faults(one) for one in residuals])
        scores = {}
        for name, table in self._tables.items():
            rows, _ = rows_with(table, "trial", np.array(trials))
            wrong = np.array(trials)[table["faults"][rows] != digests].tolist()
            if wrong:
                self._wrong |= {*wrong}
                self._known -= self._wrong
                self._entries[name].notice(
                    f"{self._entries[name].folder}: trials are left out, other faults than those drawn now were "
                    "measured in them; they are measured again"
                )
                return None
            scores[name] = Scores(table["value"][rows], table["undefined"][rows], np.zeros(len(trials), np.int64))
        return scores

    def add(
        self,
        trials: Sequence[int],
        draws: Sequence[Draw],
        residuals: Sequence[FaultSet],
        scores: Mapping[str, Scores],
    ) -> None:
        """Store measured trials."""
        if self._claim is None:
            return
        shared: dict[str, NDArray[Any]] = {
            "trial": np.array(trials, np.int64),
            "hits": np.array([draw.n_hits for draw in draws], np.int64),
            "cancelled": np.array([draw.n_cancelled for draw in draws], np.int64),
            "residual": np.array([len(faults) for faults in residuals], np.int64),
            "faults": np.array([digest_of_faults(faults) for faults in residuals]),
        }
        for name, writer in self._claim.writers.items():
            writer.add(**shared, value=scores[name].values, undefined=scores[name].undefined)
