"""A run that measures no fault set twice, and at most so many of them."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from fkeras.engine import Run, Scores
from fkeras.errors import FkerasError
from fkeras.faults import FaultSet
from fkeras.metrics.metric import Outputs

KEPT = 100_000
"""Scores of this many fault sets are kept, the most recently used ones."""

Row = tuple[tuple[float, int, int], ...]


class OutOfEvaluations(FkerasError):
    """A search has used up the evaluations that it may cost."""


class RememberingRun:
    """Gives what `run` gives, from memory where it can.

    most: how many fault sets may be measured anew; OutOfEvaluations is raised before a call that needs more.
    `evaluations` counts them.
    """

    def __init__(self, run: Run, most: int | None = None) -> None:
        self._run, self._most, self.evaluations = run, most, 0
        self._kept: OrderedDict[FaultSet, Row] = OrderedDict()
        self.engine, self.space, self.metrics, self.n_samples = run.engine, run.space, run.metrics, run.n_samples
        self.golden, self.batch_size = run.golden, run.batch_size
        empty = tuple((one.value, one.undefined, 0) for one in run.golden.values())
        self._kept[FaultSet.EMPTY] = empty

    @cached_property
    def golden_outputs(self) -> Outputs:
        """As the run has them."""
        return self._run.golden_outputs

    @property
    def left(self) -> int | None:
        """How many fault sets may still be measured; None is any number."""
        return None if self._most is None else self._most - self.evaluations

    def batches(self, bits: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
        """As the run has them."""
        return self._run.batches(bits)

    def flips(self, bits: NDArray[np.int64]) -> dict[str, Scores]:
        """Each of `bits` flipped alone."""
        return self.fault_sets([FaultSet(np.array([bit])) for bit in bits])

    def fault_sets(self, faults: Sequence[FaultSet]) -> dict[str, Scores]:
        """Each fault set injected alone, new ones in batches as the run takes them best."""
        new = [one for one in dict.fromkeys(faults) if one not in self._kept]
        if self.left is not None and len(new) > self.left:
            raise OutOfEvaluations(f"{len(new)} more evaluations are needed, and {self.left} are left")
        found = {one: self._kept[one] for one in faults if one in self._kept}
        for start in range(0, len(new), self.batch_size):
            batch = new[start : start + self.batch_size]
            scores = self._run.fault_sets(batch)
            self.evaluations += len(batch)
            for i, one in enumerate(batch):
                parts = (scores[name] for name in self.metrics)
                found[one] = tuple((float(p.values[i]), int(p.undefined[i]), int(p.harmed[i])) for p in parts)
        for one, row in found.items():
            self._kept[one] = row
            self._kept.move_to_end(one)
        while len(self._kept) > KEPT:
            self._kept.popitem(last=False)
        return {
            name: Scores(
                np.array([found[one][m][0] for one in faults], np.float64),
                np.array([found[one][m][1] for one in faults], np.int64),
                np.array([found[one][m][2] for one in faults], np.int64),
            )
            for m, name in enumerate(self.metrics)
        }
