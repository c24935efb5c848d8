"""All that a model's layers hold: the words that may be chosen, and what is never covered."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from fkeras.errors import InputError, ModelError
from fkeras.memory.codecs import Float, FloatName
from fkeras.memory.coverage import LayerChoice
from fkeras.memory.refusals import Refusal, Refused
from fkeras.memory.space import BitSpace, Memory, Uncovered
from fkeras.memory.tensor import WordTensor


@dataclass(frozen=True, slots=True, eq=False)
class LayerMemory:
    """One layer: its stored kernels and biases, and what a choice leaves uncovered in it.

    not_chosen: without the layer; without_biases: with its kernels alone; with_biases: with all that is stored;
    refusals: why words of its kernels are not known; refusals_of_biases: the same of its biases.
    """

    path: str
    kernels: tuple[WordTensor, ...] = ()
    biases: tuple[WordTensor, ...] = ()
    not_chosen: tuple[Uncovered, ...] = ()
    without_biases: tuple[Uncovered, ...] = ()
    with_biases: tuple[Uncovered, ...] = ()
    refusals: tuple[Refusal, ...] = ()
    refusals_of_biases: tuple[Refusal, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Inventory:
    """The layers of a model, in its order; model: its name, for messages; memory: in which words, as of `BitSpace`."""

    model: str
    layers: tuple[LayerMemory, ...]
    memory: Memory = "quantizer"

    @property
    def tensors(self) -> tuple[WordTensor, ...]:
        """Every stored tensor, biases included, in the order of the widest space."""
        return tuple(tensor for layer in self.layers for tensor in (*layer.kernels, *layer.biases))

    def with_floats(self, values: Mapping[str, Mapping[str, NDArray[np.float32]]], name: FloatName) -> Inventory:
        """The same where other numbers are stored too, as words of IEEE floats; values: by layer, and by their paths.

        ModelError where there are none, and for numbers that are none of these floats.
        """
        if not any(values.values()):
            raise ModelError(f"model '{self.model}' has no kernel without a quantizer, so none is stored as {name}")
        return replace(self, layers=tuple(_extended(layer, values.get(layer.path, {}), name) for layer in self.layers))

    def space(self, layers: str | Sequence[str] = "*", biases: bool = False) -> BitSpace:
        """The stored bits of the chosen layers. ModelError where nothing is stored in them, Refused where words are not
        known."""
        choice = LayerChoice(layers)
        choice.require_matches([layer.path for layer in self.layers])
        tensors: list[WordTensor] = []
        uncovered: list[Uncovered] = []
        for layer in self.layers:
            if not choice(layer.path):
                uncovered += layer.not_chosen
            elif biases:
                tensors += (*layer.kernels, *layer.biases)
                uncovered += layer.with_biases
            else:
                tensors += layer.kernels
                uncovered += layer.without_biases
        chosen = [layer for layer in self.layers if choice(layer.path)]
        refusals = [refusal for layer in chosen for refusal in layer.refusals]
        refusals += [refusal for layer in chosen if biases for refusal in layer.refusals_of_biases]
        if refusals:
            raise Refused(*refusals)
        if not tensors:
            held = ", ".join(str(entry) for entry in uncovered[:5]) or "no weights at all"
            raise ModelError(
                f"model '{self.model}' has no quantized kernel among the chosen layers; it has {held}; "
                "quantize it with QKeras (QDense, QConv2D, ...), or choose other layers"
            )
        return BitSpace(tuple(tensors), tuple(uncovered), self.memory)


def _extended(layer: LayerMemory, values: Mapping[str, NDArray[np.float32]], name: FloatName) -> LayerMemory:
    """The layer, with what it stores besides."""
    words, tensors = Float(name), []
    for path, numbers in values.items():
        golden = numbers.reshape(-1).astype(np.float32)
        try:
            encoded = words.encode(golden)
        except InputError as error:
            raise ModelError(f"layer '{layer.path}': {error}") from error
        tensors.append(WordTensor(path, numbers.shape, words, encoded, np.ones(golden.size, np.float32), golden))
    biases = tuple(tensor for tensor in tensors if tensor.path.endswith("/bias"))
    kernels = tuple(tensor for tensor in tensors if tensor not in biases)
    stored, chosen = {tensor.path for tensor in tensors}, {tensor.path for tensor in kernels}
    return replace(
        layer,
        kernels=(*layer.kernels, *kernels),
        biases=(*layer.biases, *biases),
        without_biases=tuple(entry for entry in layer.without_biases if entry.path not in chosen),
        with_biases=tuple(entry for entry in layer.with_biases if entry.path not in stored),
    )
