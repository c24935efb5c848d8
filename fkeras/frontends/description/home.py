"""The framework that a model is made of, as far as its layers are read with it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from fkeras.network.operation import Floats


@dataclass(frozen=True)
class Home:
    """keras: its Keras; qkeras: its QKeras, None where there is none; functions: where activations come from besides
    keras.activations; rsqrt: its 1/sqrt; evaluate: a function of tensors applied to float32 numbers; compiled: such a
    function as it makes it where it computes models; folded: kernel and bias that a layer makes of its own and its
    batch norm; in_order: whether it rounds products and sums one by one; kind: the class that a layer computes as."""

    keras: Any
    qkeras: Any
    functions: tuple[Any, ...]
    rsqrt: Callable[[Any], Any]
    evaluate: Callable[[Callable[[Any], Any], Floats], Floats]
    compiled: Callable[[Callable[[Any], Any]], Callable[[Floats], Floats]]
    folded: Callable[[Any], Sequence[Any]]
    in_order: bool
    kind: Callable[[Any], type] = type

    def layers(self, name: str) -> tuple[Any, ...]:
        """The layers of Keras and QKeras that have a name."""
        return tuple(getattr(place, name) for place in (self.keras.layers, self.qkeras) if hasattr(place, name))

    def activations(self, name: str) -> tuple[Any, ...]:
        """The functions that have a name."""
        quantizers = getattr(self.qkeras, "quantizers", None)
        places = (self.keras.activations, *self.functions, quantizers)
        return tuple(getattr(place, name) for place in places if hasattr(place, name))

    def is_quantizer(self, function: Any) -> bool:
        """Whether a function is a quantizer of QKeras."""
        return self.qkeras is not None and is_quantizer(function)


def is_quantizer(function: Any) -> bool:
    """Whether a function is a quantizer of QKeras, on whichever Keras."""
    bases = ((base.__module__.partition(".")[0], base.__name__) for base in type(function).__mro__)
    return ("qkeras", "BaseQuantizer") in bases
