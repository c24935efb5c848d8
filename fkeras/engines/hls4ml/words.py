"""Which array of hls4ml holds which tensor, in what order, and that both hold the same words.

Nothing is assumed: a tensor whose type, words or order differ from what hls4ml holds is refused by name.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fkeras.engines.hls4ml.convert import Conversion
from fkeras.engines.hls4ml.emulation import Write
from fkeras.errors import Argument, InputError, UnsupportedError
from fkeras.faults import FaultSet
from fkeras.memory import (
    Binary,
    BitAddress,
    BitSet,
    BitSpace,
    Codec,
    FixedPoint,
    MixedFixedPoint,
    TensorLayout,
    Ternary,
    WordTensor,
)
from fkeras.protection import Mask

TRANSPOSED = {2: (1, 0), 3: (2, 0, 1), 4: (3, 0, 1, 2)}
"""How the resource strategy reorders a kernel, by its number of dimensions."""


@dataclass(frozen=True, slots=True, eq=False)
class HeldTensor:
    """One tensor of the space as hls4ml holds it.

    path: in the space; node, variable: of hls4ml (`w3` is written to firmware/weights/w3.txt); type: of its words, as
    in `fixed<6,2>`; step: of fixed-point words, None of others; elements: (size,) int64, the Keras element at each
    place of the array; scale: the constant that hls4ml multiplies with, one number per channel or one for all, None
    where there is none; is_alike: whether a bit of the space is a bit of hls4ml's word.
    """

    path: str
    node: str
    variable: str
    type: str
    step: float | None
    elements: NDArray[np.int64]
    scale: NDArray[np.float64] | None
    is_alike: bool = True

    @property
    def places(self) -> NDArray[np.int64]:
        """The place in the array of each Keras element; (size,)."""
        return np.argsort(self.elements)

    def codes(self, tensor: WordTensor, words: NDArray[np.uint32], elements: NDArray[np.int64]) -> NDArray[np.int64]:
        """What the emulation holds for `words` in the places of `elements`: steps, or sign-extended words."""
        if self.step is not None:
            return np.rint(tensor.decode(words, elements) / self.step).astype(np.int64)
        wide, width = words.astype(np.int64), tensor.sole_codec.width
        return wide - ((wide >> (width - 1)) << width) if isinstance(tensor.codec, Ternary) else wide


@dataclass(frozen=True, slots=True)
class BothAddresses:
    """One bit: its flat index, `conv/kernel[0,2,1]:0` in Keras' order, and `w3[17]:0`, the place in hls4ml's array."""

    bit: int
    keras: BitAddress
    hls4ml: BitAddress


@dataclass(frozen=True, eq=False)
class Hls4mlOrder:
    """Where hls4ml holds every bit: `order["conv/kernel[0,2,1]:0"].hls4ml`, `order["w3[17]:0"].keras`, `order[17].bit`.

    tensors: in the order of the space. Bit 0 of a word is the most significant in both orders.
    """

    space: BitSpace
    tensors: tuple[HeldTensor, ...]

    def __getitem__(self, name: int | BitAddress | str) -> BothAddresses:
        """All names of one bit, given by any: its flat index, its address in Keras' order, or hls4ml's.

        InputError for a tensor, an array or a place that does not exist.
        """
        self._require_alike()
        bit = int(name) if isinstance(name, int | np.integer) else self._bit(name)
        where = self.space.locate(bit)
        held = self.tensors[int(where.tensor[0])]
        place = int(self._places[held.path][where.element[0]])
        return BothAddresses(bit, self.space.address(bit), BitAddress(held.variable, (place,), int(where.bit[0])))

    def _require_alike(self) -> None:
        """UnsupportedError for words that hls4ml holds in others, in which none of their bits has a place."""
        for held in self.tensors:
            if not held.is_alike:
                raise UnsupportedError(
                    f"tensor '{held.path}': hls4ml holds {held.type} in place of each quantizer's own word, whose bits "
                    "have no place there; name bits of ",
                    Argument("memory", "hls4ml"),
                )

    def _bit(self, name: BitAddress | str) -> int:
        address = name if isinstance(name, BitAddress) else BitAddress.parse(name)
        if "/" in address.tensor:  # Keras' paths have one, hls4ml's arrays have none
            return self.space.index(address)
        for number, (held, tensor) in enumerate(zip(self.tensors, self.space.tensors, strict=True)):
            if held.variable == address.tensor:
                width = tensor.sole_codec.width
                if len(address.element) != 1 or address.element[0] >= tensor.size or address.bit >= width:
                    raise InputError(f"{address}: array {held.variable} has {tensor.size} words of {width} bits")
                element = int(held.elements[address.element[0]])
                return int(self.space.offsets[number]) + element * width + address.bit
        raise InputError(
            f"no array {address.tensor!r}; hls4ml holds {', '.join(held.variable for held in self.tensors)}"
        )

    @cached_property
    def bits(self) -> NDArray[np.int64]:
        """Every flat index in the order of hls4ml's files: array by array, place by place, most significant first."""
        self._require_alike()
        parts = []
        for held, tensor, start in zip(self.tensors, self.space.tensors, self.space.offsets, strict=False):
            width = tensor.sole_codec.width
            parts.append((start + held.elements[:, None] * width + np.arange(width)).reshape(-1))
        return np.concatenate(parts)

    @cached_property
    def _places(self) -> dict[str, NDArray[np.int64]]:
        return {held.path: held.places for held in self.tensors}

    def writes(self, faults: FaultSet) -> list[Write]:
        """What the emulation must hold to compute with `faults`."""
        writes = []
        for patch in faults.patches(self.space):
            held, tensor = self.tensors[patch.tensor], self.space.tensors[patch.tensor]
            places = self._places[held.path][patch.elements]
            writes.append(Write(held.variable, places, held.codes(tensor, patch.words, patch.elements)))
        return writes

    def reordered(self, mask: Mask) -> Mask:
        """The same bits as a mask of hls4ml's arrays: tensor `conv/w3` has one word per entry of weights/w3.txt.

        LayoutError for a mask of another memory.
        """
        bits = mask.on(self.space)
        covered = np.zeros(len(self.space), bool)
        covered[bits.bits] = True
        tensors = tuple(
            TensorLayout(f"{held.node}/{held.variable}", (tensor.size,), tensor.layout.width)
            for held, tensor in zip(self.tensors, self.space.tensors, strict=True)
        )
        label = f"{bits.label} in hls4ml's order" if bits.label else "in hls4ml's order"
        moved = Mask(BitSet(np.flatnonzero(covered[self.bits])), tensors)
        return Mask(
            BitSet(moved.bits.bits, moved.layout_digest, label),
            tensors,
            {
                **mask.provenance,
                "keras_mask": mask.digest,
                "order": {held.variable: held.path for held in self.tensors},
            },
        )


