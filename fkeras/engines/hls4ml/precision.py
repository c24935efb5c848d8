"""Fixed-point types for every layer, wide enough that nothing is lost which QKeras keeps.

hls4ml infers types where a configuration says "auto", but drops a `quantized_bits` activation behind a layer whose type
it infers, and narrows what it cannot infer to a default. So every result and accumulator type is stated.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import ceil, log2
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fkeras.errors import InputError, UnsupportedError

Layer = Mapping[str, Any]
"""A layer as hls4ml's parser describes it."""

DEFAULT_INTEGER, DEFAULT_FRACTION = 16, 32
"""Bits left and right of the point where no layer asks for more: float scales (24-bit mantissas) fit."""
MANTISSA_BITS = 24

SAME = (
    *("Reshape", "Flatten", "Permute", "Transpose", "MaxPooling1D", "MaxPooling2D"),
    *("GlobalMaxPooling1D", "GlobalMaxPooling2D", "ZeroPadding1D", "ZeroPadding2D"),
    *("UpSampling1D", "UpSampling2D", "Cropping1D", "Cropping2D"),
)
AVERAGES = ("AveragePooling1D", "AveragePooling2D", "GlobalAveragePooling1D", "GlobalAveragePooling2D")
_TYPE = re.compile(r"(?:ap_)?(u?)(fixed|int)<([\d\s,-]+)(?:,\s*(?:AP_)?([A-Z_]+)(?:,\s*(?:AP_)?([A-Z_]+).*)?)?>")


@dataclass(frozen=True, slots=True)
class FixedType:
    """A fixed-point type of hls4ml: `integer` bits left of the point, the sign bit included.

    >>> str(FixedType(8, 1, False, "RND_CONV", "SAT"))
    'ufixed<8,1,RND_CONV,SAT>'
    >>> FixedType.parse("ap_int<2>")
    FixedType(width=2, integer=2, signed=True, rounding='TRN', overflow='WRAP')
    """

    width: int
    integer: int
    signed: bool = True
    rounding: str = "TRN"
    overflow: str = "WRAP"

    @classmethod
    def parse(cls, text: str) -> FixedType:
        """Read hls4ml's text. InputError for what is no fixed-point or integer type."""
        match = _TYPE.fullmatch(text.replace(" ", ""))
        if match is None:
            raise InputError(f"{text!r} is no fixed-point type; write fixed<width,integer> or ufixed<width,integer>")
        numbers = [int(number) for number in match[3].strip(",").split(",")]
        integer = numbers[0] if match[2] == "int" else numbers[1]
        return cls(numbers[0], integer, match[1] != "u", match[4] or "TRN", match[5] or "WRAP")

    def __str__(self) -> str:
        modes = "" if (self.rounding, self.overflow) == ("TRN", "WRAP") else f",{self.rounding},{self.overflow}"
        return f"{'' if self.signed else 'u'}fixed<{self.width},{self.integer}{modes}>"

    @property
    def fraction(self) -> int:
        """Bits right of the point."""
        return self.width - self.integer

    @property
    def step(self) -> float:
        """The distance of neighbouring values."""
        return float(2.0**-self.fraction)

    @property
    def lowest(self) -> float:
        """The smallest value."""
        return -float(2.0 ** (self.integer - 1)) if self.signed else 0.0

    @property
    def highest(self) -> float:
        """The largest value."""
        return float(2.0 ** (self.integer - self.signed)) - self.step


def of_bits(integer: int, fraction: int) -> FixedType:
    """The signed type with that many bits left and right of the point."""
    return FixedType(integer + fraction, integer)


def type_of_data(x: NDArray[Any]) -> FixedType:
    """A type that holds every value of x exactly, or to 2**-32 where x is on no coarser grid.

    Bits right of the point in steps of four, so that parts of a data set have the type of the whole.
    """
    values = np.asarray(x, np.float64)
    largest = float(np.abs(values).max(initial=0.0))
    integer = max(1, int(largest).bit_length()) + 1
    for fraction in range(0, 33, 4):
        scaled = values * 2.0**fraction
        if (scaled == np.rint(scaled)).all():
            break
    return replace(of_bits(integer, fraction), rounding="RND_CONV", overflow="SAT")


def type_before(quantized: FixedType) -> FixedType:
    """A type for float32 inputs of a rounding, saturating quantizer: what it makes of them is the same.

    One bit more on the left saturates alike; on the right every float32 of at least half a step fits, and smaller
    ones round to zero anyway.
    """
    integer = quantized.integer + (not quantized.signed) + 1
    return replace(of_bits(integer, quantized.fraction + MANTISSA_BITS + 1), overflow="SAT")


