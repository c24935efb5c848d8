"""What the stored bits mean: codecs, addresses, tensors of words, the space of all bits."""

from fkeras.memory.address import BitAddress
from fkeras.memory.bitset import BitSet
from fkeras.memory.codecs import CODECS, Binary, Codec, FixedPoint, Float, MixedFixedPoint, PowerOfTwo, Ternary
from fkeras.memory.coverage import Coverage, LayerChoice
from fkeras.memory.layout import TensorLayout, layout_digest
from fkeras.memory.register import Register
from fkeras.memory.space import BitSpace, Location, Uncovered
from fkeras.memory.tensor import WordTensor

__all__ = [
    "CODECS",
    "Binary",
    "BitAddress",
    "BitSet",
    "BitSpace",
    "Codec",
    "Coverage",
    "FixedPoint",
    "Float",
    "LayerChoice",
    "Location",
    "MixedFixedPoint",
    "PowerOfTwo",
    "Register",
    "TensorLayout",
    "Ternary",
    "Uncovered",
    "WordTensor",
    "layout_digest",
]
