"""Where a network's arithmetic is exact, so that no order of summation can change a rounding.

A tensor on a power-of-two grid whose magnitude stays below 2**24 steps is summed exactly in float32, whatever the
order. Such a tensor, and one elementwise operation of it (a float bias added, say), is *reproducible*: the reference
and any other order of the same sum agree bit for bit. A quantizer that rounds something else is out of reach for the
shortcuts: its network is left to the reference.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from fkeras.frontends.qkeras.fast.functions import is_linear, is_of_qkeras, is_relu
from fkeras.frontends.qkeras.graph import Call, Graph, Key
from fkeras.memory import WordTensor

EXACT_STEPS = 2.0**24
SAME_VALUES = (
    "Dropout",
    "Flatten",
    "Reshape",
    "Permute",
    "ZeroPadding1D",
    "ZeroPadding2D",
    "Cropping1D",
    "Cropping2D",
    "UpSampling1D",
    "MaxPooling1D",
    "MaxPooling2D",
    "GlobalMaxPooling1D",
    "GlobalMaxPooling2D",
    "Concatenate",
    "Maximum",
    "Minimum",
    "RepeatVector",
    "SpatialDropout1D",
    "SpatialDropout2D",
    "GaussianNoise",
    "GaussianDropout",
    "ActivityRegularization",
)
SUMS = ("Add", "Subtract")


@dataclass(frozen=True, slots=True)
class Fact:
    """What is known of a tensor: its grid (None: none), its largest magnitude, whether any order gives these bits."""

    step: float | None
    bound: float
    reproducible: bool


UNKNOWN = Fact(None, np.inf, False)


def grid_of(values: np.ndarray[Any, Any]) -> Fact:
    """The grid that data lie on: the largest power of two, 2**-24 at least, that divides every value.

    The bound is a power of two as well, so that parts of a data set mostly have the same fact.
    """
    most = float(np.max(np.abs(values), initial=0.0))
    bound = float(2.0 ** np.ceil(np.log2(most))) if 0 < most < np.inf else most
    wide = values.astype(np.float64)
    for exponent in range(8, -25, -1):
        scaled = wide * 2.0**-exponent
        if np.array_equal(scaled, np.rint(scaled)):
            return Fact(2.0**exponent, bound, True)
    return Fact(None, bound, True)


def quantizer_fact(quantizer: Any, given: Fact) -> Fact | None:
    """The grid after an activation quantizer of simple arithmetic; None when it is another kind."""
    config = quantizer.get_config() if hasattr(quantizer, "get_config") else {}
    if config.get("use_stochastic_rounding") or float(config.get("qnoise_factor", 1.0)) != 1.0:
        return None
    if (
        is_of_qkeras(quantizer, "quantized_relu")
        and not config["use_sigmoid"]
        and not config["negative_slope"]
        and config["relu_upper_bound"] is None
    ):
        bits, integer = int(config["bits"]), int(config["integer"])
        return Fact(2.0 ** (integer - bits), 2.0**integer, given.reproducible)
    plain = is_of_qkeras(quantizer, "quantized_bits") and config["alpha"] in (None, 1, 1.0)
    if plain and int(config["bits"]) > 1:
        sign = int(bool(config["keep_negative"]))
        return Fact(
            2.0 ** (int(config["integer"]) + sign - int(config["bits"])),
            2.0 ** int(config["integer"]),
            given.reproducible,
        )
    return None


def activation_fact(activation: Any, given: Fact) -> Fact:
    """The fact after a layer's own activation."""
    if is_linear(activation) or is_relu(activation):
        return given
    return quantizer_fact(activation, given) or UNKNOWN


def is_rounding(call: Call) -> bool:
    """Whether a call quantizes, so that a last-bit difference of its input may become a whole step."""
    return any(
        type(quantizer).__module__.startswith("qkeras")
        for quantizer in (
            getattr(call.layer, "activation", None),
            getattr(call.layer, "quantizer", None),
            getattr(call.layer, "average_quantizer_internal", None),
        )
    )


def power_of_two_step(tensor: WordTensor) -> float | None:
    """The finest grid that all words of a tensor share, any fault included; None when there is none."""
    scales = np.unique(tensor.scale)
    if (scales <= 0).any() or (np.frexp(scales)[0] != 0.5).any():
        return None
    exact = tensor.decode(tensor.words, np.arange(tensor.size)) * tensor.scale
    return float(tensor.codec.step * scales.min()) if np.array_equal(exact, tensor.golden) else None


def weighted_sum_fact(given: Fact, kernel: WordTensor, channels_last: np.ndarray[Any, Any]) -> Fact:
    """The fact after a weighted sum with any one word of the kernel wrong.

    channels_last: (terms, channels) the golden kernel, so that a column holds one output channel's weights.
    """
    step = power_of_two_step(kernel)
    if step is None or given.step is None:
        return UNKNOWN
    worst = np.abs(channels_last).sum(0).max() + 2 * kernel.codec.largest * float(kernel.scale.max())
    bound = given.bound * float(worst)
    if not bound < EXACT_STEPS * step * given.step:
        return UNKNOWN
    return Fact(step * given.step, bound, given.reproducible)


def with_bias(given: Fact, bias: np.ndarray[Any, Any] | None) -> Fact:
    """The fact after a bias; one that is off the grid leaves a reproducible value without a grid."""
    if bias is None or not given.reproducible:
        return given
    bound = given.bound + float(np.max(np.abs(bias), initial=0.0))
    grid = grid_of(bias)
    if given.step is None or grid.step is None:
        return Fact(None, bound, True)
    step = min(grid.step, given.step)
    return Fact(step, bound, True) if bound < EXACT_STEPS * step else Fact(None, bound, True)


def analyse(graph: Graph, inputs: Mapping[Key, Fact], weighted: Mapping[int, Any]) -> dict[Key, Fact]:
    """A fact for every tensor. `weighted`: call index -> function (fact of its input) -> fact of its output."""
    facts = dict(inputs)
    for call in graph.calls:
        given = [facts[key] for key in call.inputs]
        kind = type(call.layer).__name__
        fact = UNKNOWN
        if call.index in weighted:
            fact = weighted[call.index](given[0])
        elif kind in SAME_VALUES and all(one.reproducible for one in given):
            steps = [one.step for one in given]
            fact = Fact(
                None if None in steps else min(s for s in steps if s is not None), max(one.bound for one in given), True
            )
        elif kind in SUMS and all(one.step is not None for one in given):
            step, bound = min(one.step for one in given if one.step), sum(one.bound for one in given)
            reproducible = all(one.reproducible for one in given)
            fact = Fact(step, bound, reproducible) if bound < EXACT_STEPS * step else UNKNOWN
        elif kind == "QActivation":
            fact = quantizer_fact(call.layer.quantizer, given[0]) or UNKNOWN
        elif kind == "Activation":
            fact = activation_fact(call.layer.activation, given[0])
        for key in call.outputs:
            facts[key] = fact
    return facts
