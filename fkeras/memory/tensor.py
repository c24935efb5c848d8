"""One tensor of stored words: what the chip holds for one kernel or bias."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import prod

import numpy as np
from numpy.typing import NDArray

from fkeras.errors import Argument, InputError
from fkeras.memory.codecs import Codec, MixedFixedPoint, Values
from fkeras.memory.layout import Bits, TensorLayout, Words


@dataclass(frozen=True, eq=False)
class Part:
    """The words of a tensor that have one codec.

    elements: (n,) theirs, ascending; tensor: these words alone; first: (n,) their first bits within the whole tensor.
    """

    codec: Codec
    elements: Bits
    tensor: WordTensor
    first: Bits

    @property
    def bits(self) -> Bits:
        """The bits of its words within the whole tensor, (n, width)."""
        return self.first[:, None] + np.arange(self.codec.width)


@dataclass(frozen=True, eq=False)
class WordArray:
    """Words in the shape of a tensor: where their bits lie and what they mean.

    path: unique name; shape: of the tensor; codec: of all words or, as `MixedFixedPoint`, of each by itself.
    """

    path: str
    shape: tuple[int, ...]
    codec: Codec | MixedFixedPoint

    @cached_property
    def layout(self) -> TensorLayout:
        """Where the bits lie."""
        return TensorLayout(self.path, self.shape, self.codec.width)

    @property
    def size(self) -> int:
        """Number of words."""
        return prod(self.shape)

    @property
    def n_bits(self) -> int:
        """Number of bits."""
        return self.layout.n_bits

    @property
    def is_signed(self) -> NDArray[np.bool_]:
        """Whether the most significant bit of each word is its sign, (size,)."""
        return np.broadcast_to(np.asarray(getattr(self.codec, "signed", True)), self.size)

    def decode(self, words: Words, elements: Bits) -> Values:
        """What `words` mean in the places of `elements`, in units of the codec."""
        codec = self.codec
        return (codec[elements] if isinstance(codec, MixedFixedPoint) else codec).decode(words)


@dataclass(frozen=True, eq=False)
class WordTensor(WordArray):
    """The stored words of one weight tensor.

    path: unique name, `outer/inner/layer/tensor`; shape: Keras' shape of the tensor;
    codec: what a word means, all of them alike or, as `MixedFixedPoint`, each by itself;
    words: (size,) uint32 in Keras flatten order;
    scale: (size,) float32, the frozen constant that multiplies each decoded word;
    golden: (size,) float32, the values that the network itself computes with while nothing is wrong. QKeras returns
    x + (xq - x), which differs from word x scale by a rounding where the scale is no power of two.
    """

    words: Words
    scale: NDArray[np.float32]
    golden: NDArray[np.float32]

    def __post_init__(self) -> None:
        for name in ("words", "scale", "golden"):
            array = getattr(self, name)
            if array.shape != (self.size,):
                raise InputError(f"tensor '{self.path}': {name} has shape {array.shape}, expected ({self.size},)")
            array.flags.writeable = False
        widths = self.layout.widths
        wide = self.words.astype(np.int64) >> widths != 0
        if wide.any():
            raise InputError(f"tensor '{self.path}': a word does not fit into {int(widths[wide][0])} bits")
        if self.layout.n_empty and (self.golden[widths == 0] != 0).any():
            raise InputError(f"tensor '{self.path}': words of width 0 store nothing, so that their value must be 0")

    def __reduce__(self) -> tuple[type[WordTensor], tuple[object, ...]]:
        return WordTensor, (self.path, self.shape, self.codec, self.words, self.scale, self.golden)

    @cached_property
    def parts(self) -> tuple[Part, ...]:
        """Its words by codec; those of width 0 are in none."""
        if not isinstance(self.codec, MixedFixedPoint):
            elements = np.arange(self.size)
            return (Part(self.codec, elements, self, self.layout.first(elements)),)
        return tuple(self._part(*each) for each in self.codec.formats)

    def _part(self, codec: Codec, elements: Bits) -> Part:
        words, scale, golden = self.words[elements], self.scale[elements], self.golden[elements]
        tensor = WordTensor(self.path, elements.shape, codec, words, scale, golden)
        return Part(codec, elements, tensor, self.layout.first(elements))

    @property
    def sole_codec(self) -> Codec:
        """The codec of all words. InputError where each word has its own format."""
        if isinstance(self.codec, MixedFixedPoint):
            raise InputError(
                f"tensor '{self.path}' is {self.codec!r}; allowed here are words of one format: leave it out by ",
                Argument("layers", f"!{self.path.rpartition('/')[0] or self.path}"),
            )
        return self.codec

    @property
    def n_in_use(self) -> int:
        """How many of the words that there are it stores: one that it does not store announces a fault."""
        return sum(int(np.unique(part.tensor.words).size) for part in self.parts)

    @property
    def n_possible(self) -> int:
        """How many words there are: 2**width for each codec."""
        return sum(1 << part.tensor.layout.widest for part in self.parts)

    def values_of(self, words: Words, elements: Bits) -> NDArray[np.float32]:
        """What the network computes with when `elements` hold `words`: word x scale, rounded to float32 once.

        The product is exact in float64 for words of up to 29 bits, as a float32 scale has 24.
        """
        with np.errstate(invalid="ignore"):  # of a signalling NaN
            return (self.decode(words, elements) * self.scale[elements].astype(np.float64)).astype(np.float32)
