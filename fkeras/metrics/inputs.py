"""What a metric accepts: arrays, or tuples of arrays, whose first axis counts samples."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fkeras.errors import InputError
from fkeras.metrics.metric import Rows

_READ_ONLY = re.compile("read-?only", re.IGNORECASE)


def single_array(data: Any, what: str) -> NDArray[Any]:
    """`data` as one numeric array (n, ...) with at least one sample; `what` names it in errors.

    Raises InputError for a tuple of arrays, for no samples, for samples of different shapes, and for entries that are
    no numbers.
    """
    if isinstance(data, tuple):
        raise InputError(
            f"the {what} are a tuple of {len(data)} arrays, but this metric reads one array; "
            f"choose one with fkeras.metrics.on_output(index, metric)"
        )
    refuse_masked(data, what)
    try:
        array = np.asarray(data)
    except ValueError:  # numpy's of lists that are no rectangle
        raise InputError(f"the {what} are no array: their samples have different shapes; give all the same") from None
    if array.dtype.kind not in "biuf":
        try:
            array = array.astype(np.float64)  # bfloat16 and its relatives are numbers of kind 'V'
        except (TypeError, ValueError):
            raise InputError(
                f"the {what} hold {array.dtype} entries; a metric needs numbers (bool, integer or float)"
            ) from None
    if array.ndim == 0 or array.shape[0] == 0:
        raise InputError(f"the {what} are empty (shape {array.shape}); a metric needs at least one sample")
    return array


def arrays(data: Any, what: str) -> NDArray[Any] | tuple[NDArray[Any], ...]:
    """`data` as one array or as a tuple of arrays with the same number of samples."""
    if not isinstance(data, tuple):
        return single_array(data, what)
    if not data:
        raise InputError(f"the {what} are an empty tuple; a metric needs at least one array")
    parts = tuple(single_array(part, f"{what}[{index}]") for index, part in enumerate(data))
    counts = [part.shape[0] for part in parts]
    if len(set(counts)) > 1:
        raise InputError(f"the {what} are arrays with different numbers of samples: {counts}; they must agree")
    return parts


def sample_count(data: Any) -> int:
    """How many samples an array holds, or each array of a tuple, a list or a dict."""
    if isinstance(data, dict):
        return sample_count(next(iter(data.values())))
    return len(data[0] if _holds_several(data) else data)


def take(data: Any, rows: Rows | NDArray[np.bool_]) -> Any:
    """The samples `rows` of an array, or of every array of a tuple, a list or a dict."""
    if isinstance(data, dict):
        return {name: take(part, rows) for name, part in data.items()}
    if _holds_several(data):
        return type(data)(take(part, rows) for part in data)
    return np.asarray(data)[rows]


def _holds_several(data: Any) -> bool:
    """Whether data are several arrays, as of several inputs, rather than the rows of one."""
    return isinstance(data, tuple) or (isinstance(data, list) and bool(data) and np.ndim(data[0]) > 1)


def finite_rows(data: NDArray[Any] | tuple[NDArray[Any], ...]) -> NDArray[np.bool_]:
    """(n,) bool: the samples whose every number is finite, in every array."""
    if isinstance(data, tuple):
        finite: NDArray[np.bool_] = np.all([finite_rows(part) for part in data], axis=0)
    else:
        finite = np.isfinite(data).reshape(data.shape[0], -1).all(axis=1)
    return finite


def row_indices(rows: Rows, n_samples: int) -> NDArray[np.intp]:
    """The sample numbers that `rows` selects out of `n_samples`, (k,) intp, in its order."""
    if isinstance(rows, slice):
        return np.arange(n_samples, dtype=np.intp)[rows]
    indices = np.asarray(rows)
    if indices.ndim != 1 or (indices.dtype.kind not in "iu" and indices.size):
        raise InputError(
            f"rows must be a slice or a one-dimensional array of sample numbers, "
            f"got {indices.dtype} of shape {indices.shape}"
        )
    if indices.size and not (indices.min() >= 0 and indices.max() < n_samples):
        raise InputError(
            f"rows reach from {indices.min()} to {indices.max()}, but the metric was bound to {n_samples} samples "
            f"(0 ... {n_samples - 1})"
        )
    return indices.astype(np.intp)


def require_same_count(targets: Any, outputs: Any) -> None:
    """Raise InputError unless targets and outputs hold the same number of samples."""
    n_targets, n_outputs = sample_count(targets), sample_count(outputs)
    if n_targets != n_outputs:
        raise InputError(
            f"{n_targets} targets for {n_outputs} outputs; the metric needs one target per sample "
            f"(did x and y come from different selections?)"
        )


def shape_of_samples(data: NDArray[Any] | tuple[NDArray[Any], ...]) -> tuple[Any, ...]:
    """The shape of one sample, or a tuple of them."""
    return tuple(part.shape[1:] for part in data) if isinstance(data, tuple) else data.shape[1:]


def require_rows(outputs: Any, n_rows: int, golden_shape: tuple[Any, ...]) -> None:
    """Raise InputError unless `outputs` hold `n_rows` samples of the golden outputs' shape."""
    got, shape = sample_count(outputs), shape_of_samples(outputs)
    if got != n_rows:
        raise InputError(f"{got} outputs for {n_rows} rows; score() needs one output per selected row")
    if shape != golden_shape:
        raise InputError(f"outputs have samples of shape {shape}, the golden outputs had {golden_shape}")


def first_rows(mask: NDArray[np.bool_], limit: int = 5) -> str:
    """The first few row numbers where `mask` holds, for an error message."""
    rows = np.flatnonzero(mask)
    more = f" and {rows.size - limit} more" if rows.size > limit else ""
    return ", ".join(str(row) for row in rows[:limit]) + more


def refuse_masked(data: Any, what: str) -> None:
    """InputError for masked arrays, whose masks nothing here looks at, in any nesting of tuples, lists and dicts."""
    n_masked = int(np.sum(data.mask)) if isinstance(data, np.ma.MaskedArray) else 0
    if n_masked:
        raise InputError(
            f"{what}: {n_masked:,} values are masked, and masks are not looked at; leave those samples out, or fill "
            "them in, as in x.filled(0)"
        )
    parts = data.values() if isinstance(data, dict) else data if isinstance(data, tuple | list) else ()
    for part in parts:
        if isinstance(part, np.ma.MaskedArray | dict | tuple | list):
            refuse_masked(part, what)


def read_only(data: Any) -> Any:
    """`data` with read-only views of its arrays, in any nesting of tuples, lists and dicts."""
    if isinstance(data, np.ndarray):
        return locked(data.view())
    if type(data) is dict:
        return {name: read_only(part) for name, part in data.items()}
    if type(data) in (tuple, list) and any(isinstance(part, np.ndarray | dict | list | tuple) for part in data):
        return type(data)(read_only(part) for part in data)
    if isinstance(data, tuple) and hasattr(data, "_make"):
        return data._make(read_only(part) for part in data)
    return data


class WritingMetric(InputError):
    """A metric that writes into what it is given."""


@contextmanager
def refusing_writes(metric: str) -> Iterator[None]:
    """WritingMetric, by the metric's name, where it writes into what it was given read-only."""
    try:
        yield
    except InputError:
        raise
    except Exception as error:
        if not _READ_ONLY.search(str(error)):
            raise
        raise WritingMetric(
            f"metric '{metric}' writes into the targets or outputs that it is given ({error}); they are those of all "
            "metrics, so let it work on copies, as in outputs = outputs.copy()"
        ) from error


def locked(array: NDArray[Any]) -> NDArray[Any]:
    """The same array, read-only."""
    array.setflags(write=False)
    return array
