"""One tensor of stored words: what the chip holds for one kernel or bias."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

import numpy as np
from numpy.typing import NDArray

from fkeras.errors import InputError
from fkeras.memory.codecs import Codec, Words


@dataclass(frozen=True, slots=True, eq=False)
class WordTensor:
    """The stored words of one weight tensor.

    path: unique name, `outer/inner/layer/tensor`; shape: Keras' shape of the tensor;
    codec: what a word means; words: (size,) uint32 in Keras flatten order;
    scale: (size,) float32, the frozen constant that multiplies each decoded word;
    golden: (size,) float32, the values that the network itself computes with while nothing is wrong. QKeras returns
    x + (xq - x), which differs from word x scale by a rounding where the scale is no power of two.
    """

    path: str
    shape: tuple[int, ...]
    codec: Codec
    words: Words
    scale: NDArray[np.float32]
    golden: NDArray[np.float32]

    def __post_init__(self) -> None:
        for name in ("words", "scale", "golden"):
            array = getattr(self, name)
            if array.shape != (self.size,):
                raise InputError(f"tensor '{self.path}': {name} has shape {array.shape}, expected ({self.size},)")
            array.flags.writeable = False
        if self.codec.width < 32 and (self.words >> self.codec.width).any():
            raise InputError(f"tensor '{self.path}': a word does not fit into {self.codec.width} bits")

    @property
    def size(self) -> int:
        """Number of words."""
        return prod(self.shape)

    @property
    def n_bits(self) -> int:
        """Number of stored bits."""
        return self.size * self.codec.width

    @property
    def n_in_use(self) -> int:
        """How many of the 2**width words that there are it stores: one that it does not store announces a fault."""
        return int(np.unique(self.words).size)

    def values_of(self, words: Words, elements: NDArray[np.int64]) -> NDArray[np.float32]:
        """What the network computes with when `elements` hold `words`: word x scale, rounded to float32 once.

        The product is exact in float64 for words of up to 29 bits, as a float32 scale has 24.
        """
        return (self.codec.decode(words) * self.scale[elements].astype(np.float64)).astype(np.float32)
