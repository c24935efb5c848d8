"""What all peers inject into: the float32 network of PyTorch that computes what a network of fkeras computes."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from torch import nn

from fkeras import bit_space
from fkeras.memory import BitSpace
from fkeras.network import Bias, Convolution, Dense, Function, Network, Quantize, Reshape
from fkeras.network.windows import pads

ROWS = 64
"""Images of one call, at which this network is quickest in PyTorch on a CPU."""


class Rounded(nn.Module):
    """A quantizer, in place on what the layer before made."""

    def __init__(self, operation: Quantize) -> None:
        super().__init__()
        self.step, self.low, self.high = (float(part) for part in (operation.step, operation.low, operation.high))

    def forward(self, x: Any) -> Any:
        """Rounded to whole steps."""
        return x.mul_(1 / self.step).round_().clamp_(self.low, self.high).mul_(self.step)


class Flattened(nn.Module):
    """As Keras flattens: channels last."""

    def forward(self, x: Any) -> Any:
        """(n, values)."""
        return x.permute(0, 2, 3, 1).flatten(1)


@dataclass(frozen=True)
class Neuron:
    """A bit of what a quantizer makes: the quantizer's number, and the place as (channel, row, column)."""

    layer: int
    index: tuple[int, ...]
    bit: int
    """Of the word, 0 is the least significant."""


@dataclass(frozen=True)
class Word:
    """A stored word: of which weighted layer, where in its weight tensor, and its value without and with the fault."""

    layer: int
    index: tuple[int, ...]
    golden: float
    faulty: float
    bit: int
    """Of the word, 0 is the least significant."""

    @property
    def padded(self) -> tuple[int | None, ...]:
        """The index as one of four axes."""
        return (*self.index, *(None,) * (4 - len(self.index)))


class Twin:
    """A network in PyTorch, and data."""

    def __init__(self, network: Network, x: Any, y: Any) -> None:
        self.space: BitSpace = network.memory.space()
        self.registers = bit_space(network, of="activations")
        self.network, self.y = network, torch.from_numpy(np.asarray(y, np.int64))
        images = torch.from_numpy(np.asarray(x, np.float32)).permute(0, 3, 1, 2)
        self.x = images.contiguous(memory_format=torch.channels_last)

    @property
    def channels_first(self) -> Twin:
        """The same, images in PyTorch's own order, which is slower here."""
        twin = copy.copy(self)
        twin.x = self.x.contiguous()
        return twin

    def model(self) -> nn.Sequential:
        """A fresh model."""
        layers: list[nn.Module] = []
        nodes = self.network.nodes
        biases = {node.inputs[0]: node.operation.bias for node in nodes if isinstance(node.operation, Bias)}
        for node in nodes:
            operation, shape = node.operation, self.network.shapes[node.inputs[0]]
            bias = torch.from_numpy(self.network.values[biases[node.name]].copy()) if node.name in biases else None
            if isinstance(operation, Convolution):
                kernel = torch.from_numpy(self.network.values[operation.kernel].transpose(3, 2, 0, 1).copy())
                size = tuple(kernel.shape[2:])
                (top, bottom), (left, right) = pads(
                    shape[:2], size, operation.strides, operation.dilation, operation.padding
                )
                if top + bottom + left + right:  # TensorFlow's is not symmetric
                    layers.append(nn.ZeroPad2d((left, right, top, bottom)))
                layers.append(nn.Conv2d(kernel.shape[1], kernel.shape[0], size, operation.strides))
            elif isinstance(operation, Dense):
                kernel = torch.from_numpy(self.network.values[operation.kernel].T.copy())
                layers.append(nn.Linear(kernel.shape[1], kernel.shape[0]))
            elif isinstance(operation, Quantize):
                layers.append(Rounded(operation))
            elif isinstance(operation, Reshape):
                layers.append(Flattened())
            elif not isinstance(operation, Bias) and operation != Function("softmax"):  # which keeps the winner
                raise TypeError(f"no twin of {type(operation).__name__} '{node.name}'")
            if isinstance(operation, Convolution | Dense):
                with torch.no_grad():
                    layers[-1].weight.copy_(kernel)
                    layers[-1].bias.copy_(torch.zeros(len(kernel)) if bias is None else bias)
        model = nn.Sequential(*layers).eval()
        for parameter in model.parameters():
            parameter.requires_grad_(False)
        return model

    def accuracy(self, model: Any, rows: int = ROWS) -> float:
        """The share of images whose class a model says."""
        with torch.no_grad():
            classes = torch.cat([model(x).argmax(1) for x in self.x.split(rows)])
        return float((classes == self.y).double().mean())

    def neurons(self, bits: Sequence[int]) -> list[Neuron]:
        """What bits of the registers are."""
        place = self.registers.locate(np.asarray(bits, np.int64))
        neurons = []
        for number, element, mask in zip(
            place.tensor.tolist(), place.element.tolist(), place.mask.tolist(), strict=True
        ):
            row, column, channel = np.unravel_index(element, self.registers.registers[number].shape)
            neurons.append(Neuron(number, (int(channel), int(row), int(column)), mask.bit_length() - 1))
        return neurons

    def words(self, bits: Sequence[int]) -> list[Word]:
        """The words that bits of the space flip; one bit of a word."""
        words = []
        place = self.space.locate(np.asarray(bits, np.int64))
        each = (part.tolist() for part in (place.tensor, place.element, place.mask))
        for number, element, mask in zip(*each, strict=True):
            tensor = self.space.tensors[number]
            stored = tensor.words[element : element + 1]
            at = np.array([element])
            golden, faulty = (float(tensor.values_of(part, at)[0]) for part in (stored, stored ^ np.uint32(mask)))
            index = np.unravel_index(element, tensor.shape)
            order = (3, 2, 0, 1) if len(index) == 4 else (1, 0)
            words.append(Word(number, tuple(int(index[axis]) for axis in order), golden, faulty, mask.bit_length() - 1))
        return words


class Peer(Protocol):
    """A tool that injects faults; name: with its version."""

    name: str

    def accuracy(self, bits: Sequence[int]) -> float:
        """The twin's with these bits of the space flipped, in every image; one of a word."""
        ...
