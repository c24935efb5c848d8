"""The range of words that registers hold on data without faults."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fkeras.memory import Register
from fkeras.memory.layout import Words
from fkeras.network.network import Network

_SAMPLES = 32
"""Computed at once: all tensors of the network are held."""


def golden_range(
    network: Network, registers: Iterable[Register], inputs: Sequence[NDArray[Any]]
) -> dict[str, tuple[Words, Words]]:
    """By path, the words of the least and of the greatest number that each element has on these inputs."""
    seen: dict[str, tuple[NDArray[np.float32], NDArray[np.float32]]] = {}
    held = {register.path: register for register in registers}
    nodes = network.before([register.tensor for register in held.values()])
    for start in range(0, len(inputs[0]), _SAMPLES):
        parts = (np.asarray(x[start : start + _SAMPLES], np.float32) for x in inputs)
        tensors = network.compute(nodes, dict(zip((part.name for part in network.inputs), parts, strict=True)))
        for path, register in held.items():
            quantizer, values = network.operations.get(register.quantizer), tensors[register.tensor]
            words = values if quantizer is None else quantizer.compute(network.values, values)
            low, high = words.min(axis=0).reshape(-1), words.max(axis=0).reshape(-1)
            before = seen.get(path, (low, high))
            seen[path] = np.minimum(before[0], low), np.maximum(before[1], high)
    return {path: (held[path].encode(low), held[path].encode(high)) for path, (low, high) in seen.items()}
