"""A run that measures no fault set twice, and at most so many of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fkeras.engine import Run, RunAround, Scores
from fkeras.errors import FkerasError
from fkeras.faults import FaultSet
from fkeras.recent import Recent

KEPT = 100_000
"""Scores of this many fault sets are kept, the most recently used ones."""

Row = tuple[tuple[float, int, int], ...]


class OutOfEvaluations(FkerasError):
    """A search has used up the evaluations that it may cost."""


class RememberingRun(RunAround):
    """Gives what `run` gives, from memory where it can.

    most: how many fault sets may be measured anew; OutOfEvaluations is raised before a call that needs more.
    `evaluations` counts them.
    """

    def __init__(self, run: Run, most: int | None = None) -> None:
        super().__init__(run)
        self._most, self.evaluations = most, 0
        self._rows: Recent[Row] = Recent(KEPT)
        self._rows[FaultSet.EMPTY] = tuple((golden.value, golden.undefined, 0) for golden in run.golden.values())

    @property
    def left(self) -> int | None:
        """How many fault sets may still be measured; None is any number."""
        return None if self._most is None else self._most - self.evaluations

    def fault_sets(self, faults: Sequence[FaultSet]) -> dict[str, Scores]:
        """Each fault set injected alone, new ones in batches as the run takes them best."""
        new = [fault_set for fault_set in dict.fromkeys(faults) if fault_set not in self._rows]
        if self.left is not None and len(new) > self.left:
            raise OutOfEvaluations(f"{len(new)} more evaluations are needed, and {self.left} are left")
        rows = {fault_set: self._rows[fault_set] for fault_set in faults if fault_set in self._rows}
        for start in range(0, len(new), self.batch_size) if new else ():
            batch = new[start : start + self.batch_size]
            scores = self._run.fault_sets(batch)
            self.evaluations += len(batch)
            for i, fault_set in enumerate(batch):
                parts = (scores[name] for name in self.metrics)
                rows[fault_set] = tuple((float(p.values[i]), int(p.undefined[i]), int(p.harmed[i])) for p in parts)
        for fault_set, row in rows.items():
            self._rows[fault_set] = row
        return {
            name: Scores(
                np.array([rows[fault_set][m][0] for fault_set in faults], np.float64),
                np.array([rows[fault_set][m][1] for fault_set in faults], np.int64),
                np.array([rows[fault_set][m][2] for fault_set in faults], np.int64),
            )
            for m, name in enumerate(self.metrics)
        }
