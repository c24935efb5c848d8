"""The Earth Mover's Distance over cells in space: exact optimal transport between target and output."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fkeras.errors import InputError
from fkeras.metrics.inputs import (
    finite_rows,
    first_rows,
    locked,
    require_rows,
    require_same_count,
    row_indices,
    single_array,
)
from fkeras.metrics.metric import Outputs, Rows, SampleMetric, SampleScores

ROWS_PER_TASK = 512
"""Rows that a thread takes at a time: some 0.2 ms of work or more, so that handing it out costs little."""


def emd(coordinates: Any, cells: Any = None, name: str = "emd", threads: int | None = None) -> SampleMetric:
    """The Earth Mover's Distance: the least mass times way that turns the output into the target.

    coordinates: (n_cells, 2) or (n_cells, 3), finite; the ground distance is Euclidean, in their unit.
    cells: (n_cells,), which element of a flattened output sample is which cell; None: the outputs have n_cells
    elements, in this order. threads: how many to use at most; None: NUMBA_NUM_THREADS, or all processors.
    Targets: (n, n_cells) charges in the order of the coordinates, or an array shaped like the outputs. Both sides
    are normalized to mass 1; bounds are 0 and the largest distance. An output with a negative or non-finite mass,
    or with none, is undefined and scores the largest distance; such a target is an InputError.
    Exact to about 1e-13 of the largest distance; the scorer is a `TransportScorer`.

    >>> metric = emd([[0.0, 0.0], [3.0, 4.0]])
    >>> metric.bind([[1, 0]], [[0.5, 0.5]]).golden.values.tolist()
    [2.5]
    """
    geometry = _geometry(coordinates, cells)
    if not name.isidentifier():
        raise InputError(f"metric name {name!r} is no Python identifier; limits are keywords such as max_<name>=")
    if threads is not None and threads < 1:
        raise InputError(f"emd(threads={threads}): at least one thread is needed, or None for numba's own count")

    return SampleMetric(
        name=name,
        better="lower",
        bounds=(0.0, geometry.largest),
        bind=partial(TransportScorer, geometry, threads),
        identity=geometry.identity,
        surrogate="emd_cells",
        constant=partial(_mean_charges, geometry),
    )


@dataclass(frozen=True, slots=True)
class CellGeometry:
    """Where the cells are and where an output holds them.

    distance: (n_cells, n_cells) float64; cells: (n_cells,) intp, or None for outputs of exactly n_cells elements.
    """

    distance: NDArray[np.float64]
    cells: NDArray[np.intp] | None
    identity: str

    @property
    def n_cells(self) -> int:
        """The number of cells."""
        return len(self.distance)

    @property
    def largest(self) -> float:
        """The largest distance between two cells."""
        return float(self.distance.max())

    def cells_in(self, size: int) -> NDArray[np.intp]:
        """Which of an output sample's `size` elements each cell is; raises InputError when they do not fit."""
        if self.cells is None:
            if size != self.n_cells:
                raise InputError(
                    f"outputs have {size} elements per sample but there are {self.n_cells} cells; "
                    f"say which element each cell is with emd(coordinates, cells=...)"
                )
            return np.arange(size, dtype=np.intp)
        if self.cells.max() >= size:
            raise InputError(
                f"cells= names output element {self.cells.max()}, but outputs have {size} elements per sample "
                f"(0 ... {size - 1})"
            )
        return self.cells


class TransportScorer:
    """The EMD bound to targets and golden outputs, with the golden optimum of every sample kept as a start.

    golden: the golden scores; cells: (n_cells,) intp, the flattened output element of each cell;
    target_mass: (n, n_cells) float64, the normalized targets.
    """

    def __init__(self, geometry: CellGeometry, threads: int | None, targets: Any, golden_outputs: Outputs) -> None:
        from fkeras.metrics import transport_kernel as kernel  # compiled code: loaded when the first EMD is needed

        outputs = single_array(golden_outputs, "golden outputs")
        self._shape = outputs.shape[1:]
        self.cells = locked(geometry.cells_in(prod(self._shape)))
        charges = _charges(targets, outputs, self.cells)
        # Normalized by the very code that normalizes outputs, so that equal ones are at distance 0 exactly.
        self.target_mass = np.empty_like(charges)
        kernel.normalize_rows(charges, locked(np.arange(geometry.n_cells)), self.target_mass)
        locked(self.target_mass)
        self._n_samples, self._n_cells = self.target_mass.shape
        self._threads = threads
        self._worst = geometry.largest
        self._distance = kernel.on_grid(geometry.distance)
        self._samples = kernel.samples_of(self.target_mass)
        self.golden: SampleScores = self._solve(outputs, np.arange(self._n_samples, dtype=np.intp), golden=True)

    def score(self, outputs: Outputs, rows: Rows) -> SampleScores:
        """The EMD of `outputs`, one sample per selected row, to the targets of `rows`.

        A row's score depends on that row alone, whatever it is scored together with.
        """
        selected = row_indices(rows, self._n_samples)
        if selected.size == 0:
            return SampleScores(locked(np.empty(0)), locked(np.empty(0, dtype=np.bool_)))
        outputs_of_cells = single_array(outputs, "outputs")
        require_rows(outputs_of_cells, selected.size, self._shape)
        return self._solve(outputs_of_cells, selected, golden=False)

    def potentials(self, rows: Rows) -> NDArray[np.float64]:
        """(k, n_cells) float64: the optimal dual potentials of the golden solution at each output cell.

        They are the EMD's derivative with respect to the output's normalized masses, up to a constant per
        sample (where the optimum is degenerate, one of its subgradients); zeros for an undefined golden output.
        """
        selected = row_indices(rows, self._n_samples)
        sinks = self._samples.first_source[selected + 1] + selected * self._n_cells
        values: NDArray[np.float64] = self._samples.potential[sinks[:, None] + np.arange(self._n_cells)]
        values[self.golden.undefined[selected]] = 0.0
        return values

    def _solve(self, outputs: NDArray[Any], rows: NDArray[np.intp], *, golden: bool) -> SampleScores:
        from numba import config

        from fkeras.metrics.transport_kernel import solve

        flat = outputs.reshape(len(outputs), -1)
        if flat.dtype not in (np.float32, np.float64):
            flat = flat.astype(np.float64)
        flat = locked(np.ascontiguousarray(flat).view())  # read-only for numba too: one compiled version, not two
        values = np.empty(rows.size)
        undefined = np.empty(rows.size, dtype=np.bool_)

        def run(part: slice) -> None:
            solve(
                flat[part],
                self.cells,
                rows[part],
                self._distance,
                self._samples,
                golden,
                values[part],
                undefined[part],
            )

        parts = [slice(at, at + ROWS_PER_TASK) for at in range(0, rows.size, ROWS_PER_TASK)]
        n_threads = min(self._threads or config.NUMBA_NUM_THREADS, len(parts))
        if n_threads == 1:
            run(slice(None))
        else:
            with ThreadPoolExecutor(n_threads) as pool:
                list(pool.map(run, parts))
        values[undefined] = self._worst
        return SampleScores(locked(values), locked(undefined))


