"""Activation quantizers as operations, each compared with the quantizer itself on both sides of all its steps.

A quantizer is a monotone function of few values: two that agree at both sides of every step agree everywhere. Those
with a logarithm or the like in them are monotone but in the last bits of where they step; there all is compared.
For some numbers there the framework contradicts itself, depending on where in a tensor they stand.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fkeras.frontends.description.home import Home
from fkeras.frontends.description.steps import (
    NoOperation,
    Step,
    Steps,
    affine,
    computed,
    constant,
    input_of,
)
from fkeras.network import Bias, Merge, Quantize, Relu
from fkeras.network import Steps as StepFunction
from fkeras.network.operation import Floats

MOST_LEVELS = 2**12
"""Of a quantizer whose steps are searched for, and of those of any other that are compared."""
WHOLE_VECTORS = 64
NEAR = 128
"""How many neighbouring numbers are compared on both sides of a step."""
Places = NDArray[np.int64]
_LARGEST = np.float32(2.0**64)
"""QKeras multiplies what it quantizes, and what is much larger overflows on the way."""


def quantizer_steps(quantizer: Any, part: str, path: str, home: Home) -> Steps:
    """The step of an activation quantizer. NoOperation for one that is no monotone function of few values."""
    kind = type(quantizer).__name__
    if type(quantizer) is not getattr(home.qkeras.quantizers, kind, None):
        raise NoOperation(f"the quantizer {kind} is not QKeras' own")
    if float(_number(getattr(quantizer, "qnoise_factor", 1.0))) != 1.0:
        raise NoOperation(f"{kind} does not quantize fully (qnoise_factor)")
    if isinstance(getattr(quantizer, "alpha", None), str | np.ndarray):
        raise NoOperation(f"{kind} has a scale that depends on what it quantizes, or one per channel")
    if kind == "quantized_hswish":
        yield from _hard_swish(quantizer, part, path, home)
        return
    if getattr(quantizer, "negative_slope", 0):
        yield from _sloped(quantizer, part, path, home)
        return
    emitted = _emitted(quantizer, home)
    uniform = _uniform(quantizer)
    if uniform is not None and _agree([Step(part, uniform)], emitted, _probes_of_steps(uniform)):
        yield Step(part, uniform)
        return
    yield searched(quantizer, part, path, home)


def _hard_swish(quantizer: Any, part: str, path: str, home: Home) -> Sequence[Step]:
    """x times (x + shift) between 0 and the bound, divided by that, then equal steps.

    TensorFlow makes the constant factor 1 / bound one of the second factor.
    """
    uniform, bound = _uniform(quantizer), float(quantizer.relu_upper_bound)
    shift, product = f"{path}/{part}_shift/bias", "product" if home.in_order else "multiply"
    steps = [
        Step(f"{part}_shift", Bias(shift), {shift: constant([quantizer.relu_shift])}),
        Step(f"{part}_clip", Relu(most=bound)),
        affine(f"{path}/{part}_factor", f"{part}_factor", 1 / bound, 0.0, in_order=home.in_order),
        Step(f"{part}_product", Merge(product), reads=(input_of(f"{part}_shift"), f"{part}_factor")),
    ]
    if uniform is not None:
        steps.append(Step(part, uniform))
        turns = np.linspace(-2 * quantizer.relu_shift, 2 * bound, MOST_LEVELS, dtype=np.float32)
        if _agree(steps, _emitted(quantizer, home), np.concatenate([turns, _probes_of_steps(uniform)])):
            return steps
    raise NoOperation("what quantized_hswish computes is no row of operations that is known")


def _sloped(quantizer: Any, part: str, path: str, home: Home) -> Sequence[Step]:
    """A relu with a slope, then steps of what it makes."""
    slope, emitted, uniform = float(quantizer.negative_slope), _emitted(quantizer, home), _uniform(quantizer)
    most = np.inf if quantizer.relu_upper_bound is None else float(quantizer.relu_upper_bound)
    if quantizer.is_quantized_clip:
        most = float(2.0 ** int(_number(quantizer.integer)) * (1 - 2.0 ** (1 - int(quantizer.bits))))
    relu = Step(f"{part}_slope", Relu(slope, most))
    if uniform is not None:
        ends = _probes_of_steps(uniform)
        steps = [relu, Step(part, uniform)]
        if _agree(steps, emitted, np.where(ends < 0, ends / np.float32(slope), ends)):
            return steps
    bare = copy.copy(quantizer)
    bare.use_ste = False
    thresholds, levels = _bisected(_emitted(bare, home), type(quantizer).__name__)
    behind = np.where(thresholds < 0, thresholds * np.float32(slope), thresholds)
    steps = [relu, _stepping(part, path, behind, levels, "input")]
    if not _agree(steps, emitted, thresholds):
        raise NoOperation(f"what {quantizer} computes is no step function that is known")
    return steps


def _number(value: Any) -> Any:
    return value.numpy() if hasattr(value, "numpy") else value


def _emitted(quantizer: Any, home: Home) -> Callable[[Floats], Floats]:
    """The quantizer as the function that the framework makes of it; what it remembers stays as it is."""
    state = dict(vars(quantizer))

    def undisturbed(x: Any) -> Any:
        try:
            return quantizer(x)
        finally:
            vars(quantizer).clear()
            vars(quantizer).update(state)

    function = home.compiled(undisturbed)

    def emitted(x: Floats) -> Floats:
        # the last few of a tensor are computed by other instructions, whose logarithms differ in the last bits
        return function(np.concatenate([x, np.zeros(-x.size % WHOLE_VECTORS, np.float32)]))[: x.size]

    return emitted


def _through(quantizer: Any) -> str:
    """What is added to and subtracted from the quantized value, as `Quantize` calls it."""
    kind = type(quantizer).__name__
    emits_levels = ("function", "quantized_tanh", "quantized_sigmoid", "quantized_ulaw")
    if kind in emits_levels or not getattr(quantizer, "use_ste", True):
        return ""
    if kind in ("binary", "ternary", "stochastic_binary", "stochastic_ternary"):
        return "" if quantizer.alpha is None else "input"  # tanh(x) + (level - tanh(x)) is the level itself
    if kind == "quantized_relu" and quantizer.negative_slope:
        return "input"
    if kind == "quantized_relu":
        clipped = quantizer.is_quantized_clip or quantizer.relu_upper_bound is not None
        return "range" if clipped else "relu"
    if kind == "quantized_relu_po2":
        return "relu" if quantizer.max_value is None else "range"
    return "input"


def _uniform(quantizer: Any) -> Quantize | None:
    """The quantizer as equal steps, as far as its configuration tells."""
    kind = type(quantizer).__name__
    linear = kind in ("quantized_bits", "quantized_hswish", "quantized_linear")
    if linear and quantizer.alpha in (None, 1) and quantizer.bits > quantizer.keep_negative:
        unsigned = int(quantizer.bits - quantizer.keep_negative)
        low = -(2**unsigned) + int(quantizer.symmetric) if quantizer.keep_negative else 0
        high = 2**unsigned - 1
    elif kind == "quantized_relu" and not quantizer.use_sigmoid:
        unsigned = int(quantizer.bits) - bool(quantizer.negative_slope)
        low, high = 0.0 - 2**unsigned * float(quantizer.negative_slope), 2**unsigned - 1
        if not float(low).is_integer():
            return None
    else:
        return None
    integer = _number(quantizer.integer)
    if np.size(integer) != 1 or not -120 <= int(integer) - unsigned <= 120:
        return None
    step = 2.0 ** (int(integer) - unsigned)
    bound = getattr(quantizer, "relu_upper_bound", None)
    if kind == "quantized_relu" and bound is not None and not quantizer.is_quantized_clip:
        high = min(high, int(bound // step))
    return Quantize(step, float(low), float(high), through=_through(quantizer))


def _probes_of_steps(uniform: Quantize) -> Floats:
    """Where a value may step."""
    low, high = float(uniform.low), float(uniform.high)
    if high - low <= 2 * MOST_LEVELS:
        levels = np.arange(low, high + 1)
    else:
        random = np.random.default_rng(0).integers(int(low), int(high), MOST_LEVELS)
        ends = [np.arange(end, end + MOST_LEVELS // 4) for end in (low, high - MOST_LEVELS // 4 + 1)]
        levels = np.concatenate([*ends, random, np.arange(-MOST_LEVELS // 4, MOST_LEVELS // 4)])
    return np.asarray((levels - 0.5) * float(uniform.step), np.float32)


def _agree(steps: Sequence[Step], emitted: Callable[[Floats], Floats], thresholds: Floats) -> bool:
    """Whether steps are what a quantizer computes: around its thresholds, at the extremes, at random."""
    generator = np.random.default_rng(0)
    largest = float(np.abs(thresholds).max(initial=1.0))
    with np.errstate(all="ignore"):
        probes = np.concatenate(
            [
                thresholds,
                np.nextafter(thresholds, np.float32(-np.inf)),
                np.nextafter(thresholds, np.float32(np.inf)),
                _at(_order(thresholds) + generator.integers(-4 * NEAR, 4 * NEAR, thresholds.size)),
                [0.0, -0.0, 1.0, -1.0, 2 * largest, -2 * largest, _LARGEST, -_LARGEST],
                generator.normal(0, largest, 2048),
                generator.uniform(-2 * largest, 2 * largest, 2048),
                generator.normal(0, 1, 512) * 2.0 ** generator.integers(-30, 60, 512),
            ]
        ).astype(np.float32)
        probes = probes[(np.abs(probes) >= np.finfo(np.float32).tiny) | (probes == 0)]  # TensorFlow has none below
        actual = computed(steps, probes)
    return bool(np.array_equal(actual, emitted(probes), equal_nan=True))


def searched(quantizer: Any, part: str, path: str, home: Home) -> Step:
    """The steps of a quantizer or a function of few values, found by bisection on the ordered float32 numbers."""
    kind = str(getattr(quantizer, "__name__", type(quantizer).__name__))
    emitted, through = _emitted(quantizer, home), _through(quantizer)
    bare = copy.copy(quantizer)
    if through and hasattr(bare, "use_ste"):
        bare.use_ste = False  # which leaves the quantized value alone
        thresholds, levels = _bisected(_emitted(bare, home), kind)
    elif through:  # of binary and ternary, whose levels alpha multiplies
        bare.alpha = None
        thresholds, signs = _bisected(_emitted(bare, home), kind)
        levels = signs * np.float32(quantizer.alpha)
    else:
        thresholds, levels = _bisected(emitted, kind)
    step = _stepping(part, path, thresholds, levels, through)
    if not _agree([step], emitted, thresholds):
        raise NoOperation(f"what {kind} computes is no step function that is known")
    return step


def _stepping(part: str, path: str, thresholds: Floats, levels: Floats, through: str) -> Step:
    names = f"{path}/{part}/thresholds", f"{path}/{part}/levels"
    constants = dict(zip(names, map(constant, (thresholds, levels)), strict=True))
    return Step(part, StepFunction(*names, through=through), constants)


def _bisected(function: Callable[[Floats], Floats], name: str) -> tuple[Floats, Floats]:
    """The thresholds and the levels of a step function of float32 that is monotone but for the last bits."""
    ends = np.concatenate([np.linspace(-4, 4, 8 * MOST_LEVELS + 1), np.geomspace(1e-30, 1e19, 4 * MOST_LEVELS)])
    ends = np.unique(np.concatenate([ends, -ends, [_LARGEST, -_LARGEST]]).astype(np.float32))
    places = _order(ends)
    values = function(ends)
    if not np.isfinite(values).all() or (np.diff(values) < 0).any():
        raise NoOperation(f"{name} is no monotone function")
    while (apart := (values[1:] != values[:-1]) & (np.diff(places) > 1)).any():
        if np.unique(values).size > MOST_LEVELS:
            raise NoOperation(f"{name} has more than {MOST_LEVELS} levels")
        places, values = _with(function, places, values, (places[:-1][apart] + places[1:][apart]) // 2)
        keep = np.ones(places.size, bool)  # what lies within a level is of no further use
        keep[1:-1] = (values[1:-1] != values[:-2]) | (values[1:-1] != values[2:])
        places, values = places[keep], values[keep]
    # logarithms and the like go up and down in the last bits of where they step
    near = (places[1:][values[1:] != values[:-1], None] + np.arange(-NEAR, NEAR + 1)).reshape(-1)
    places, values = _with(function, places, values, near)
    steps = np.flatnonzero(values[1:] != values[:-1]) + 1
    if (places[steps] - places[steps - 1] > 1).any():
        raise NoOperation(f"{name} steps up and down")
    return _at(places[steps]), np.concatenate([values[:1], values[steps]])


def _with(function: Callable[[Floats], Floats], places: Places, values: Floats, more: Places) -> tuple[Places, Floats]:
    """Places and the values there, in order, with more of them."""
    more = np.setdiff1d(more, places)
    everywhere = np.concatenate([places, more])
    order = np.argsort(everywhere)
    return everywhere[order], np.concatenate([values, function(_at(more))])[order]


def _order(x: Floats) -> Places:
    """Where float32 numbers stand among all, in order; both zeros are 0."""
    bits = x.view(np.int32).astype(np.int64)
    return np.where(bits < 0, -(bits + 2**31), bits)


def _at(places: Places) -> Floats:
    """The float32 numbers at some places."""
    magnitudes = np.abs(places).astype(np.int32).view(np.float32)
    return np.where(places < 0, -magnitudes, magnitudes).astype(np.float32)
