"""Whether an output is what it was without faults."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fkeras.metrics.inputs import row_indices, sample_count, take
from fkeras.metrics.metric import Outputs, Rows, SampleMetric, SampleScores

ROUNDING = 1e-6
"""Differences up to this times max(1, |golden|) are none: below it lie only roundings of a float tail."""


def changed_outputs() -> SampleMetric:
    """1.0 for a sample with any output that is not the golden one, 0.0 for any other; targets play no role."""
    return SampleMetric("changed_outputs", "lower", (0.0, 1.0), _AgainstGolden, identity="changed_outputs")


class _AgainstGolden:
    def __init__(self, targets: Any, golden_outputs: Outputs) -> None:
        self._golden = golden_outputs
        n_samples = sample_count(golden_outputs)
        self.golden = SampleScores(np.zeros(n_samples), np.zeros(n_samples, np.bool_))

    def score(self, outputs: Outputs, rows: Rows) -> SampleScores:
        golden = take(self._golden, row_indices(rows, sample_count(self._golden)))
        pairs = zip(*((part if isinstance(part, tuple) else (part,)) for part in (outputs, golden)), strict=True)
        changed = np.any([_differ(np.asarray(one), np.asarray(other)) for one, other in pairs], axis=0)
        return SampleScores(changed.astype(np.float64), np.zeros(changed.size, np.bool_))


def _differ(outputs: NDArray[Any], golden: NDArray[Any]) -> NDArray[np.bool_]:
    """(n,) bool."""
    with np.errstate(invalid="ignore", over="ignore"):
        far = np.abs(outputs.astype(np.float64) - golden) > ROUNDING * np.maximum(1.0, np.abs(golden))
    differs = far | (np.isfinite(outputs) != np.isfinite(golden))
    return np.asarray(differs.reshape(len(differs), -1).any(axis=1))
