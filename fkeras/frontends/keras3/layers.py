"""Layers of HGQ2 as operations, a function for each kind, its quantizers and tables compared with what they stand for;
layers of Keras and QKeras are described as everywhere."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from math import prod
from typing import Any

import numpy as np

from fkeras.frontends import description
from fkeras.frontends.description import NoOperation, Place, Step, Steps, constant
from fkeras.frontends.description.activations import activation_steps
from fkeras.frontends.keras3.hgq2 import kind_of
from fkeras.frontends.keras3.setup import array
from fkeras.frontends.keras3.words import Format, format_of, unknown_quantizer
from fkeras.network import (
    Affine,
    Bias,
    Convolution,
    Dense,
    Einsum,
    MaxPool,
    Merge,
    Operation,
    Permute,
    Quantize,
    Reshape,
)
from fkeras.network import Steps as StepFunction
from fkeras.network.operation import Floats, Shape

Describe = Callable[[Place], Steps]


def describe(place: Place) -> Steps:
    """What a layer computes in inference, in order. NoOperation for one that is not known."""
    kind = kind_of(place.layer)
    if kind is None:
        yield from description.describe(place)
        return
    if kind not in KINDS:
        raise NoOperation(f"layers of type {type(place.layer).__name__} are not known")
    if place.layer.compute_dtype != "float32":
        raise NoOperation(f"it computes in {place.layer.compute_dtype}")
    if getattr(place.layer, "data_format", None) == "channels_first":
        raise NoOperation("its channels come first")
    yield from KINDS[kind](place)
    if getattr(place.layer, "enable_oq", False):
        yield quantizer_step(place, place.layer.oq, "output_quantizer", place.shape)


def _input(place: Place) -> Steps:
    if place.layer.enable_iq:
        yield quantizer_step(place, place.layer.iq, "input_quantizer", place.shapes[0])


def _sum(place: Place, operation: Callable[[str], Operation]) -> Steps:
    """Input quantizer, weighted sum, bias and activation."""
    layer = place.layer
    yield from _input(place)
    path, constants = place.parameter("kernel", array(layer.qkernel))
    yield Step("sum", operation(path), constants)
    if layer.qbias is not None:
        path, constants = place.parameter("bias", array(layer.qbias))
        yield Step("bias", Bias(path), constants)
    yield from activation_steps(layer.activation, "activation", place.path, place.home)


def _dense(place: Place) -> Steps:
    return _sum(place, Dense)


def _convolution(place: Place) -> Steps:
    layer = place.layer
    geometry = {"strides": tuple(layer.strides), "padding": layer.padding, "dilation": tuple(layer.dilation_rate)}
    return _sum(place, partial(Convolution, **geometry, groups=layer.groups))


def _einsum(place: Place) -> Steps:
    equation = _expanded(place.layer.equation, len(place.shapes[0]) + 1)
    read, rest = equation.split(",")
    held, written = rest.split("->")
    if len(held) == 2 and read[-1] == held[0] and written == read[:-1] + held[1]:
        return _sum(place, Dense)
    return _sum(place, partial(Einsum, equation=equation))


def _expanded(equation: str, rank: int) -> str:
    """An equation without dots and blanks."""
    equation = equation.replace(" ", "")
    read = equation.partition(",")[0].replace("...", "")
    free = [letter for letter in "zyxwvutsrqponmlkjihgfedcba" if letter not in equation]
    return equation.replace("...", "".join(free[: rank - len(read)]))


def _norm(place: Place) -> Steps:
    yield from _input(place)
    layer = place.layer
    shape = layer._shape[1:]
    names = f"{place.path}/scale", f"{place.path}/offset"
    values = (constant(array(value).reshape(shape)) for value in layer.qscaler_and_qoffset)
    yield Step("norm", Affine(*names), dict(zip(names, values, strict=True)))


def _as_in_keras(place: Place) -> Steps:
    """A layer that is Keras' own on quantized inputs."""
    yield from _input(place)
    yield from description.KINDS[type(place.layer).__name__.removeprefix("Q")](place)


def _merge(kind: str) -> Describe:
    def describe(place: Place) -> Steps:
        if len({len(shape) for shape in place.shapes}) != 1:
            raise NoOperation("its inputs have different numbers of axes")
        reads: list[str | int] = list(range(len(place.shapes)))
        if place.layer.enable_iq:
            for number, quantizer in enumerate(place.layer.iq):
                step = quantizer_step(place, quantizer, f"input_quantizer_{number}", place.shapes[number])
                yield replace(step, reads=(number,))
                reads[number] = step.part
        yield Step("merge", Merge(kind), reads=tuple(reads))

    return describe


