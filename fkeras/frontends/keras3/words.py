"""The formats of HGQ2's quantizers: how wide each element is, and what it can hold."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fkeras.errors import InputError
from fkeras.frontends.keras3.setup import array
from fkeras.memory import Codec, FixedPoint, MixedFixedPoint, WordTensor
from fkeras.memory.layout import MAX_WIDTH
from fkeras.memory.refusals import Refusal, Refused
from fkeras.network.operation import Floats

ROUNDINGS = {"RND": "half_up", "RND_CONV": "half_even", "TRN": "floor"}
OVERFLOWS = ("SAT", "SAT_SYM", "WRAP")
FIXED_POINT = ("FixedPointQuantizerKBI", "FixedPointQuantizerKIF")
Exponents = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Format:
    """What a fixed-point quantizer of HGQ2 makes of each element: whole numbers of 2**-fraction.

    signed, integer (the sign excluded), fraction: of one shape; overflow: SAT, SAT_SYM or WRAP; rounding: as a network
    calls it.
    """

    signed: Exponents
    integer: Exponents
    fraction: Exponents
    overflow: str
    rounding: str

    @property
    def width(self) -> Exponents:
        """Bits of each element; 0 where it is 0 whatever is trained. A sign alone is a word of its own, {-2**i, 0}, but
        where the range is symmetric."""
        whole = self.integer + self.fraction
        holds = (whole > 0) | ((whole == 0) & (self.signed == 1) & (self.overflow != "SAT_SYM"))
        return np.where(holds, self.signed + whole, 0)

    def spread(self, shape: tuple[int, ...]) -> Format:
        """Of every element of a tensor."""
        signed, integer, fraction = (
            np.broadcast_to(part, shape) for part in (self.signed, self.integer, self.fraction)
        )
        return Format(signed, integer, fraction, self.overflow, self.rounding)

    @property
    def codec(self) -> Codec | MixedFixedPoint:
        """What the words of the elements mean. InputError for words that are too wide."""
        width, integer, signed = (part.reshape(-1) for part in (self.width, self.integer, self.signed))
        alike = all((part == part[:1]).all() for part in (width, integer, signed))
        if alike and width.size and width[0]:
            return FixedPoint(int(width[0]), int(integer[0]), bool(signed[0]))
        return MixedFixedPoint(width, integer, signed == 1)


def unknown_quantizer(quantizer: Any) -> str:
    """Why the words of a quantizer are not known, "" where they are."""
    inner = quantizer.quantizer
    kind = type(inner).__name__
    if quantizer.scaler is not None:
        return f"its quantizer has a scaler ({quantizer.scaler!r}): what is stored is the value divided by it"
    if quantizer.affine is not None:
        return f"its quantizer has an affine map ({quantizer.affine!r}) behind what is stored"
    if kind not in FIXED_POINT:
        return f"its quantizer is a {kind}; supported are {', '.join(FIXED_POINT)}"
    if inner.overflow_mode not in OVERFLOWS:
        return f"its quantizer has the overflow mode {inner.overflow_mode}; supported are {', '.join(OVERFLOWS)}"
    if inner.round_mode.removeprefix("S_") not in ROUNDINGS:
        return f"its quantizer has the round mode {inner.round_mode}; supported are {', '.join(ROUNDINGS)}"
    return ""


def format_of(quantizer: Any) -> Format:
    """The format of a quantizer whose words are known, in the shape that it was trained in."""
    inner = quantizer.quantizer
    signed, integer, fraction = np.broadcast_arrays(*(np.rint(array(part)).astype(np.int64) for part in inner.kif))
    return Format(signed, integer, fraction, inner.overflow_mode, ROUNDINGS[inner.round_mode.removeprefix("S_")])


def words_of(path: str, quantizer: Any, emitted: Any) -> WordTensor:
    """The words behind what a weight's quantizer emits. Refused where they are not known."""
    layer_path, name = path.rsplit("/", 1)
    if why := unknown_quantizer(quantizer):
        raise Refused(Refusal(layer_path, f": {why}", tensor=path if name != "kernel" else ""))
    golden = np.asarray(array(emitted), np.float32)
    form = format_of(quantizer).spread(golden.shape)
    flat = golden.reshape(-1).copy()
    try:
        codec = form.codec
    except InputError as error:
        remedy = f"train with at most {MAX_WIDTH} bits a weight (bc=MinMax(0, {MAX_WIDTH - 1}))"
        raise Refused(Refusal(layer_path, f": {error}", remedy, path)) from error
    try:
        words = codec.encode(flat)
    except InputError as error:
        why = (
            ". In WRAP mode HGQ2 leaves weights as they are until their range was traced"
            if form.overflow == "WRAP"
            else ""
        )
        remedy = "run hgq.utils.trace_minmax(model, data) and save the model again" if why else ""
        raise Refused(Refusal(layer_path, f": {error}{why}", remedy, path)) from error
    return WordTensor(path, golden.shape, codec, words, np.ones(flat.size, np.float32), flat)


def as_hls4ml(tensor: WordTensor) -> WordTensor:
    """The same values in the words that hls4ml stores: of one format for the tensor, just wide enough for all."""
    integer, fraction, signed = smallest_format(tensor.golden)
    codec = FixedPoint(max(integer + fraction + signed, 1), integer, bool(signed))
    return WordTensor(tensor.path, tensor.shape, codec, codec.encode(tensor.golden), tensor.scale, tensor.golden)


def smallest_format(values: Floats) -> tuple[int, int, int]:
    """Integer bits without the sign, fraction bits and sign bit that hold every value, as hls4ml counts them: a 0 asks
    for none, and for no fewer."""
    mantissas, exponents = np.frexp(values.astype(np.float64))
    is_zero = mantissas == 0
    odd = np.where(is_zero, 1, (np.abs(mantissas) * 2.0**53).astype(np.int64))
    fraction = 53 - exponents - np.log2((odd & -odd).astype(np.float64)).astype(np.int64)
    integer = exponents - (mantissas == -0.5)  # -2**i needs i bits, 2**i one more
    fewest = -(2**31)
    most = (int(np.where(is_zero, 0, part).max(initial=fewest)) for part in (integer, fraction))
    return (*most, int((values < 0).any()))  # type: ignore[return-value]
