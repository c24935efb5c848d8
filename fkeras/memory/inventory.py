"""All that a model's layers hold: the words that may be chosen, and what is never covered."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fkeras.errors import ModelError
from fkeras.memory.layer_choice import LayerChoice
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
