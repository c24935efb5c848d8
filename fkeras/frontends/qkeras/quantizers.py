"""Which codec a QKeras quantizer's words have, and how its float values become words."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fkeras.errors import InputError
from fkeras.memory import Binary, Codec, FixedPoint, PowerOfTwo, Ternary
from fkeras.memory.codecs import Values
from fkeras.memory.layout import MAX_WIDTH, Words
from fkeras.memory.refusals import Refusal, Refused
from fkeras.memory.space import Memory

SUPPORTED = (
    "quantized_bits",
    "quantized_linear",
    "binary",
    "stochastic_binary",
    "ternary",
    "stochastic_ternary",
    "quantized_po2",
)

OFF_GRID = 0.05
"""How far from its grid, in steps, a quantizer's output may lie: far above the rounding of x + (xq - x), far below
the half step at which the word would be in doubt."""

NO_SCALE = np.finfo(np.float32).tiny
"""Scales below are 0 to TensorFlow, which computes without denormal numbers."""

_EXACT_INTEGERS = 24
"""float32 holds every whole number of so many bits."""

_TIE = 1e-5
"""Far above the rounding of a logarithm."""

_MOST_INTEGER_BITS = 31
"""QKeras' 2**integer is 0 beyond."""


def codec_of(quantizer: Any, layer_path: str, qkeras: Any, memory: Memory = "quantizer") -> Codec:
    """The codec of a quantizer of `qkeras`, the module. UnsupportedError names the layer and the quantizer."""
    kind = type(quantizer).__name__
    known = getattr(qkeras.quantizers, kind, None) if kind in SUPPORTED else None
    if known is None or type(quantizer) is not known:
        raise Refused(
            Refusal(layer_path, f": the words of quantizer {kind} are not known; supported are {', '.join(SUPPORTED)}")
        )
    alpha = getattr(quantizer, "alpha", None)
    if alpha is not None and not isinstance(alpha, str) and (np.abs(np.asarray(alpha, np.float32)) < NO_SCALE).any():
        raise Refused(
            Refusal(
                layer_path,
                f" ({kind}): alpha={alpha!r} makes weights 0 whatever is stored: their words cannot be known, and no "
                "flip in them could do harm",
                "give alpha other numbers than 0",
            )
        )
    if kind in ("ternary", "stochastic_ternary"):
        return Ternary()
    if kind in ("binary", "stochastic_binary"):
        return FixedPoint(1, 1, signed=False) if getattr(quantizer, "use_01", False) else Binary()
    try:
        if kind == "quantized_po2":
            # hls4ml stores the exponent in as many bits as QKeras spends on exponent and sign.
            return PowerOfTwo(int(quantizer.bits) + 1) if memory == "hls4ml" else _power_of_two(quantizer)
        return _linear(quantizer, layer_path) if kind == "quantized_linear" else _fixed_point(quantizer, layer_path)
    except Refused:
        raise
    except InputError as error:
        raise Refused(Refusal(layer_path, f" ({kind}): {error}")) from error


def _fixed_point(quantizer: Any, layer_path: str) -> Codec:
    if not quantizer.keep_negative and isinstance(quantizer.alpha, str):
        raise Refused(
            Refusal(
                layer_path,
                f": quantized_bits with keep_negative=0 and alpha='{quantizer.alpha}' emits negative values that its "
                "unsigned words cannot hold",
                "use keep_negative=1 or a number for alpha",
            )
        )
    if quantizer.bits == 1 and quantizer.keep_negative:
        if isinstance(quantizer.alpha, str):
            raise Refused(
                Refusal(
                    layer_path,
                    f": quantized_bits(1) with alpha='{quantizer.alpha}' emits only zeros",
                    "use a number for alpha, or binary()",
                )
            )
        return Binary()
    return FixedPoint(int(quantizer.bits), int(quantizer.integer), signed=bool(quantizer.keep_negative))


def _linear(quantizer: Any, layer_path: str) -> Codec:
    if quantizer.bits == 1 and quantizer.keep_negative:
        reason = ": quantized_linear(1) emits half steps, for which it has no words"
        raise Refused(Refusal(layer_path, reason, "use binary()"))
    return FixedPoint(int(quantizer.bits), int(quantizer.integer), signed=bool(quantizer.keep_negative))


def _power_of_two(quantizer: Any) -> Codec:
    """With a maximum of at most 1 QKeras spends no bit on the exponent's sign."""
    spacing = 2 if quantizer.quadratic_approximation else 1
    if quantizer.max_value is None or quantizer.max_value > 1:
        return PowerOfTwo(int(quantizer.bits), spacing=spacing)
    rounding = 0.0 if quantizer.log2_rounding == "floor" else 0.5
    with np.errstate(divide="ignore"):
        exponent = np.log2(np.float64(quantizer.max_value)) / spacing
    # In a tie TensorFlow's logarithm rounds some elements of a tensor up and some down; the words must hold both.
    largest = np.clip(np.floor(exponent + rounding + _TIE), quantizer._min_exp, quantizer._max_exp)
    return PowerOfTwo(int(quantizer.bits), spacing * int(largest), spacing)


