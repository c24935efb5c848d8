"""PyTorchFI: declares weight faults, of which a callback says the value."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version
from typing import Any

from pytorchfi.core import fault_injection
from torch import nn

from benchmarks.peers.twin import ROWS, Twin, Word


class PyTorchFI:
    """Its `declare_weight_fi`, with a callback for int8 words."""

    def __init__(self, twin: Twin) -> None:
        self.name = f"PyTorchFI {version('pytorchfi')}, int8 callback"
        self._twin = twin
        shape = list(twin.x.shape[1:])
        kinds = [nn.Conv2d, nn.Linear]
        self._tool = fault_injection(twin.model(), ROWS, input_shape=shape, layer_types=kinds, use_cuda=False)

    def accuracy(self, words: Sequence[Word]) -> float:
        """The twin's with faulty words."""
        values = iter([word.faulty for word in words])

        def faulty(weight: Any, index: Any) -> float:
            return next(values)

        k, dim1, dim2, dim3 = (list(axis) for axis in zip(*(word.padded for word in words), strict=True))
        layers = [word.layer for word in words]
        model = self._tool.declare_weight_fi(function=faulty, layer_num=layers, k=k, dim1=dim1, dim2=dim2, dim3=dim3)
        return self._twin.accuracy(model)