def hls4ml_order(conversion: Conversion, space: BitSpace) -> Hls4mlOrder:
    """Where hls4ml holds each tensor. UnsupportedError names one whose words it does not hold."""
    return Hls4mlOrder(space, tuple(_held(conversion, tensor) for tensor in space.tensors))


def _held(conversion: Conversion, tensor: WordTensor) -> HeldTensor:
    *_, layer, kind = tensor.path.split("/")
    node, variable = _variable(conversion.graph, tensor.path, layer, kind)
    if conversion.widens and isinstance(tensor.codec, FixedPoint | MixedFixedPoint):
        variable.update_precision(_wide_enough(tensor.codec, variable.type.precision))
        is_held = True
    else:
        is_held = not isinstance(tensor.codec, MixedFixedPoint) and is_type_of(tensor.codec, variable.type.precision)
    precision = variable.type.precision
    if not is_held or variable.weight_class != "WeightVariable":
        raise UnsupportedError(
            f"tensor '{tensor.path}': the model stores {tensor.codec}, hls4ml {conversion.version} holds "
            f"{type_text(precision)} ({variable.weight_class}); the hls4ml engine needs the same words: use another "
            f"quantizer, or exclude the layer with ",
            Argument("layers", f"!{layer}"),
        )
    elements = np.arange(tensor.size)
    if node.get_attr("_weights_transposed", False) and kind != "bias":
        elements = elements.reshape(tensor.shape).transpose(TRANSPOSED[len(tensor.shape)]).reshape(-1)
    scaled = conversion.graph.graph.get(f"{layer}_alpha")
    scale = None if scaled is None or kind == "bias" else np.asarray(scaled.weights["scale"].data, np.float64)
    if scale is None and (tensor.scale != 1).any():
        raise UnsupportedError(
            f"tensor '{tensor.path}': has a separate scale (alpha), which hls4ml {conversion.version} does not keep "
            f"apart for this layer; use alpha=1, or exclude the layer with ",
            Argument("layers", f"!{layer}"),
        )
    held = HeldTensor(
        tensor.path,
        node.name,
        variable.name,
        type_text(precision),
        2.0 ** (precision.integer - precision.width)
        if isinstance(tensor.codec, FixedPoint | MixedFixedPoint)
        else None,
        elements,
        None if scale is None else scale.reshape(-1),
        not isinstance(tensor.codec, MixedFixedPoint) and is_type_of(tensor.codec, precision),
    )
    _require_equal(conversion, tensor, np.asarray(variable.data, np.float64).reshape(-1), held)
    return held