def _average(place: Place) -> Steps:
    yield from _merge("add")(place)
    names = f"{place.path}/scale", f"{place.path}/offset"
    yield Step("scale", Affine(*names), {names[0]: constant([place.layer._scale]), names[1]: constant([0.0])})


def _quantizer(place: Place) -> Steps:
    yield quantizer_step(place, place.layer, "quantizer", place.shape)


def _table(place: Place) -> Steps:
    layer = place.layer
    if not layer.enable_iq:
        raise NoOperation("its table has no input quantizer")
    yield from _input(place)
    yield table_step(place, layer.iq, _of_table(layer), "table", place.shape)


def _of_table(layer: Any) -> Callable[[Any], Any]:
    """What the table of a layer holds, of what its input quantizer emits."""
    if hasattr(layer, "scale"):
        return lambda x: layer.activation(x * layer.scale + layer.bias)
    return lambda x: layer.activation(x)


def _softmax(place: Place) -> Steps:
    """The largest value less each, its exponential by a table, the reciprocal of their sum by another, the product."""
    layer, (shape,) = place.layer, place.shapes
    if tuple(layer.axes) != (len(shape),):
        raise NoOperation("its softmax does not go over the last axis")
    lead, n = shape[:-1], shape[-1]
    yield from _input(place)
    start: str | int = "input_quantizer" if layer.enable_iq else 0
    if not layer.stable and not layer.enable_iq:
        raise NoOperation("its table has no input quantizer")
    part = start
    if layer.stable:
        yield Step("rows", Reshape((*lead, n, 1)), reads=(start,))
        yield Step("maxima", MaxPool((*(1 for _ in lead), n), (*(1 for _ in lead), n), "valid"))
        yield Step("maximum", Reshape((*lead, 1)))
        yield Step("below_maximum", Merge("subtract"), reads=("maximum", start))
        part = "below_maximum"
    exponential = list(_lookup(place, layer.exp_table, shape, "exponential", layer.iq if layer.enable_iq else None))
    exponential[0] = replace(exponential[0], reads=(part,))
    yield from exponential
    ones = f"{place.path}/ones"
    yield Step("sum", Dense(ones), {ones: constant(np.ones((n, 1)))})
    yield from _lookup(place, layer.inv_table, (*lead, 1), "reciprocal", None)
    last = "reciprocal_quantizer" if layer.inv_table.enable_oq else "reciprocal"
    first = "exponential_quantizer" if layer.exp_table.enable_oq else "exponential"
    yield Step("product", Merge("multiply"), reads=(first, last))


def _lookup(place: Place, table: Any, shape: Shape, part: str, before: Any) -> Steps:
    """One table of a softmax; before: the quantizer of what comes in, where the table has none of its own."""
    if table.enable_iq:
        yield quantizer_step(place, table.iq, f"{part}_input_quantizer", shape)
    yield table_step(place, table.iq if table.enable_iq else before, _of_table(table), part, shape)
    if table.enable_oq:
        yield quantizer_step(place, table.oq, f"{part}_quantizer", shape)


def _total(place: Place) -> Steps:
    """A sum over some axes, times a power of two."""
    yield from _input(place)
    layer, (shape,) = place.layer, place.shapes
    over = [axis - 1 for axis in layer.axes]
    kept = [axis for axis in range(len(shape)) if axis not in over]
    if min(over) < 0:
        raise NoOperation("it sums over the samples")
    yield Step("order", Permute((*kept, *over)))
    n = prod(shape[axis] for axis in over)
    yield Step("rows", Reshape((*(shape[axis] for axis in kept), n)))
    scales = f"{place.path}/scales"
    yield Step("sum", Dense(scales), {scales: constant(np.full((n, 1), layer.scale))})
    yield Step("shape", Reshape(place.shape))


WIDEST_TABLE = 16
"""Bits of what a table is asked for."""
_PROBES = 256


def quantizer_step(place: Place, quantizer: Any, part: str, shape: Shape) -> Step:
    """A quantizer of activations, samples of a shape. NoOperation for one that is not known."""
    form = _known(quantizer)
    if form.signed.ndim != len(shape) + 1:
        raise NoOperation(f"its {part} was trained for another shape")
    step = _step(place, form, part)
    probes = _probes(form)
    with np.errstate(all="ignore"):
        actual = step.operation.compute(step.constants, probes)
    if not np.array_equal(actual, place.home.evaluate(quantizer, probes)):
        raise NoOperation(f"what its {part} computes is not known")
    return step


