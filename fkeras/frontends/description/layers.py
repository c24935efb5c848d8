"""Layers as rows of operations, a function for each kind."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from math import prod
from typing import Any

import numpy as np

from fkeras.frontends.description.activations import activation_steps, checked
from fkeras.frontends.description.steps import NoOperation, Place, Step, Steps, affine, constant
from fkeras.network import (
    AveragePool,
    Bias,
    Concatenate,
    Convolution,
    Cropping,
    Dense,
    DepthwiseConvolution,
    Function,
    MaxPool,
    Merge,
    Operation,
    Permute,
    Quantize,
    Relu,
    Repeat,
    Reshape,
    TransposedConvolution,
    ZeroPadding,
)
from fkeras.network.operation import Floats

Describe = Callable[[Place], Steps]


def describe(place: Place) -> Steps:
    """What a layer computes in inference, in order. NoOperation for one that is not known."""
    computes = place.home.kind(place.layer)
    kind = computes.__name__
    if kind not in KINDS or not any(computes is known for known in place.home.layers(kind)):
        raise NoOperation(f"layers of type {kind} are not known")
    if place.layer.compute_dtype != "float32":
        raise NoOperation(f"it computes in {place.layer.compute_dtype}")
    if getattr(place.layer, "data_format", None) == "channels_first" and kind != "Flatten":
        raise NoOperation("its channels come first")
    yield from KINDS[kind](place)


def _sum(place: Place, name: str, value: Any, operation: Callable[[str], Operation], part: str = "sum") -> Step:
    path, constants = place.parameter(name, value)
    return Step(part, operation(path), constants)


def _bias(place: Place, value: Any) -> Step:
    path, constants = place.parameter("bias", value)
    return Step("bias", Bias(path), constants)


def _end(place: Place) -> Steps:
    """What follows a weighted sum: bias and activation."""
    if place.layer.use_bias:
        yield _bias(place, place.layer.bias)
    yield from activation_steps(place.layer.activation, "activation", place.path, place.home)


def _dense(place: Place) -> Steps:
    yield _sum(place, "kernel", place.layer.kernel, Dense)
    yield from _end(place)


def _geometry(layer: Any) -> dict[str, Any]:
    return {"strides": tuple(layer.strides), "padding": layer.padding, "dilation": tuple(layer.dilation_rate)}


def _convolution(place: Place) -> Steps:
    layer = place.layer
    operation = partial(Convolution, **_geometry(layer), groups=layer.groups)
    yield _sum(place, "kernel", layer.kernel, operation)
    yield from _end(place)


def _depthwise(place: Place) -> Steps:
    yield _sum(place, "depthwise_kernel", place.layer.depthwise_kernel, _depthwise_operation(place.layer))
    yield from _end(place)


def _depthwise_operation(layer: Any) -> Callable[[str], Operation]:
    return partial(DepthwiseConvolution, **_geometry(layer))


def _separable(place: Place) -> Steps:
    layer = place.layer
    once = (1,) * len(layer.strides)
    pointwise = partial(Convolution, strides=once, padding="valid", dilation=once)
    yield _sum(place, "depthwise_kernel", layer.depthwise_kernel, _depthwise_operation(layer), "depthwise")
    yield _sum(place, "pointwise_kernel", layer.pointwise_kernel, pointwise, "pointwise")
    yield from _end(place)


def _transposed(place: Place) -> Steps:
    operation = partial(TransposedConvolution, **_geometry(place.layer), lengths=place.shape[:-1])
    yield _sum(place, "kernel", place.layer.kernel, operation)
    yield from _end(place)


def _folded(place: Place) -> Steps:
    """A sum and its batch norm in one: kernel and bias are what the layer makes of both."""
    layer = place.layer
    kernel, bias = place.home.folded(layer)
    if hasattr(layer, "units"):
        yield _sum(place, "kernel", kernel, Dense)
    elif hasattr(layer, "depthwise_kernel"):
        yield _sum(place, "depthwise_kernel", kernel, _depthwise_operation(layer))
    else:
        yield _sum(place, "kernel", kernel, partial(Convolution, **_geometry(layer), groups=layer.groups))
    yield _bias(place, bias)
    yield from activation_steps(layer.activation, "activation", place.path, place.home)


def _array(value: Any) -> Floats:
    return np.asarray(value, np.float32)


def _inverse(place: Place, norm: Any) -> Floats:
    scale = place.home.evaluate(place.home.rsqrt, _array(norm.moving_variance) + np.float32(norm.epsilon))
    return scale if getattr(norm, "gamma", None) is None else scale * _array(norm.gamma)


def _norm(place: Place) -> Steps:
    layer = place.layer
    yield from _normed(place, layer, layer.moving_mean, _inverse(place, layer), getattr(layer, "beta", None))


def _quantized_norm(place: Place) -> Steps:
    layer = place.layer

    def quantized(name: str) -> Any:
        value = getattr(layer, name if name in ("gamma", "beta") else f"moving_{name}")
        asked = getattr(layer, f"{name}_quantizer")
        return value if value is None or not asked else getattr(layer, f"{name}_quantizer_internal")(value)

    gamma, variance = quantized("gamma"), quantized("variance")
    scale = place.home.evaluate(place.home.rsqrt, _array(variance) + np.float32(layer.epsilon))
    scale = scale if gamma is None else scale * _array(gamma)
    yield from _normed(place, layer, quantized("mean"), scale, quantized("beta"))


def _normed(place: Place, layer: Any, mean: Any, scale: Floats, beta: Any) -> Steps:
    axes = np.atleast_1d(layer.axis).tolist()
    if len(axes) != 1:
        raise NoOperation("it norms several axes at once")
    shape = [1] * (len(place.shape) + 1)
    shape[axes[0]] = -1
    offset = (np.float32(0) if beta is None else _array(beta)) - _array(mean) * scale
    in_order = not getattr(layer, "fused", False)
    yield _affine(place, "norm", scale.reshape(shape[1:]), offset.reshape(shape[1:]), in_order)


def _affine(place: Place, part: str, scale: Any, offset: Any, in_order: bool = True) -> Step:
    return affine(place.path, part, scale, offset, in_order and place.home.in_order)


def _rescaling(place: Place) -> Steps:
    yield _affine(place, "rescaling", place.layer.scale, place.layer.offset)


def _activation(place: Place) -> Steps:
    return activation_steps(place.layer.activation, "activation", place.path, place.home)


def _quantizer(place: Place) -> Steps:
    # QKeras on Keras 3 has no attribute `quantizer`: there the activation is it.
    quantizer = getattr(place.layer, "quantizer", place.layer.activation)
    return activation_steps(quantizer, "activation", place.path, place.home)


def _adaptive(place: Place) -> Steps:
    """Its quantizer with the range that it has now: what it writes while it computes, nobody keeps."""
    quantizer, path = copy.copy(place.layer.quantizer), place.path
    integers = np.asarray(quantizer.integer).reshape(-1).tolist()
    quantizer.qnoise_factor = 1.0
    rows: dict[int, list[Step]] = {}
    for quantizer.integer in dict.fromkeys(integers):
        rows[quantizer.integer] = list(activation_steps(quantizer, "activation", path, place.home))
    *before, _ = rows[integers[0]]
    if len(rows) == 1:
        yield from rows[integers[0]]
        return
    last = [step for step in (rows[integer][-1].operation for integer in integers) if isinstance(step, Quantize)]
    if len(last) < len(integers):
        raise NoOperation("it has a range for each channel, and levels that are no equal steps")
    yield from before
    limits: dict[str, Any] = {name: [getattr(each, name) for each in last] for name in ("step", "low", "high")}
    constants = {f"{path}/activation/{name}": constant(values) for name, values in limits.items()}
    yield Step("activation", replace(last[0], **dict(zip(limits, constants, strict=True))), constants)


def _relu(place: Place) -> Steps:
    layer = place.layer
    if layer.threshold:
        raise NoOperation("it has a threshold")
    most = np.inf if layer.max_value is None else float(layer.max_value)
    yield checked(Step("activation", Relu(float(layer.negative_slope), most)), layer, place.home)


def _leaky_relu(place: Place) -> Steps:
    slope = getattr(place.layer, "negative_slope", None)  # Keras 2 calls it alpha
    yield checked(
        Step("activation", Relu(float(place.layer.alpha if slope is None else slope))), place.layer, place.home
    )


def _elu(place: Place) -> Steps:
    yield checked(Step("activation", Function("elu")), place.layer, place.home)


def _softmax(place: Place) -> Steps:
    if place.layer.axis not in (-1, len(place.shape)):
        raise NoOperation("its softmax does not go over the last axis")
    yield Step("activation", Function("softmax"))


def _nothing(place: Place) -> Steps:
    return iter(())


def _flatten(place: Place) -> Steps:
    (shape,) = place.shapes
    if place.layer.data_format == "channels_first" and len(shape) > 1:
        yield Step("order", Permute((*range(1, len(shape)), 0)))
    yield Step("shape", Reshape((prod(shape),)))


def _reshape(place: Place) -> Steps:
    yield Step("shape", Reshape(place.shape))


def _permute(place: Place) -> Steps:
    yield Step("order", Permute(tuple(axis - 1 for axis in place.layer.dims)))


def _repeat_vector(place: Place) -> Steps:
    yield Step("shape", Reshape((1, *place.shapes[0])))
    yield Step("repeat", Repeat((int(place.layer.n),)))


def _up_sampling(place: Place) -> Steps:
    if getattr(place.layer, "interpolation", "nearest") != "nearest":
        raise NoOperation(f"its interpolation is {place.layer.interpolation}")
    yield Step("repeat", Repeat(_per_axis(place.layer.size)))


def _zero_padding(place: Place) -> Steps:
    yield Step("padding", ZeroPadding(_pairs(place.layer.padding)))


def _cropping(place: Place) -> Steps:
    yield Step("cropping", Cropping(_pairs(place.layer.cropping)))


def _per_axis(value: Any) -> tuple[int, ...]:
    return tuple(map(int, value)) if isinstance(value, Sequence) else (int(value),)


def _pairs(value: Any) -> tuple[tuple[int, int], ...]:
    first, second = value[0], value[1]
    if isinstance(first, Sequence):
        return tuple((int(before), int(after)) for before, after in value)
    return ((int(first), int(second)),)


def _pool(kind: type[MaxPool] | type[AveragePool]) -> Describe:
    def describe(place: Place) -> Steps:
        layer = place.layer
        yield Step("pool", kind(_per_axis(layer.pool_size), _per_axis(layer.strides), layer.padding))

    return describe


def _quantized_pool(pool: Describe, is_global: bool) -> Describe:
    """An average pool whose division is a multiplication by a quantized factor."""

    def describe(place: Place) -> Steps:
        yield from pool(place)
        quantizer = place.layer.average_quantizer_internal
        if place.layer.average_quantizer:
            n = prod(place.shapes[0][:-1] if is_global else _per_axis(place.layer.pool_size))
            factor = np.float32(n) * np.asarray(quantizer(1.0 / n), np.float32)
            yield _affine(place, "factor", factor, 0.0, in_order=n & (n - 1) == 0)
        yield from activation_steps(place.layer.activation, "activation", place.path, place.home)

    return describe


def _global_pool(kind: type[MaxPool] | type[AveragePool]) -> Describe:
    def describe(place: Place) -> Steps:
        lengths = place.shapes[0][:-1]
        yield Step("pool", kind(lengths, (1,) * len(lengths), "valid"))
        if not place.layer.keepdims:
            yield Step("shape", Reshape(place.shape))

    return describe


def _merge(kind: str) -> Describe:
    def describe(place: Place) -> Steps:
        if len(place.shapes) == 1:
            raise NoOperation("it has one input")
        yield Step("merge", Merge(kind))

    return describe


def _concatenate(place: Place) -> Steps:
    axis = place.layer.axis
    yield Step("merge", Concatenate(axis - 1 if axis > 0 else len(place.shape) + axis))


KINDS: Mapping[str, Describe] = {
    **dict.fromkeys(("Dense", "QDense"), _dense),
    **dict.fromkeys(("Conv1D", "Conv2D", "QConv1D", "QConv2D"), _convolution),
    **dict.fromkeys(("DepthwiseConv1D", "DepthwiseConv2D", "QDepthwiseConv2D"), _depthwise),
    **dict.fromkeys(("SeparableConv1D", "SeparableConv2D", "QSeparableConv1D", "QSeparableConv2D"), _separable),
    **dict.fromkeys(("Conv1DTranspose", "Conv2DTranspose", "QConv2DTranspose"), _transposed),
    **dict.fromkeys(("QConv2DBatchnorm", "QDenseBatchnorm", "QDepthwiseConv2DBatchnorm"), _folded),
    "BatchNormalization": _norm,
    "QBatchNormalization": _quantized_norm,
    "Activation": _activation,
    "QActivation": _quantizer,
    "QAdaptiveActivation": _adaptive,
    "ReLU": _relu,
    "LeakyReLU": _leaky_relu,
    "ELU": _elu,
    "Softmax": _softmax,
    **dict.fromkeys(
        (
            "ActivityRegularization",
            "AlphaDropout",
            "Dropout",
            "GaussianDropout",
            "GaussianNoise",
            "Identity",
            "SpatialDropout1D",
            "SpatialDropout2D",
        ),
        _nothing,
    ),
    "Rescaling": _rescaling,
    "Flatten": _flatten,
    "Reshape": _reshape,
    "Permute": _permute,
    "RepeatVector": _repeat_vector,
    **dict.fromkeys(("UpSampling1D", "UpSampling2D"), _up_sampling),
    **dict.fromkeys(("ZeroPadding1D", "ZeroPadding2D"), _zero_padding),
    **dict.fromkeys(("Cropping1D", "Cropping2D"), _cropping),
    **dict.fromkeys(("MaxPooling1D", "MaxPooling2D"), _pool(MaxPool)),
    **dict.fromkeys(("AveragePooling1D", "AveragePooling2D"), _pool(AveragePool)),
    **dict.fromkeys(("GlobalMaxPooling1D", "GlobalMaxPooling2D"), _global_pool(MaxPool)),
    **dict.fromkeys(("GlobalAveragePooling1D", "GlobalAveragePooling2D"), _global_pool(AveragePool)),
    "QAveragePooling2D": _quantized_pool(_pool(AveragePool), is_global=False),
    "QGlobalAveragePooling2D": _quantized_pool(_global_pool(AveragePool), is_global=True),
    **{kind: _merge(kind.lower()) for kind in ("Add", "Subtract", "Multiply", "Maximum", "Minimum", "Average")},
    "Concatenate": _concatenate,
}