class Precisions:
    """The types of a parsed model: `layers` by name, as a configuration states them; `default` for the rest.

    scales: the largest and smallest magnitudes of a layer's separate scale, by layer name, where it is not 1.
    """

    def __init__(
        self, layers: Sequence[Layer], inputs: Sequence[FixedType], scales: Mapping[str, tuple[float, float]]
    ) -> None:
        self.layers: dict[str, dict[str, str]] = {}
        self._scales = scales
        self._inputs = iter(inputs)
        self._results: dict[str, FixedType] = {}
        self._integer, self._fraction = DEFAULT_INTEGER, DEFAULT_FRACTION
        previous = ""
        for layer in layers:
            name = layer["name"]
            self._results[name] = self._result(
                layer, [self._results[one] for one in layer.get("inputs") or [previous] if one]
            )
            self.layers.setdefault(name, {})["result"] = str(self._results[name])
            previous = name

    @property
    def default(self) -> FixedType:
        """The type of everything that no layer states: scales, and sums multiplied by them."""
        return of_bits(self._integer, self._fraction)

    def _result(self, layer: Layer, inputs: Sequence[FixedType]) -> FixedType:
        kind, name = str(layer["class_name"]), layer["name"]
        if kind == "InputLayer":
            return next(self._inputs)
        if layer.get("activation_quantizer") is not None:
            return quantizer_type(layer["activation_quantizer"], name)
        source = inputs[0]
        if kind in SAME or (kind == "Activation" and layer["activation"] in ("linear", "relu")) or kind == "ReLU":
            return source
        if "weight_data" in layer or "depthwise_data" in layer:
            return self._product(layer, source)
        if kind in AVERAGES:
            return of_bits(source.integer + 1, source.fraction + 16)
        if kind in ("Merge", "Concatenate"):
            if layer["op"] == "multiply":
                return of_bits(sum(t.integer for t in inputs) + 1, sum(t.fraction for t in inputs))
            # One bit for the sign of an unsigned part, one for a sum, one behind the point for a mean of two.
            return of_bits(max(t.integer for t in inputs) + 2, max(t.fraction for t in inputs) + 1)
        return self.default

    def _product(self, layer: Layer, source: FixedType) -> FixedType:
        """The type of a sum of products and a bias; accumulators get the same."""
        separable = "pointwise_quantizer" in layer
        channels, area = layer.get("n_chan", 1), layer.get("filt_height", 1) * layer.get("filt_width", 1)
        result = source
        if separable or "depthwise_quantizer" in layer:
            result = _sum_type(result, layer["depthwise_quantizer"], area)
            channels, area = channels * layer.get("depth_multiplier", 1), 1
        if separable:
            self.layers.setdefault(layer["name"], {}).update(depthwise_accum=str(result), depthwise_result=str(result))
            result = _sum_type(result, layer["pointwise_quantizer"], channels)
        elif "weight_quantizer" in layer:
            result = _sum_type(
                result, layer["weight_quantizer"], channels * area if "n_chan" in layer else layer["n_in"]
            )
        bias = layer.get("bias_quantizer")
        if bias is not None:
            held = FixedType.parse(str(bias.hls_type))
            result = of_bits(max(result.integer, held.integer) + 1, max(result.fraction, held.fraction))
        accumulators = {"pointwise_accum": str(result), "pointwise_result": str(result)} if separable else {}
        self.layers.setdefault(layer["name"], {}).update(accum=str(result), **accumulators)
        return self._scaled(layer["name"], result)

    def _scaled(self, name: str, result: FixedType) -> FixedType:
        """The type behind a separate scale, which hls4ml gives its default type."""
        if name not in self._scales:
            return result
        largest, smallest = self._scales[name]
        self._integer = max(self._integer, result.integer + max(0, ceil(log2(largest))) + 2)
        self._fraction = max(self._fraction, result.fraction + max(0, -int(np.floor(log2(smallest)))))
        return result


def _sum_type(source: FixedType, quantizer: Any, n_terms: int) -> FixedType:
    held = FixedType.parse(str(quantizer.hls_type).replace("uint<1>", "int<2>"))  # one stored bit stands for +-1
    return of_bits(
        source.integer + (not source.signed) + held.integer + ceil(log2(max(1, n_terms))),
        source.fraction + held.fraction,
    )


def quantizer_type(quantizer: Mapping[str, Any], name: str) -> FixedType:
    """The type of a QKeras activation quantizer. UnsupportedError for one that hls4ml does not know."""
    kind, config = quantizer["class_name"], quantizer.get("config", {})
    if kind == "linear":  # what hls4ml's parser calls quantized_bits
        signed = bool(config.get("keep_negative", True))
        overflow = "SAT_SYM" if config.get("symmetric") and signed else "SAT"
        return FixedType(int(config["bits"]), int(config["integer"]) + signed, signed, "RND_CONV", overflow)
    from fkeras.engines.hls4ml.setup import hls4ml

    try:
        return FixedType.parse(str(hls4ml().utils.config._get_precision_from_quantizer(dict(quantizer))))
    except InputError:
        raise
    except Exception as error:
        raise UnsupportedError(
            f"layer '{name}': hls4ml has no type for activation {kind} ({error}); use quantized_bits or quantized_relu"
        ) from error


def stated(precisions: Iterable[tuple[str, Mapping[str, str]]]) -> dict[str, dict[str, dict[str, str]]]:
    """The `LayerName` part of a configuration."""
    return {name: {"Precision": dict(types)} for name, types in precisions}