def words_of(codec: Codec, golden: NDArray[np.float32], scale: NDArray[np.float32], path: str) -> Words:
    """The words behind the float values that a quantizer emits. UnsupportedError when they cannot be told."""

    def refused(reason: str, remedy: str) -> Refused:
        return Refused(Refusal(path.rsplit("/", 1)[0], reason, remedy, path))

    dead = np.abs(scale) < NO_SCALE
    # A channel of zeros gets the scale 0 from alpha='auto', and its words are 0 where there is a word for it.
    if dead.any() and (dead.all() or codec.width == 1):
        raise refused(
            f": the scale of {int(dead.sum())} of {dead.size} weights is 0: their words cannot be known, and no flip "
            "in them could do harm",
            "give alpha='auto_po2', whose scales are never 0",
        )
    units = np.divide(golden, scale, out=np.zeros(golden.size), where=~dead, dtype=np.float64)
    nearest = _nearest(codec, units)
    grid = np.maximum(codec.step, np.abs(nearest)) if isinstance(codec, PowerOfTwo) else codec.step
    off = ~(np.abs(nearest - units) <= OFF_GRID * grid)
    if off.any():
        raise refused(
            f": {int(off.sum())} of {off.size} values are not on the grid of {codec} (the first is "
            f"{float(golden[off][0])!r})",
            "the weights must be finite and the quantizer must quantize fully (qnoise_factor=1)",
        )
    try:
        return codec.encode(nearest)
    except InputError as error:
        why, remedy = _beyond(codec)
        raise refused(f": {error}. {why}", remedy) from error


def _beyond(codec: Codec) -> tuple[str, str]:
    """Why a quantizer emits values that its own words cannot hold, and the remedy."""
    if isinstance(codec, PowerOfTwo) and codec.largest_exponent is not None:
        return (
            "With a max_value of at most 1 quantized_po2 has no sign bit for the exponent, and emits an exponent below "
            "the smallest that its bits hold",
            "give it a larger max_value, such as 2",
        )
    if isinstance(codec, FixedPoint):
        if codec.integer == _MOST_INTEGER_BITS:
            return (
                "QKeras computes 2**31 in whole numbers of 32 bits, where it is negative, so the clip limits swap",
                "use at most integer=30, and weights below its limit",
            )
        if codec.width - codec.signed <= _EXACT_INTEGERS:
            return (
                "float32 rounds what QKeras computes for weights far beyond its clip limit",
                "use so many integer bits that no weight reaches the limit, or clip the weights there",
            )
        return (
            f"float32 rounds QKeras' upper clip limit, 2**{codec.width - codec.signed} - 1 steps, up to what no "
            f"{codec.width}-bit word holds",
            "use so many integer bits that no weight reaches the limit, or clip the weights there and use at most "
            f"{_EXACT_INTEGERS + codec.signed} bits",
        )
    return "The quantizer emits values that its own bits cannot hold", "give it more bits"


def uncomputable(quantizer: Any) -> str:
    """Why QKeras cannot compute a quantizer at all, with the remedy; "" where it can."""
    stated = getattr(quantizer, "integer", None)
    if stated is None or np.size(stated) != 1:  # one per channel: QAdaptiveActivation works them out itself
        return ""
    name, integer, bits = type(quantizer).__name__, int(np.asarray(stated).reshape(())), int(quantizer.bits)
    if 0 <= integer <= _MOST_INTEGER_BITS:
        return ""
    if integer > 0:
        return (
            f"({name}): integer={integer}; QKeras computes 2**integer in whole numbers of 32 bits, so that the model "
            "computes NaN; allowed are 0 to 30"
        )
    if isinstance(getattr(quantizer, "alpha", None), str) or (name == "quantized_bits" and quantizer.alpha is None):
        remedy = "use integer=0, which is the same quantizer, as its scale follows the weights"
    elif bits - integer <= MAX_WIDTH:
        remedy = f"use {name}({bits - integer}, 0, ...), which has the same step"
    else:
        remedy = "scale what it quantizes up"
    return (
        f"({name}): integer={integer}; QKeras computes 2**integer in whole numbers, so that the model cannot be "
        f"computed at all; {remedy}"
    )


def _nearest(codec: Codec, units: Values) -> Values:
    if isinstance(codec, Binary):
        return np.where(units < 0, -1.0, 1.0)
    if isinstance(codec, PowerOfTwo):
        exponents = np.rint(np.log2(np.abs(units), out=np.zeros_like(units), where=units != 0))
        return np.copysign(np.exp2(exponents), units)
    return np.rint(units / codec.step) * codec.step
