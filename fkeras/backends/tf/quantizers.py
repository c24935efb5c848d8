"""Which codec a QKeras quantizer's words have, and how its float values become words."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fkeras.backends.tf.setup import qkeras
from fkeras.errors import InputError, UnsupportedError
from fkeras.memory import Binary, Codec, FixedPoint, PowerOfTwo, Ternary
from fkeras.memory.codecs import Values, Words

SUPPORTED = ("quantized_bits", "binary", "stochastic_binary", "ternary", "stochastic_ternary", "quantized_po2")

OFF_GRID = 0.05
"""How far from its grid, in steps, a quantizer's output may lie: far above the rounding of x + (xq - x), far below
the half step at which the word would be in doubt."""


def codec_of(quantizer: Any, layer_path: str) -> Codec:
    """The codec of a QKeras quantizer. UnsupportedError names the layer and the quantizer."""
    kind = type(quantizer).__name__
    known = getattr(qkeras().quantizers, kind, None) if kind in SUPPORTED else None
    if known is None or type(quantizer) is not known:
        raise UnsupportedError(
            f"layer '{layer_path}': the words of quantizer {kind} are not known; supported are "
            f"{', '.join(SUPPORTED)}; exclude the layer with layers='!{layer_path}'"
        )
    if kind in ("ternary", "stochastic_ternary"):
        return Ternary()
    if kind in ("binary", "stochastic_binary"):
        return FixedPoint(1, 1, signed=False) if getattr(quantizer, "use_01", False) else Binary()
    try:
        return PowerOfTwo(int(quantizer.bits)) if kind == "quantized_po2" else _fixed_point(quantizer, layer_path)
    except UnsupportedError:
        raise
    except InputError as error:
        raise UnsupportedError(
            f"layer '{layer_path}' ({kind}): {error}; exclude it with layers='!{layer_path}'"
        ) from error


def _fixed_point(quantizer: Any, layer_path: str) -> Codec:
    if not quantizer.keep_negative and isinstance(quantizer.alpha, str):
        raise UnsupportedError(
            f"layer '{layer_path}': quantized_bits with keep_negative=0 and "
            f"alpha='{quantizer.alpha}' emits negative values that its unsigned words cannot hold; "
            f"use keep_negative=1 or a number for alpha, or exclude it with layers='!{layer_path}'"
        )
    if quantizer.bits == 1 and quantizer.keep_negative:
        if isinstance(quantizer.alpha, str):
            raise UnsupportedError(
                f"layer '{layer_path}': quantized_bits(1) with alpha='{quantizer.alpha}' emits only "
                "zeros; use a number for alpha, or binary(), or exclude it with "
                f"layers='!{layer_path}'"
            )
        return Binary()
    return FixedPoint(int(quantizer.bits), int(quantizer.integer), signed=bool(quantizer.keep_negative))


def words_of(codec: Codec, golden: NDArray[np.float32], scale: NDArray[np.float32], path: str) -> Words:
    """The words behind the float values that a quantizer emits. UnsupportedError when a value is off the grid."""
    remedy = f"or exclude the layer with layers='!{path.rsplit('/', 1)[0]}'"
    units = np.divide(golden, scale, out=np.zeros(golden.size), where=scale != 0, dtype=np.float64)
    nearest = _nearest(codec, units)
    grid = np.maximum(codec.step, np.abs(nearest)) if isinstance(codec, PowerOfTwo) else codec.step
    off = ~(np.abs(nearest - units) <= OFF_GRID * grid)
    if off.any():
        raise UnsupportedError(
            f"tensor '{path}': {int(off.sum())} of {off.size} values are not on the grid of {codec} (the first is "
            f"{float(golden[off][0])!r}); the weights must be finite and the quantizer must quantize fully "
            f"(qnoise_factor=1), {remedy}"
        )
    try:
        return codec.encode(nearest)
    except InputError as error:
        raise UnsupportedError(
            f"tensor '{path}': {error}. The quantizer emits values that its own bits cannot hold; give it more bits, "
            f"{remedy}"
        ) from error


def _nearest(codec: Codec, units: Values) -> Values:
    if isinstance(codec, Binary):
        return np.where(units < 0, -1.0, 1.0)
    if isinstance(codec, PowerOfTwo):
        exponents = np.rint(np.log2(np.abs(units), out=np.zeros_like(units), where=units != 0))
        return np.copysign(np.exp2(exponents), units)
    return np.rint(units / codec.step) * codec.step
