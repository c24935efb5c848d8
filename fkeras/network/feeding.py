"""Data as a network takes them: arrays in the order of its inputs, targets in the order of its outputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from fkeras.errors import InputError


class Expected(Protocol):
    """What an input takes: shape of a sample, where None is any length; dtype: what data are converted to."""

    @property
    def name(self) -> str: ...
    @property
    def shape(self) -> Sequence[int | None]: ...
    @property
    def dtype(self) -> str: ...


def flat_data(inputs: Sequence[Expected], x: Any) -> tuple[NDArray[Any], ...]:
    """`x` (array, list, tuple, or dict by input name) as arrays in the order and dtypes of the inputs.

    InputError for a wrong number, wrong shapes, no samples, or numbers that are not finite.
    """
    names = [part.name for part in inputs]
    if isinstance(x, dict):
        parts = _by_name(x, names, "x", "inputs")
    else:
        parts = list(x) if isinstance(x, list | tuple) and (len(inputs) > 1 or _is_one_array(x, inputs[0])) else [x]
    if len(parts) != len(inputs):
        raise InputError(
            f"x has {len(parts)} array(s); the model has {len(inputs)} inputs: {', '.join(names)}; give one array "
            f"each, in this order or by name{_in_npz('x', names)}"
        )
    arrays = tuple(_converted(part, expected) for part, expected in zip(parts, inputs, strict=True))
    counts = {array.shape[0] for array in arrays}
    if len(counts) != 1:
        raise InputError(f"the inputs have different numbers of samples: {[array.shape[0] for array in arrays]}")
    return arrays


def flat_targets(names: Sequence[str], y: Any) -> Any:
    """`y`, where it is a dict by output name, or a list of arrays for several outputs, as a tuple in the order of
    `names`. InputError for other names."""
    if isinstance(y, list) and len(y) == len(names) > 1 and all(isinstance(part, np.ndarray) for part in y):
        return tuple(y)
    if not isinstance(y, dict):
        return y
    parts = _by_name(y, names, "y", "outputs")
    return tuple(parts) if len(parts) > 1 else parts[0]


def _by_name(arrays: Mapping[str, Any], names: Sequence[str], letter: str, what: str) -> list[Any]:
    if set(arrays) != set(names):
        raise InputError(
            f"{letter} names the {what} {', '.join(sorted(map(str, arrays)))}; the model has {', '.join(names)}; give "
            f"one array each, by these names{_in_npz(letter, names)}"
        )
    return [arrays[name] for name in names]


def _in_npz(letter: str, names: Sequence[str]) -> str:
    return f" (in a .npz file {letter}0, {letter}1, ... or {', '.join(f'{letter}_{name}' for name in names)})"


def _is_one_array(x: Sequence[Any], expected: Expected) -> bool:
    """Whether a list holds the only input, as Keras allows, rather than being its rows."""
    return len(x) == 1 and np.ndim(x[0]) == len(expected.shape) + 1


def _converted(part: Any, expected: Expected) -> NDArray[Any]:
    array, name, shape = np.asarray(part), expected.name, expected.shape
    if array.dtype.kind not in "biuf":
        raise InputError(f"input '{name}': dtype {array.dtype}; allowed are numbers")
    if array.ndim != len(shape) + 1 or any(
        length not in (None, size) for length, size in zip(shape, array.shape[1:], strict=True)
    ):
        raise InputError(f"input '{name}': shape {array.shape}; the model expects {(None, *shape)} (None: any number)")
    if array.shape[0] == 0:
        raise InputError(f"input '{name}': no samples; give at least one")
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise InputError(
            f"input '{name}': {int((~np.isfinite(array)).sum())} values are NaN or infinite; clean the data first"
        )
    dtype = np.dtype(expected.dtype)
    converted: NDArray[Any] = array.astype(dtype, copy=False)
    if dtype.kind in "iu" and array.dtype.kind == "f" and (converted != array).any():
        raise InputError(
            f"input '{name}': the model takes {dtype.name}; {int((converted != array).sum())} values "
            "are no whole numbers of that type"
        )
    return converted
