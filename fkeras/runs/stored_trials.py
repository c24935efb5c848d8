"""The trials of a campaign in a store."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fkeras.engine import Scores
from fkeras.faults import Draw, FaultSet
from fkeras.runs.stored import Claim, Entries, Settled, digest_of_faults, rows_with

MOST_RECALLED = 64
"""Stored trials are read in steps of this many, so that a campaign ends where it is decided."""


@dataclass(frozen=True, slots=True, eq=False)
class DrawnTrials:
    """Trials of a campaign: their numbers among all, what was drawn in each, and what the network computes with."""

    numbers: Sequence[int]
    draws: Sequence[Draw]
    residuals: Sequence[FaultSet]

    @property
    def counts(self) -> NDArray[np.int64]:
        """Upsets drawn, those that undid one another, and faulty bits left after protection; (trials, 3)."""
        pairs = zip(self.draws, self.residuals, strict=True)
        return np.array([(draw.n_hits, draw.n_cancelled, len(residual)) for draw, residual in pairs], np.int64)

    @property
    def digests(self) -> NDArray[np.str_]:
        """Digests of what the network computes with, (trials,)."""
        return np.array([digest_of_faults(residual) for residual in self.residuals])


class StoredTrials(Settled):
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

    def claim(self) -> None:
        """Become the one that measures, and read what others have measured up to now; again, it does nothing."""
        if self._claim is None and self._entries:
            self._claim = self._stack.enter_context(Claim(self._entries, self._who))
            self._read()

    def recall(self, trials: DrawnTrials) -> dict[str, Scores] | None:
        """The scores of known trials; None, and they are unknown, when the faults stored are not these."""
        numbers, digests, scores = np.array(trials.numbers), trials.digests, {}
        for name, table in self._tables.items():
            rows, _ = rows_with(table, "trial", numbers)
            wrong = numbers[table["faults"][rows] != digests].tolist()
            if wrong:
                self._wrong |= {*wrong}
                self._known -= self._wrong
                self._entries[name].notice(
                    f"{self._entries[name].folder}: trials are left out, other faults than those drawn now were "
                    "measured in them; they are measured again"
                )
                return None
            scores[name] = Scores(table["value"][rows], table["undefined"][rows], np.zeros(numbers.size, np.int64))
        return scores

    def add(self, trials: DrawnTrials, scores: Mapping[str, Scores]) -> None:
        """Store measured trials."""
        if self._claim is None:
            return
        hits, cancelled, residual = trials.counts.T
        shared = {"trial": np.array(trials.numbers, np.int64), "hits": hits, "cancelled": cancelled}
        shared |= {"residual": residual, "faults": trials.digests}
        for name, writer in self._claim.writers.items():
            writer.add(**shared, value=scores[name].values, undefined=scores[name].undefined)
