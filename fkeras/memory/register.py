"""One register file: words that are written anew for every sample, such as a layer's activations or accumulators."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from fkeras.errors import InputError
from fkeras.memory.codecs import Codec, FixedPoint, MixedFixedPoint
from fkeras.memory.layout import Bits, TensorLayout, Words

Registers = Literal["activations", "inputs", "outputs", "accumulators"]
REGISTERS: tuple[Registers, ...] = get_args(Registers)
_ON_GRID = 2.0**-8
"""So far from a step, in steps, a value may lie: float32 arrives at some quantized values by a rounding."""


@dataclass(frozen=True, eq=False)
class Register:
    """The words in which one tensor of a network is held.

    path: unique name, `layer/activation`; shape: of one sample; codec: what a word means; memory: which of a chip's
    memories it belongs to; tensor: the network's tensor; scale: what a decoded word is multiplied with; quantizer: the
    node that makes the words of what stands there, "" where they stand there already.
    """

    path: str
    shape: tuple[int, ...]
    codec: Codec | MixedFixedPoint
    memory: Registers
    tensor: str
    scale: float = 1.0
    quantizer: str = ""

    @cached_property
    def layout(self) -> TensorLayout:
        """Where its bits lie."""
        return TensorLayout(self.path, self.shape, self.codec.width)

    @property
    def text(self) -> str:
        """What tells it from others of its layout."""
        codec = self.codec.digest if isinstance(self.codec, MixedFixedPoint) else repr(self.codec)
        return f"{codec}|{self.scale!r}|{self.tensor}|{self.memory}|{self.quantizer}\n"

    @property
    def size(self) -> int:
        """Number of words."""
        return prod(self.shape)

    @property
    def n_bits(self) -> int:
        """Number of bits that it holds for a sample."""
        return self.layout.n_bits

    @property
    def is_signed(self) -> NDArray[np.bool_]:
        """Whether the most significant bit of each word is its sign, (size,)."""
        return np.broadcast_to(np.asarray(getattr(self.codec, "signed", True)), self.size)

    @property
    def step(self) -> float:
        """The grid of everything that its words decode to."""
        return self.codec.step * self.scale

    @property
    def largest(self) -> float:
        """The largest magnitude that any word decodes to."""
        return self.codec.largest * self.scale

    def decode(self, words: Words, elements: Bits) -> NDArray[np.float64]:
        """What `words` mean in the places of `elements`, in units of the codec."""
        codec = self.codec
        return (codec[elements] if isinstance(codec, MixedFixedPoint) else codec).decode(words)

    def faulty(
        self, values: NDArray[np.float32], elements: Bits, flips: Words, ones: Words, zeros: Words
    ) -> NDArray[np.float32]:
        """What is read in place of `values` when bits of their words flip or are stuck; (n,) each.

        elements: their places; flips, ones, zeros: words whose bits say which. InputError for values that have no word.
        Only an accumulator may hold a sum beyond its words, under other faults: its upper part stays as it is.
        """
        exact = values.astype(np.float64) / self.scale
        codec = self.codec[elements] if isinstance(self.codec, MixedFixedPoint) else self.codec
        if not isinstance(codec, FixedPoint | MixedFixedPoint):
            words = codec.encode(np.where(np.abs(exact - np.rint(exact)) < _ON_GRID, np.rint(exact), exact))
            return np.asarray(codec.decode((words ^ flips | ones) & ~zeros) * self.scale, np.float32)
        width = np.asarray(codec.width, np.int64)
        steps = np.ldexp(1.0, np.asarray(codec.integer) + np.asarray(codec.signed) - width)
        codes = np.rint(exact / steps)
        words = (codes.astype(np.int64) & ((np.int64(1) << width) - 1)).astype(np.uint32)
        held = codec.decode(words)
        off = np.abs(exact / steps - codes) > _ON_GRID
        if self.memory != "accumulators":
            off |= held != codes * steps
        if off.any():
            raise InputError(
                f"register '{self.path}' holds words of {codec!r}, and {int(off.sum())} value(s) have none, the first "
                f"is {float(values[off][0])!r}; quantize the data to this format, or name another one by input_format"
            )
        read = codec.decode((words ^ flips | ones) & ~zeros)
        return np.asarray((codes * steps + (read - held)) * self.scale, np.float32)