def _wide_enough(codec: FixedPoint | MixedFixedPoint, precision: Any) -> Any:
    """hls4ml's type, made wide enough for all words of a codec."""
    width, integer, signed = (np.asarray(part, np.int64) for part in (codec.width, codec.integer, codec.signed))
    is_signed = bool(signed.any() or precision.signed)
    whole = max(int(integer.max()), precision.integer - int(bool(precision.signed)))
    fraction = max(int((width - integer - signed).max()), precision.width - precision.integer)
    return type(precision)(whole + fraction + is_signed, whole + is_signed, is_signed)


def _variable(graph: Any, path: str, layer: str, kind: str) -> tuple[Any, Any]:
    nodes = {"depthwise_kernel": f"{layer}_depthwise", "pointwise_kernel": f"{layer}_pointwise"}
    candidates = (f"{layer}_alpha", f"{layer}_pointwise", layer) if kind == "bias" else (nodes.get(kind, layer), layer)
    for name in candidates:
        node = graph.graph.get(name)
        if node is not None:
            return node, node.weights["bias" if kind == "bias" else "weight"]
    raise UnsupportedError(f"tensor '{path}': hls4ml's graph has no layer '{layer}'; it has {', '.join(graph.graph)}")


def is_type_of(codec: Codec, precision: Any) -> bool:
    """Whether hls4ml's type has the words of a codec."""
    width, integer = getattr(precision, "width", None), getattr(precision, "integer", None)
    signed = getattr(precision, "signed", None)
    if isinstance(codec, FixedPoint):
        return (width, integer, bool(signed)) == (codec.width, codec.integer + codec.signed, codec.signed)
    if isinstance(codec, Binary):
        return any(base.__name__ == "XnorPrecisionType" for base in type(precision).__mro__)
    return isinstance(codec, Ternary) and (width, integer, signed) == (2, 2, True)


def type_text(precision: Any) -> str:
    """hls4ml's type without the modes that are its defaults."""
    return str(precision).replace(",TRN,WRAP,0", "").replace(",0>", ">")


def _require_equal(conversion: Conversion, tensor: WordTensor, data: NDArray[np.float64], held: HeldTensor) -> None:
    elements = held.elements
    ours = held.codes(tensor, tensor.words[elements], elements) * (1.0 if held.step is None else held.step)
    if data.shape != ours.shape:
        raise UnsupportedError(f"tensor '{tensor.path}': has {ours.size} words, hls4ml holds {data.size}")
    wrong = np.flatnonzero(data != ours)
    if wrong.size:
        first = int(wrong[0])
        element = [int(i) for i in np.unravel_index(int(elements[first]), tensor.shape)]
        raise UnsupportedError(
            f"tensor '{tensor.path}': {wrong.size} of {ours.size} words are not what hls4ml {conversion.version} "
            f"holds; element {element} is {ours[first]:g} in the model and {data[first]:g} there. The chip would "
            "compute another network; exclude the layer with ",
            Argument("layers", f"!{tensor.path.rsplit('/', 1)[0]}"),
            ", or change its quantizer or strategy",
        )


def require_held(order: Hls4mlOrder, golden: dict[str, NDArray[np.int64]]) -> None:
    """UnsupportedError unless the compiled library holds exactly the space's words."""
    for held, tensor in zip(order.tensors, order.space.tensors, strict=True):
        codes = held.codes(tensor, tensor.words[held.elements], held.elements)
        if held.variable not in golden or not np.array_equal(golden[held.variable], codes):
            raise UnsupportedError(
                f"tensor '{tensor.path}': the compiled emulation holds other words in '{held.variable}' than hls4ml "
                "wrote; faults there could not be injected"
            )