def _known(quantizer: Any) -> Format:
    if why := unknown_quantizer(quantizer):
        raise NoOperation(why)
    return format_of(quantizer)


def _limits(form: Format) -> tuple[Any, Any, Any]:
    """step, low and high of each element, in steps; 0 where it has no bits."""
    stored = form.width > 0
    top = np.ldexp(1.0, np.where(stored, form.integer + form.fraction, 0))
    low = -form.signed * (top - (form.overflow == "SAT_SYM"))
    step = np.ldexp(1.0, np.where(stored, -form.fraction, 0))
    return step, np.where(stored, low, 0.0), np.where(stored, top - 1, 0.0)


def _step(place: Place, form: Format, part: str) -> Step:
    limits = _limits(form)
    overflow = "wrap" if form.overflow == "WRAP" else "saturate"
    if all((each == each.flat[0]).all() for each in limits):
        step, low, high = (float(each.flat[0]) for each in limits)
        return Step(part, Quantize(step, low, high, form.rounding, overflow))
    names = [f"{place.path}/{part}/{name}" for name in ("step", "low", "high")]
    constants = {name: constant(each[0]) for name, each in zip(names, limits, strict=True)}
    return Step(part, Quantize(names[0], names[1], names[2], form.rounding, overflow), constants)


def _probes(form: Format) -> Floats:
    """Numbers on both sides of steps of each element, beyond its ends, and at random."""
    step, low, high = _limits(form)
    generator = np.random.default_rng(0)
    shape = (_PROBES, *form.signed.shape[1:])
    levels = np.floor(generator.uniform(low - 4, high + 5, shape))
    steps = ((levels - 0.5) * step).astype(np.float32)
    ends = np.stack([low[0] - 1, low[0] - 0.5, low[0], high[0], high[0] + 0.5, high[0] + 1, 4 * high[0], -4 * high[0]])
    return np.concatenate(
        [
            steps,
            np.nextafter(steps, np.float32(-np.inf)),
            np.nextafter(steps, np.float32(np.inf)),
            (ends * step).astype(np.float32),
            generator.normal(0, 2, shape).astype(np.float32) * (high * step + step).astype(np.float32),
        ]
    )


def table_step(place: Place, quantizer: Any, function: Callable[[Any], Any], part: str, shape: Shape) -> Step:
    """A function of what a quantizer emits, samples of a shape, as a table of everything that this can be."""
    form = _known(quantizer)
    step, low, high = _limits(form)
    finest = float(step.min())
    first, last = float((low * step).min()) / finest, float((high * step).max()) / finest
    if last - first >= 1 << WIDEST_TABLE:
        raise NoOperation(f"its {part} has more than {1 << WIDEST_TABLE:,} entries")
    asked = (np.arange(first, last + 1) * finest).astype(np.float32)
    names = f"{place.path}/{part}/thresholds", f"{place.path}/{part}/levels"
    held = place.home.evaluate(function, asked.reshape(-1, *(1 for _ in shape))).reshape(-1)
    constants = dict(zip(names, map(constant, (asked[1:], held)), strict=True))
    return Step(part, StepFunction(*names), constants)


KINDS: Mapping[str, Describe] = {
    **dict.fromkeys(("QDense", "QBatchNormDense"), _dense),
    **dict.fromkeys(("QConv1D", "QConv2D"), _convolution),
    **dict.fromkeys(("QEinsumDense", "QEinsumDenseBatchnorm"), _einsum),
    "QBatchNormalization": _norm,
    **{
        f"Q{kind}Pooling{rank}D": _as_in_keras
        for kind in ("Max", "Average", "GlobalMax", "GlobalAverage")
        for rank in (1, 2)
    },
    **{f"Q{kind}": _merge(kind.lower()) for kind in ("Add", "Subtract", "Multiply", "Maximum", "Minimum")},
    "QAveragePow2": _average,
    **dict.fromkeys(("QSum", "QMeanPow2"), _total),
    "Quantizer": _quantizer,
    **dict.fromkeys(("QUnaryFunctionLUT", "QAffinedUnaryFunctionLUT"), _table),
    "QSoftmax": _softmax,
}
