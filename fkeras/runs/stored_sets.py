"""Fault sets in a store, each by itself: for searches, which choose what they measure next by what they have seen."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack

import numpy as np

from fkeras.engine import Run, RunAround, Scores
from fkeras.faults import FaultSet
from fkeras.runs.stored import Entries, Settled, digest_of_faults, recalled, tables_of
from fkeras.store import Writer


class StoredSets(Settled, RunAround):
    """Gives what `run` gives, a fault set from the store where it is there; to be used in a `with`.

    entries: tables of faults (digest of a fault set), value, undefined, harmed, by metric. Nobody waits for anybody: a
    search over several models would hold one while it waits for another, and two searches rarely want the same sets.
    """

    def __init__(self, run: Run, entries: Entries) -> None:
        super().__init__(run)
        self._entries, self._stack = entries, ExitStack()
        self._tables = tables_of(entries)
        self._writers: dict[str, Writer] = {}

    def __enter__(self) -> StoredSets:
        self._writers = {name: self._stack.enter_context(entry.writer()) for name, entry in self._entries.items()}
        return self

    def fault_sets(self, faults: Sequence[FaultSet]) -> dict[str, Scores]:
        digests = np.array([digest_of_faults(fault_set) for fault_set in faults])
        scores, stored = recalled(list(self.metrics), self._tables, "faults", digests)
        missing = np.flatnonzero(~stored)
        if missing.size:
            measured = self._run.fault_sets([faults[i] for i in missing.tolist()])
            for name, score in scores.items():
                part = measured[name]
                score.fill(missing, part)
                if name in self._writers:
                    self._writers[name].add(
                        faults=digests[missing], value=part.values, undefined=part.undefined, harmed=part.harmed
                    )
        return scores