def _geometry(coordinates: Any, cells: Any) -> CellGeometry:
    points = np.asarray(coordinates)
    if points.ndim != 2 or points.shape[1] not in (2, 3) or points.dtype.kind not in "iuf":
        raise InputError(
            f"emd coordinates are {points.dtype} of shape {points.shape}; "
            f"needed are numbers of shape (n_cells, 2) or (n_cells, 3)"
        )
    points = points.astype(np.float64)
    if not np.isfinite(points).all():
        raise InputError(f"emd coordinates are not finite for cell {first_rows(~finite_rows(points))}")
    distance = np.sqrt(np.square(points[:, None, :] - points[None, :, :]).sum(axis=-1))
    if distance.size == 0 or not 0.0 < distance.max() < np.inf:
        raise InputError(
            f"emd coordinates of {len(points)} cells lie in one place or too far apart; "
            f"at least two cells at different places are needed"
        )
    digest = sha256(repr(points.shape).encode() + points.tobytes())
    cell_of_output = None
    if cells is not None:
        cell_of_output = np.asarray(cells)
        if cell_of_output.shape != (len(points),) or cell_of_output.dtype.kind not in "iu":
            raise InputError(
                f"emd cells are {cell_of_output.dtype} of shape {cell_of_output.shape}; needed is one output index per "
                f"cell, integers of shape ({len(points)},)"
            )
        if cell_of_output.min() < 0 or np.unique(cell_of_output).size != cell_of_output.size:
            raise InputError("emd cells must be different output indices, 0 or more; some are negative or repeated")
        cell_of_output = locked(cell_of_output.astype(np.intp))
        digest.update(cell_of_output.astype(np.int64).tobytes())
    return CellGeometry(locked(distance), cell_of_output, f"emd:{digest.hexdigest()}")


def _mean_charges(geometry: CellGeometry, targets: Any, golden_outputs: Outputs) -> Outputs:
    """Every sample's output is the mean target, each of mass 1."""
    outputs = single_array(golden_outputs, "golden outputs")
    cells = geometry.cells_in(prod(outputs.shape[1:]))
    charges = _charges(targets, outputs, cells)
    sample = np.zeros(prod(outputs.shape[1:]), outputs.dtype)
    sample[cells] = (charges / charges.sum(axis=1, keepdims=True)).mean(axis=0)
    return np.broadcast_to(sample.reshape(outputs.shape[1:]), outputs.shape)


def _charges(targets: Any, outputs: NDArray[Any], cells: NDArray[np.intp]) -> NDArray[np.float64]:
    target_charges = single_array(targets, "targets")
    require_same_count(target_charges, outputs)
    if target_charges.shape != (len(outputs), cells.size):
        if target_charges.shape != outputs.shape:
            raise InputError(
                f"targets have shape {target_charges.shape}; the EMD needs ({len(outputs)}, {cells.size}) charges, "
                f"or the shape of the outputs, {outputs.shape}"
            )
        target_charges = target_charges.reshape(len(outputs), -1)[:, cells]
    charges = np.ascontiguousarray(target_charges, dtype=np.float64)
    mistakes: tuple[tuple[NDArray[np.bool_], str], ...] = (
        (~finite_rows(charges), "non-finite charges"),
        (np.any(charges < 0, axis=1), "a negative charge"),
        (np.all(charges == 0, axis=1), "no charge at all"),
    )
    for wrong, what in mistakes:
        if wrong.any():
            raise InputError(
                f"the EMD's targets have {what} in row {first_rows(wrong)}; every target needs charges >= 0 with a "
                f"sum above 0 (leave such samples out)"
            )
    return charges
