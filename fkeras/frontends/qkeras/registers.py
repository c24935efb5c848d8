"""Faults in registers as TensorFlow computes them: what layers hand on is read as words in which bits are wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fkeras.errors import Argument, UnsupportedError
from fkeras.faults.register_patch import RegisterPatch
from fkeras.frontends.qkeras.setup import tensorflow
from fkeras.frontends.qkeras.slots import walk
from fkeras.frontends.qkeras.tracing import input_names, output_names
from fkeras.memory import BitSpace, FixedPoint, MixedFixedPoint, Register

Masks = tuple[Any, Any, Any]
"""Which bits of each word flip, read 1 and read 0: (1 or n, *shape) int64 each."""
Read = Callable[[Any], Any]
SUMMING = ("Dense", "Conv1D", "Conv2D", "DepthwiseConv2D")
"""Layers whose sums are had by leaving out bias and activation; QKeras' are called the same with a Q."""


def mask_specs(space: BitSpace) -> list[Any]:
    """Three TensorSpecs per register."""
    tf = tensorflow()
    return [tf.TensorSpec([None, *register.shape], tf.int64) for register in space.registers for _ in range(3)]


def masks_of(space: BitSpace, patches: Sequence[RegisterPatch], rows: slice) -> list[NDArray[np.int64]]:
    """The masks that fault sets are for the samples `rows`, three per register."""
    by_path = {patch.register.path: patch for patch in patches}
    return [mask for register in space.registers for mask in _masks(register, by_path.get(register.path), rows)]


def _masks(register: Register, patch: RegisterPatch | None, rows: slice) -> NDArray[np.int64]:
    if patch is None:
        return np.zeros((3, 1, *register.shape), np.int64)
    here = (patch.samples >= rows.start) & (patch.samples < rows.stop)
    masks = np.zeros((3, rows.stop - rows.start if here.any() else 1, register.size), np.int64)
    for mask, words in zip(masks, (patch.flips, patch.ones, patch.zeros), strict=True):
        mask[:, patch.elements] = words
    masks[0, patch.samples[here] - rows.start, patch.sample_elements[here]] ^= patch.sample_flips[here].astype(np.int64)
    return masks.reshape(3, -1, *register.shape)


def through_inputs(model: Any, space: BitSpace, inputs: Sequence[Any], masks: Mapping[str, Masks]) -> list[Any]:
    """What is read of the model's inputs."""
    layers = dict(walk(model))
    reads = {}
    for register in space.registers:
        if register.memory == "inputs":
            layer = layers[register.quantizer.rpartition("/")[0]] if register.quantizer else None
            quantizer = None if layer is None else getattr(layer, "quantizer", getattr(layer, "activation", None))
            reads[register.tensor] = register, quantizer
    return [
        x if name not in reads else _faulty(*reads[name], x, masks[reads[name][0].path])
        for name, x in zip(input_names(model), inputs, strict=True)
    ]


def through_outputs(model: Any, space: BitSpace, outputs: Sequence[Any], masks: Mapping[str, Masks]) -> list[Any]:
    """What is read of the model's outputs."""
    held = {register.path: register for register in space.registers if register.memory == "outputs"}
    paths = [f"{name}/output" for name in output_names(model)]
    return [
        y if path not in held else _faulty(held[path], None, y, masks[path])
        for path, y in zip(paths, outputs, strict=True)
    ]


@contextmanager
def read_through(model: Any, space: BitSpace, masks: Mapping[str, Masks]) -> Iterator[None]:
    """Within the block layers hand on what is read of the registers of a space behind them, and sum into others.

    UnsupportedError for a layer that does it several times, or not at all: nothing may be injected in vain.
    """
    layers, calls = dict(walk(model)), dict[str, int]()
    with ExitStack() as stack:
        for register in space.registers:
            if register.memory in ("inputs", "outputs"):
                continue
            calls[register.path] = 0
            layer = layers.get(register.tensor.rpartition("/")[0])

            def read(x: Any, register: Register = register) -> Any:
                calls[register.path] += 1
                return _faulty(register, None, x, masks[register.path])

            if register.memory == "activations":
                stack.enter_context(_behind_activation(layer, register, read))
            else:
                stack.enter_context(_behind_sums(layer, register, read))
        yield
    for path, n in calls.items():
        if n != 1:
            _refuse(path, f"its layer is applied {n} times while the model computes its outputs")


