"""Flips of a tensor that has no site: the reference's own operations, but only those that depend on the tensor.

The reference's graph is cut where golden values enter operations that a fault can change. The same operations on the
same parts of the data give the same bits, whatever the layers are; that it is so is checked on the golden network and
on the first fault, and where it is not, or memory ends, the whole model runs.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fkeras.engine import Scores
from fkeras.faults import FaultSet
from fkeras.frontends.qkeras.forward import patched_values
from fkeras.frontends.qkeras.reference import ReferenceRun, chunks
from fkeras.scoring import scores_of

HELD_BYTES = 192 * 2**20
"""Bounds the golden values that are held."""


class Tail:
    """Single flips of one tensor."""

    def __init__(self, reference: ReferenceRun, tensor: int) -> None:
        self.tensor = tensor
        self._reference, self._behind = reference, reference.forward.behind(tensor)
        self._golden = self._held()
        self._is_checked = False

    def _held(self) -> dict[int, tuple[Any, ...]]:
        """By the first row of a part of the data, the golden values that enter what depends on the tensor."""
        held: dict[int, tuple[Any, ...]] = {}
        if self._behind is None:
            return held
        reference, free = self._reference, HELD_BYTES
        for rows in chunks(reference.forward, reference.inputs):
            golden = self._behind.golden([array[rows] for array in reference.inputs], reference.golden_values)
            free -= sum(part.numpy().nbytes for part in golden)
            if free < 0:
                break
            outputs = self._behind(reference.golden_values[self.tensor], golden)
            if not _equal(outputs, reference.outputs(rows, reference.golden_values)):
                return {}
            held[rows.start] = golden
        return held

    def flips(self, bits: NDArray[np.int64]) -> dict[str, Scores]:
        """Each bit flipped alone."""
        reference, results = self._reference, []
        for bit in bits:
            values = patched_values(
                reference.space, reference.golden_values, FaultSet(np.array([bit])).patches(reference.space)
            )
            tally = reference.card.tally()
            for rows in chunks(reference.forward, reference.inputs):
                outputs = self._outputs(rows, values)
                tally.add(outputs[0] if len(outputs) == 1 else outputs, rows)
            self._is_checked = True
            results.append(tally.result())
        return scores_of(results, list(reference.metrics))

    def _outputs(self, rows: slice, values: Sequence[Any]) -> tuple[NDArray[Any], ...]:
        if self._behind is None or rows.start not in self._golden:
            return self._reference.outputs(rows, values)
        outputs = tuple(part.numpy() for part in self._behind(values[self.tensor], self._golden[rows.start]))
        if not self._is_checked and not _equal(outputs, whole := self._reference.outputs(rows, values)):
            self._golden = {}
            return whole
        return outputs


def _equal(some: Sequence[Any], others: Sequence[Any]) -> bool:
    return all(np.array_equal(a, b, equal_nan=True) for a, b in zip(some, others, strict=True))
