"""The best prediction that needs no input: the same for every sample."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def mean_target(targets: Any, outputs: Any) -> Any:
    """Outputs shaped like `outputs` that predict the mean target for every sample, None where that has no meaning.

    Integer classes against scores (n, classes) count as one-hot, so that the most frequent class wins; several outputs
    need a target each.
    """
    if isinstance(outputs, tuple):
        if not isinstance(targets, tuple | list) or len(targets) != len(outputs):
            return None
        parts = tuple(mean_target(target, output) for target, output in zip(targets, outputs, strict=True))
        return None if any(part is None for part in parts) else parts
    if isinstance(targets, tuple | dict):
        return None
    given, wanted = np.asarray(targets), np.asarray(outputs)
    if given.dtype.kind not in "biuf" or wanted.dtype.kind != "f" or len(given) != len(wanted):
        return None
    mean = _mean(given, wanted)
    return None if mean is None else np.broadcast_to(mean.astype(wanted.dtype), wanted.shape)


def _mean(targets: NDArray[Any], outputs: NDArray[Any]) -> NDArray[np.float64] | None:
    """The mean target in the shape of one output."""
    n, shape = len(outputs), outputs.shape[1:]
    if targets.shape == outputs.shape:
        return np.asarray(targets.mean(axis=0, dtype=np.float64))
    if targets.size != n:
        return None
    if outputs.size == n:
        return np.full(shape, targets.mean(dtype=np.float64))
    labels = targets.reshape(-1)
    if targets.dtype.kind == "f" or len(shape) != 1 or labels.min() < 0 or labels.max() >= shape[0]:
        return None
    return np.bincount(labels.astype(np.intp), minlength=shape[0]) / n
