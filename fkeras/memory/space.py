"""The bit space: the ordered stored bits of a model, and everything that is not in it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fkeras.errors import Argument, InputError, LayoutError, one_of
from fkeras.memory.address import BitAddress
from fkeras.memory.bitset import BitSet
from fkeras.memory.codecs import MixedFixedPoint
from fkeras.memory.layout import Bits, Words, layout_digest
from fkeras.memory.register import Register
from fkeras.memory.tensor import WordTensor

_MIXED = -1


Memory = Literal["quantizer", "hls4ml"]


def require_memory(memory: object) -> None:
    """InputError for a memory that does not exist."""
    one_of("memory", memory, get_args(Memory))


@dataclass(frozen=True, slots=True)
class Uncovered:
    """Weights of the model that are not in the space, and why; parts: the reason where it speaks of arguments;
    layer: whose they are, "" where nobody said."""

    path: str
    n_values: int
    reason: str
    parts: tuple[str | Argument, ...] = field(default=(), repr=False, compare=False)
    layer: str = ""

    def __str__(self) -> str:
        return f"{self.path} ({self.n_values} values: {self.reason})"


@dataclass(frozen=True, slots=True, eq=False)
class Location:
    """Where flat bits lie: tensor number, element within the tensor, bit within the word, bits of the word; (n,) int64
    each."""

    tensor: Bits
    element: Bits
    bit: Bits
    width: Bits

    @property
    def mask(self) -> Words:
        """Each bit alone as a word: a 1 in its place."""
        return np.uint32(1) << (self.width - 1 - self.bit).astype(np.uint32)


@dataclass(frozen=True, eq=False)
class BitSpace:
    """The ordered bits of a model; a flat index and an address are two names of one bit.

    Order: stored tensors in model order, then registers; elements in Keras flatten order, most significant bit first.
    `a + b` is the space of both.

    Arguments:
        tensors: the stored words, a tensor each.
        uncovered: what the model holds besides them, and why no fault can hit it.
        memory: in which words: "quantizer", those of the model's own quantizers; "hls4ml", those that hls4ml makes of
            its values.
        registers: words that are written anew for every sample.
    """

    tensors: tuple[WordTensor, ...]
    uncovered: tuple[Uncovered, ...] = ()
    memory: Memory = "quantizer"
    registers: tuple[Register, ...] = ()

    def __post_init__(self) -> None:
        paths = [array.path for array in self.arrays]
        if len(set(paths)) != len(paths):
            raise InputError(f"two tensors have one name: {sorted({p for p in paths if paths.count(p) > 1})}")

    @cached_property
    def arrays(self) -> tuple[WordTensor | Register, ...]:
        """All that it consists of, in order."""
        return (*self.tensors, *self.registers)

    def __add__(self, other: BitSpace) -> BitSpace:
        """The bits of both: stored words of the one and the other, then their registers."""
        if not isinstance(other, BitSpace):
            return NotImplemented
        if self.tensors and other.tensors and self.memory != other.memory:
            raise InputError(
                "a space in words of ",
                Argument("memory", self.memory),
                " and one of ",
                Argument("memory", other.memory),
                " are not of one chip; read both in one of them",
            )
        memory = self.memory if self.tensors else other.memory
        parts = (self.tensors + other.tensors, self._open(other) + other._open(self), memory)
        return BitSpace(*parts, self.registers + other.registers)

    def _open(self, other: BitSpace) -> tuple[Uncovered, ...]:
        """What it leaves out and another space does not cover."""
        covered = {array.path for array in other.arrays}
        return tuple(entry for entry in self.uncovered if entry.path not in covered and entry not in other.uncovered)

    @cached_property
    def kinds(self) -> tuple[str, ...]:
        """Which memory of a chip each array belongs to: "weights", "biases", "tables", or a register's own."""
        return tuple(kind_of(array) for array in self.arrays)

    def part(self, kind: str) -> tuple[BitSpace, Bits]:
        """The arrays of one kind of memory as a space of their own, and the flat indices of their bits here."""
        chosen = [number for number, each in enumerate(self.kinds) if each == kind]
        starts, ends = self.offsets[chosen], self.offsets[np.array(chosen, np.int64) + 1]
        bits = [np.arange(start, end) for start, end in zip(starts, ends, strict=True)]
        tensors = tuple(tensor for tensor in self.tensors if kind_of(tensor) == kind)
        registers = tuple(register for register in self.registers if register.memory == kind)
        return BitSpace(tensors, (), self.memory, registers), np.concatenate([np.zeros(0, np.int64), *bits])

    @cached_property
    def is_register(self) -> NDArray[np.bool_]:
        """Whether each bit is one of a register, (n_bits,)."""
        return np.asarray(np.arange(len(self)) >= self.offsets[len(self.tensors)])

    def require_stored(self, what: str) -> None:
        """InputError for registers, which hold no word before a sample is computed."""
        if self.registers:
            raise InputError(
                f"{what} needs words that are stored, and register '{self.registers[0].path}' is written anew for "
                "every sample; ask it of fkeras.bit_space(model, of='weights')"
            )

    @cached_property
    def offsets(self) -> Bits:
        """The flat index of each tensor's first bit, and the number of bits at the end; (n_tensors + 1,)."""
        return np.cumsum([0, *(array.n_bits for array in self.arrays)], dtype=np.int64)

    def __len__(self) -> int:
        return int(self.offsets[-1])

    def __iter__(self) -> Iterator[BitAddress]:
        return (self.address(bit) for bit in range(len(self)))

    def __repr__(self) -> str:
        return f"<BitSpace of {len(self):,} bits in {len(self.arrays)} tensors, layout {self.layout_digest[:8]}>"

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        printer.text(repr(self))  # not field by field, as hypothesis prints dataclasses

    @cached_property
    def _number(self) -> dict[str, int]:
        return {array.path: number for number, array in enumerate(self.arrays)}

    def check(self, bits: ArrayLike) -> Bits:
        """`bits` as (n,) int64 flat indices of this space, or an InputError; LayoutError for another space's BitSet."""
        if isinstance(bits, BitSet):
            self.require_layout(bits.layout_digest, f"{bits!r}")
        flat = np.atleast_1d(np.asarray(bits))
        if flat.size == 0:
            return np.zeros(0, np.int64)
        if flat.dtype.kind not in "iu" or flat.ndim != 1:
            raise InputError(
                f"bits are flat indices, whole numbers in one dimension; got {flat.dtype} of shape "
                f"{flat.shape}; `space.index(address)` turns an address into one"
            )
        wrong = flat[(flat < 0) | (flat >= len(self))]
        if wrong.size:
            raise InputError(
                f"bit {int(wrong[0])} does not exist: the space has {len(self):,} bits, 0 to {len(self) - 1}"
            )
        return flat.astype(np.int64)

    def locate(self, bits: ArrayLike) -> Location:
        """Tensor, element and bit of each flat index, and the width of its word."""
        flat = self.check(bits)
        tensor = np.searchsorted(self.offsets, flat, side="right").astype(np.int64) - 1
        within, width = flat - self.offsets[tensor], self._widths[tensor]
        element, bit = np.divmod(within, width)
        for number in self._mixed:
            here, layout = tensor == number, self.arrays[number].layout
            element[here], bit[here] = layout.locate(within[here])
            width[here] = layout.widths[element[here]]
        return Location(tensor, element, bit, width)

    @cached_property
    def _mixed(self) -> list[int]:
        """The tensors whose words differ in width."""
        return np.flatnonzero(self._widths == _MIXED).tolist()

    @cached_property
    def _widths(self) -> Bits:
        """Bits of the words of each tensor, (n_tensors,); _MIXED where they differ."""
        layouts = (array.layout for array in self.arrays)
        return np.array([one.width if isinstance(one.width, int) else _MIXED for one in layouts], np.int64)

    def address(self, index: int) -> BitAddress:
        """The address of a flat index."""
        place = self.locate(index)
        tensor = self.arrays[int(place.tensor[0])]
        element = np.unravel_index(int(place.element[0]), tensor.shape) if tensor.shape else ()
        return BitAddress(tensor.path, tuple(int(i) for i in element), int(place.bit[0]))

    def index(self, address: BitAddress | str) -> int:
        """The flat index of an address, given as such or as text."""
        where = address if isinstance(address, BitAddress) else BitAddress.parse(address)
        if where.tensor not in self._number:
            raise InputError(f"no tensor '{where.tensor}' in this space; it has {', '.join(self._number) or 'none'}")
        number = self._number[where.tensor]
        tensor = self.arrays[number]
        if len(where.element) != len(tensor.shape) or not all(
            0 <= i < n for i, n in zip(where.element, tensor.shape, strict=True)
        ):
            raise InputError(
                f"tensor '{where.tensor}' has shape {tensor.shape}; element {list(where.element)} does not exist"
            )
        element = int(np.ravel_multi_index(where.element, tensor.shape)) if tensor.shape else 0
        width = int(tensor.layout.widths[element])
        if not 0 <= where.bit < width:
            words = f"tensor '{where.tensor}' has {tensor.layout.words_text}"
            if not isinstance(tensor.layout.width, int):
                words += f", element {list(where.element)} one of {width}"
            raise InputError(
                f"{words}; bit {where.bit} does not exist "
                f"({f'0 = MSB ... {width - 1} = LSB' if width else 'a word of no bits stores nothing and is always 0'})"
            )
        return int(self.offsets[number] + tensor.layout.first(element)) + where.bit

    def is_sign(self, address: BitAddress | str) -> bool:
        """Whether an address is that of a sign."""
        place = self.locate(self.index(address))
        return bool(place.bit[0] == 0 and self.arrays[place.tensor[0]].is_signed[place.element[0]])

    @cached_property
    def bit_positions(self) -> Bits:
        """The bit within its word of every flat index; (n_bits,), 0 is the most significant."""
        return self.locate(np.arange(len(self))).bit

    @cached_property
    def layout_digest(self) -> str:
        """SHA-256 of names, shapes and widths: the same after retraining."""
        return layout_digest(array.layout for array in self.arrays)

    @cached_property
    def content_digest(self) -> str:
        """SHA-256 of the layout, the codecs, the scales and the words themselves."""
        digest = hashlib.sha256(b"fkeras-content/1" + self.layout_digest.encode())
        for tensor in self.tensors:
            codec = tensor.codec
            digest.update((codec.digest if isinstance(codec, MixedFixedPoint) else repr(codec)).encode())
            digest.update(tensor.words.astype("<u4").tobytes())
            digest.update(tensor.scale.astype("<f4").tobytes())
        for register in self.registers:
            digest.update(register.text.encode())
        return digest.hexdigest()

    @property
    def has_trained_widths(self) -> bool:
        """Whether retraining gives another layout: words that are as wide as their values need, or as was trained."""
        trained = any(isinstance(array.codec, MixedFixedPoint) for array in self.arrays)
        return trained or self.memory == "hls4ml" or "accumulators" in self.kinds

    def require_layout(self, layout_digest: str | None, what: str) -> None:
        """LayoutError unless `layout_digest` (None: unknown, accepted) is this space's own."""
        if layout_digest is not None and layout_digest != self.layout_digest:
            raise LayoutError(
                f"{what} belongs to a memory of layout {layout_digest[:12]}, this one has "
                f"{self.layout_digest[:12]}: names, shapes or widths differ; make it again for this "
                "model, or pass the space it was made with"
            )


def kind_of(array: WordTensor | Register) -> str:
    """Which memory of a chip an array belongs to."""
    if isinstance(array, Register):
        return array.memory
    last = array.path.rpartition("/")[2]
    return {"bias": "biases", "levels": "tables"}.get(last, "weights")


def concatenate_values(tensors: Sequence[WordTensor]) -> NDArray[np.float32]:
    """All golden values in space order: the vector theta of the paper's eq. (1) to (3)."""
    return np.concatenate([tensor.golden for tensor in tensors]) if tensors else np.zeros(0, np.float32)
