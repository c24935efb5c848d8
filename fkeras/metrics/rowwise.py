"""A scorer for errors that look at one sample at a time, whatever the function behind them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fkeras.errors import InputError
from fkeras.metrics.inputs import (
    arrays,
    finite_rows,
    locked,
    read_only,
    refuse_masked,
    refusing_writes,
    require_rows,
    require_same_count,
    row_indices,
    sample_count,
    shape_of_samples,
    take,
)
from fkeras.metrics.metric import Outputs, Rows, SampleScores

RowFunction = Callable[[Any, Any], NDArray[Any]]
"""(targets, outputs) of k samples, all outputs finite -> (k,) numbers."""


class RowwiseScorer:
    """Scores finite samples with a function and gives all others the worst value.

    The function never sees a sample that holds a non-finite number; where it returns a non-finite number
    itself, that sample is undefined too.
    """

    def __init__(
        self,
        function: RowFunction,
        targets: Any,
        golden_outputs: Outputs,
        *,
        name: str,
        worst: float,
        bounds: tuple[float, float] | None,
    ) -> None:
        outputs = arrays(golden_outputs, "golden outputs")
        self._targets = arrays(targets, "targets")
        require_same_count(self._targets, outputs)
        self._function, self._name, self._worst, self._bounds = function, name, worst, bounds
        self._shape = shape_of_samples(outputs)
        self.golden: SampleScores = self.score(outputs, slice(None))

    def score(self, outputs: Outputs, rows: Rows) -> SampleScores:
        """Score `outputs`, one sample per selected row."""
        selected = row_indices(rows, sample_count(self._targets))
        if selected.size == 0 and not isinstance(outputs, tuple) and np.shape(outputs)[:1] == (0,):
            return SampleScores(locked(np.empty(0)), locked(np.empty(0, dtype=np.bool_)))
        given = arrays(outputs, "outputs")
        require_rows(given, selected.size, self._shape)
        finite = finite_rows(given)
        targets = take(self._targets, rows)
        if not finite.all():
            targets, given = take(targets, finite), take(given, finite)
        values = np.full(selected.size, self._worst)
        if finite.any():
            values[finite] = self._call(targets, given, int(finite.sum()))
        undefined = ~finite
        undefined[finite] = ~np.isfinite(values[finite])
        values[undefined] = self._worst
        return SampleScores(locked(values), locked(undefined))

    def _call(self, targets: Any, outputs: Any, n_samples: int) -> NDArray[np.float64]:
        with refusing_writes(self._name):
            returned = self._function(read_only(targets), read_only(outputs))
        refuse_masked(returned, f"what metric '{self._name}' returned")
        values = np.asarray(returned)
        if values.shape != (n_samples,) or values.dtype.kind not in "biuf":
            raise InputError(
                f"metric '{self._name}' returned {values.dtype} of shape {values.shape} for {n_samples} samples; "
                f"its function must return one number per sample, shape ({n_samples},)"
            )
        values = values.astype(np.float64)
        if self._bounds is not None:
            values = within_bounds(values, self._bounds, self._name)
        return values


def within_bounds(values: NDArray[np.float64], bounds: tuple[float, float], name: str) -> NDArray[np.float64]:
    """`values` with rounding noise at the bounds removed; raises InputError for values truly outside.

    NaN passes, for the caller to count.
    """
    low, high = bounds
    outside = (values < low - 1e-9 * max(1.0, abs(low))) | (values > high + 1e-9 * max(1.0, abs(high)))
    if outside.any():
        value = values[np.flatnonzero(outside)[0]]
        raise InputError(
            f"metric '{name}' gave {value}, outside its bounds [{low}, {high}]; "
            f"exact intervals rely on them: correct bounds= or leave it out"
        )
    clipped: NDArray[np.float64] = np.clip(values, low, high)
    return clipped