def _refuse(path: str, why: str) -> None:
    raise UnsupportedError(
        f"register '{path}': {why}, so the framework engine cannot inject there; use ", Argument("engine", "cpu")
    )


@contextmanager
def _behind_activation(layer: Any, register: Register, read: Read) -> Iterator[None]:
    attribute = "quantizer" if type(layer).__name__ == "QActivation" else "activation"
    original = getattr(layer, attribute, None)
    if original is None or register.tensor.rpartition("/")[2] != "activation":
        _refuse(register.path, f"no activation of a {type(layer).__name__} makes it")
    assert original is not None
    object.__setattr__(layer, attribute, lambda x: read(original(x)))
    try:
        yield
    finally:
        object.__setattr__(layer, attribute, original)


@contextmanager
def _behind_sums(layer: Any, register: Register, read: Read) -> Iterator[None]:
    if type(layer).__name__.removeprefix("Q") not in SUMMING or register.tensor.rpartition("/")[2] != "sum":
        _refuse(register.path, f"the sums of a {type(layer).__name__} are not known alone")
    tf = tensorflow()
    original = layer.call

    @tf.autograph.experimental.do_not_convert  # type: ignore[untyped-decorator]
    def call(inputs: Any, *arguments: Any, **settings: Any) -> Any:
        use_bias, activation = layer.use_bias, layer.activation
        object.__setattr__(layer, "use_bias", False)
        object.__setattr__(layer, "activation", None)
        try:
            x = read(original(inputs, *arguments, **settings))
        finally:
            object.__setattr__(layer, "use_bias", use_bias)
            object.__setattr__(layer, "activation", activation)
        if use_bias:
            quantizer = getattr(layer, "bias_quantizer_internal", None)
            x = x + (layer.bias if quantizer is None else quantizer(layer.bias))
        return x if activation is None else activation(x)

    object.__setattr__(layer, "call", call)
    try:
        yield
    finally:
        object.__delattr__(layer, "call")


def _faulty(register: Register, quantizer: Any, x: Any, masks: Masks) -> Any:
    """x, where a bit is wrong what the wrong word means."""
    tf = tensorflow()
    flips, ones, zeros = masks
    held = (x if quantizer is None else quantizer(x)) / register.scale
    codec = register.codec
    if isinstance(codec, FixedPoint | MixedFixedPoint):
        shape = register.shape if isinstance(codec, MixedFixedPoint) else ()
        width, integer, signed = (
            np.asarray(part, np.int64).reshape(shape) for part in (codec.width, codec.integer, codec.signed)
        )
        steps = np.ldexp(1.0, integer + signed - width)
        codes = tf.cast(tf.round(tf.cast(held, tf.float64) / steps), tf.int64)
        modulus, half = np.int64(1) << width, np.where(signed, np.int64(1) << np.maximum(width - 1, 0), 0)
        words = codes % modulus
        read_codes = (_wrong(words, masks) + half) % modulus - half
        held_codes = (words + half) % modulus - half
        read = tf.cast(codes + read_codes - held_codes, tf.float64) * steps
    else:
        meanings = codec.decode(np.arange(1 << codec.width, dtype=np.uint32))
        levels = np.unique(meanings)
        nearest = tf.searchsorted((levels[1:] + levels[:-1]) / 2, tf.reshape(tf.cast(held, tf.float64), [-1]))
        words = tf.reshape(tf.gather(codec.encode(levels).astype(np.int64), nearest), tf.shape(held))
        read = tf.gather(meanings, _wrong(words, masks))
    values, wrong = tf.cast(read * register.scale, x.dtype), (flips | ones | zeros) != 0
    read_values = tf.where(wrong, values, x)
    if register.limits is None:
        return read_values
    low, high = (part.reshape(register.shape) for part in (register.limits.low, register.limits.high))
    number = tf.where(wrong, read, tf.cast(held, tf.float64))
    outside = (number < low - register.tolerance) | (number > high + register.tolerance)
    limit = tf.clip_by_value(number, low, high) if register.limits.outside == "clamp" else tf.zeros_like(number)
    return tf.where(outside, tf.cast(limit * register.scale, x.dtype), read_values)


def _wrong(words: Any, masks: Masks) -> Any:
    bitwise, (flips, ones, zeros) = tensorflow().bitwise, masks
    return bitwise.bitwise_and(bitwise.bitwise_or(bitwise.bitwise_xor(words, flips), ones), bitwise.invert(zeros))
