"""PyTorchFI: declares faults, of which a callback says the value."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version
from typing import Any

import torch
from pytorchfi.core import fault_injection
from torch import nn

from benchmarks.peers.twin import ROWS, Rounded, Twin


class PyTorchFI:
    """Its `declare_weight_fi`, with a callback for int8 words."""

    def __init__(self, twin: Twin) -> None:
        self.name = f"PyTorchFI {version('pytorchfi')}, int8 callback"
        self._twin = twin
        shape = list(twin.x.shape[1:])
        kinds = [nn.Conv2d, nn.Linear]
        self._tool = fault_injection(twin.model(), ROWS, input_shape=shape, layer_types=kinds, use_cuda=False)

    def accuracy(self, bits: Sequence[int]) -> float:
        """The twin's with flipped bits."""
        words = self._twin.words(bits)
        values = iter([word.faulty for word in words])

        def faulty(weight: Any, index: Any) -> float:
            return next(values)

        k, dim1, dim2, dim3 = (list(axis) for axis in zip(*(word.padded for word in words), strict=True))
        layers = [word.layer for word in words]
        model = self._tool.declare_weight_fi(function=faulty, layer_num=layers, k=k, dim1=dim1, dim2=dim2, dim3=dim3)
        return self._twin.accuracy(model)


class PyTorchFINeurons:
    """Its `declare_neuron_fi`, with a hook for words of the twin's quantizers."""

    def __init__(self, twin: Twin) -> None:
        self.name = f"PyTorchFI {version('pytorchfi')}, neuron hook"
        self._twin, model = twin, twin.model()
        for layer in model:
            if isinstance(layer, Rounded):
                layer.weight = torch.empty(0)  # PyTorchFI asks every layer for one
        shape = list(twin.x.shape[1:])
        self._tool = fault_injection(model, ROWS, input_shape=shape, layer_types=[Rounded], use_cuda=False)

    def accuracy(self, bits: Sequence[int]) -> float:
        """The twin's with flipped bits of activations."""
        neurons, tool = self._twin.neurons(bits), self._tool

        def flip(module: Any, inputs: Any, output: Any) -> None:
            here = [one for one in neurons if one.layer == tool.current_layer]
            if here:
                at = (slice(None), *(list(axis) for axis in zip(*(one.index for one in here), strict=True)))
                levels = output[at].div(module.step).int() ^ torch.tensor([1 << one.bit for one in here])
                output[at] = levels.float() * module.step
            tool.current_layer = (tool.current_layer + 1) % tool.get_total_layers()

        channels, rows, columns = (list(axis) for axis in zip(*(one.index for one in neurons), strict=True))
        places = {"batch": [0] * len(neurons), "dim1": channels, "dim2": rows, "dim3": columns}
        layers = [one.layer for one in neurons]
        return self._twin.accuracy(tool.declare_neuron_fi(function=flip, layer_num=layers, **places))
