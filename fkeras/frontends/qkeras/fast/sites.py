"""Where a kernel's words act: which output channel a fault reaches, through which inputs, and what follows there."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import ceil
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fkeras.frontends.qkeras.fast.channels import Floats, Ints, as_integers
from fkeras.frontends.qkeras.fast.exactness import Fact, activation_fact, weighted_sum_fact, with_bias
from fkeras.frontends.qkeras.fast.functions import is_softmax
from fkeras.frontends.qkeras.graph import Call, Graph, Key
from fkeras.frontends.qkeras.setup import tensorflow, whole_float32
from fkeras.memory import BitSpace, WordTensor

LINEAR = {"QDense", "QConv1D", "QConv2D", "QConv2DBatchnorm", "QDepthwiseConv2D", "QDepthwiseConv2DBatchnorm"}


@dataclass(frozen=True, slots=True)
class Window:
    """The geometry of a layer as a convolution over (height, width): a dense layer is one of size 1."""

    size: tuple[int, int]
    stride: tuple[int, int]
    dilation: tuple[int, int]
    padding: str

    def pads(self, shape: tuple[int, int]) -> tuple[tuple[int, int], tuple[int, int]]:
        """Zeros before and after each axis, as TensorFlow pads."""
        if self.padding == "valid":
            return (0, 0), (0, 0)
        pads = []
        for length, size, stride, dilation in zip(shape, self.size, self.stride, self.dilation, strict=True):
            reach = (size - 1) * dilation + 1
            total = max((ceil(length / stride) - 1) * stride + reach - length, 0)
            before = reach - 1 if self.padding == "causal" else total // 2
            pads.append((before, max(total - before, 0) if self.padding != "causal" else 0))
        return pads[0], pads[1]


@dataclass(frozen=True, slots=True, eq=False)
class Faults:
    """Single flips at one site, (n,) int32 each: output channel, input channel, where in the window, and the change
    of the weight in units of the kernel's grid."""

    channel: Ints
    term: Ints
    row: Ints
    column: Ints
    delta: Ints

    def some(self, chosen: NDArray[np.intp]) -> Faults:
        """The faults with these numbers."""
        return Faults(*(getattr(self, name)[chosen] for name in Faults.__slots__))


@dataclass(frozen=True, slots=True, eq=False)
class Inputs:
    """A layer's golden padded inputs in units of their grid, laid out so that a strided window reads neighbours.

    phases (n, channels, places within a stride, height, width): each place within a stride is an image of its own.
    """

    phases: Floats
    stride: tuple[int, int]

    @property
    def flat(self) -> Floats:
        """(n, floats)."""
        return self.phases.reshape(len(self.phases), -1)

    @property
    def pitch(self) -> int:
        """From one row to the next in `flat`."""
        return int(self.phases.shape[4])

    def places(self, faults: Faults) -> Ints:
        """Where in `flat` each fault's weight reads for the first output position, (faults,)."""
        (rows, y), (columns, x) = np.divmod(faults.row, self.stride[0]), np.divmod(faults.column, self.stride[1])
        index = faults.term, y * self.stride[1] + x, rows, columns
        return np.ravel_multi_index(index, self.phases.shape[1:]).astype(np.int32)


@dataclass(frozen=True, eq=False)
class Site:
    """One kernel tensor of the space at its only place in the graph.

    number: the tensor's number in the space; segment: the elementwise calls after it; end: the key of the tensor after
    them, through which everything that the kernel influences flows.
    """

    number: int
    tensor: WordTensor
    bias: NDArray[np.float32] | None
    call: Call
    window: Window
    segment: tuple[Call, ...]
    end: Key
    input_fact: Fact
    end_fact: Fact
    kernel_step: float

    @property
    def depthwise(self) -> bool:
        """Whether each output channel reads one input channel only."""
        return "Depthwise" in type(self.call.layer).__name__

    def faults(self, space: BitSpace, bits: NDArray[np.int64]) -> Faults:
        """Each bit flipped alone."""
        place = space.locate(bits)
        words = self.tensor.words[place.element]
        flipped = words ^ place.mask
        step = self.kernel_step
        scale = self.tensor.scale[place.element].astype(np.float64)
        golden, faulty = (self.tensor.decode(each, place.element) for each in (words, flipped))
        delta = (faulty - golden) * scale / step
        row, column, term, last = np.unravel_index(place.element, self.kernel.shape)
        channel = term * self.kernel.shape[3] + last if self.depthwise else last
        rates = self.window.dilation
        return Faults(
            *(np.asarray(part, np.int32) for part in (channel, term, row * rates[0], column * rates[1], np.rint(delta)))
        )

    @cached_property
    def kernel(self) -> NDArray[np.float32]:
        """The golden kernel as (height, width, input channels, outputs per input channel or output channels)."""
        kernel = self.tensor.golden.reshape(self.tensor.shape)
        return kernel.reshape(
            {2: (1, 1, *kernel.shape), 3: (kernel.shape[0], 1, *kernel.shape[1:])}.get(kernel.ndim, kernel.shape)
        )

    def padded(self, x: Any) -> NDArray[np.float32]:
        """The layer's input as (n, height, width, channels), zeros added as the layer does."""
        image = as_image(np.asarray(x))
        rows, columns = self.window.pads(image.shape[1:3])
        return np.pad(image, ((0, 0), rows, columns, (0, 0)))

    def sums(self, padded: NDArray[np.float32]) -> Floats:
        """The golden weighted sums without bias, in grid units; (n, height, width, channels)."""
        nn, stride, dilation = tensorflow().nn, self.window.stride, self.window.dilation
        with whole_float32():
            if self.depthwise:
                sums = nn.depthwise_conv2d(padded, self.kernel, (1, *stride, 1), "VALID", dilations=dilation)
            else:
                sums = nn.conv2d(padded, self.kernel, stride, "VALID", dilations=dilation)
        return as_integers(sums.numpy(), self.sum_step)

    @property
    def sum_step(self) -> float:
        """The grid of the weighted sums."""
        assert self.input_fact.step is not None
        return self.kernel_step * self.input_fact.step

    def phases(self, padded: NDArray[np.float32]) -> Floats:
        """The padded inputs in grid units as `Inputs` holds them."""
        assert self.input_fact.step is not None
        stride_y, stride_x = self.window.stride
        n, height, width, channels = padded.shape
        whole = np.pad(padded, ((0, 0), (0, -height % stride_y), (0, -width % stride_x), (0, 0)))
        split = whole.reshape(n, -(-height // stride_y), stride_y, -(-width // stride_x), stride_x, channels)
        by_place = split.transpose(0, 5, 2, 4, 1, 3).reshape(n, channels, stride_y * stride_x, *split.shape[1:5:2])
        return as_integers(by_place, self.input_fact.step)

    @property
    def activations(self) -> list[Any]:
        """What is applied after the weighted sum and the bias, in order; no None among them."""
        own = [self.call.layer.activation]
        after = [getattr(call.layer, "quantizer", None) or call.layer.activation for call in self.segment]
        return [activation for activation in own + after if activation is not None]

    @property
    def rounds(self) -> bool:
        """Whether a quantizer of bounded, monotone levels stands between the sums and the end tensor."""
        return self.end_fact.step is not None and any(map(is_quantizer, self.activations))

    @cached_property
    def last_axis_columns(self) -> NDArray[np.float64]:
        """The golden kernel as (terms, output channels)."""
        return last_axis_columns(self.tensor, self.depthwise)

    def values_after(self, sums: NDArray[np.int64], channel: int) -> NDArray[np.float32]:
        """What the end tensor holds in `channel` for each weighted sum, by the network's own operations."""
        tf = tensorflow()
        values = tf.constant((sums * self.sum_step).astype(np.float32).reshape(-1, 1))
        if self.bias is not None:
            values = values + self.bias[channel]
        if self.call.layer.activation is not None:
            values = self.call.layer.activation(values)
        for call in self.segment:
            values = call.layer(values)
        flat: NDArray[np.float32] = np.asarray(values).reshape(-1)
        return flat


def is_quantizer(activation: Any) -> bool:
    """Whether an activation is a quantizer object rather than a plain function."""
    return hasattr(activation, "get_config")


def as_image(x: NDArray[Any]) -> NDArray[Any]:
    """(n, c), (n, length, c) or (n, height, width, c) as the last."""
    return x.reshape(x.shape[0], *{2: (1, 1), 3: (x.shape[1], 1), 4: x.shape[1:3]}[x.ndim], x.shape[-1])


def window_of(call: Call) -> Window | None:
    """The geometry of a layer call; None for one that this module does not know."""
    layer = call.layer
    kind = type(layer).__name__
    if kind not in LINEAR:
        return None
    if kind == "QDense":
        return Window((1, 1), (1, 1), (1, 1), "valid") if len(call.node.keras_inputs[0].shape) in (2, 3, 4) else None
    if layer.data_format != "channels_last" or getattr(layer, "groups", 1) != 1:
        return None
    size, stride, dilation = tuple(layer.kernel_size), tuple(layer.strides), tuple(layer.dilation_rate)
    if len(size) == 1:
        size, stride, dilation = (size[0], 1), (stride[0], 1), (dilation[0], 1)
    return Window(size, stride, dilation, layer.padding)


def last_axis_columns(tensor: WordTensor, depthwise: bool) -> NDArray[np.float64]:
    """The golden kernel as (terms, output channels)."""
    kernel = tensor.golden.astype(np.float64).reshape(tensor.shape)
    if depthwise:
        return kernel.reshape(kernel.shape[0] * kernel.shape[1], -1)
    return kernel.reshape(-1, kernel.shape[-1])


def fact_after(call: Call, kernel: WordTensor, bias: NDArray[np.float32] | None, given: Fact) -> Fact:
    """The fact of a covered layer's output."""
    depthwise = "Depthwise" in type(call.layer).__name__
    summed = weighted_sum_fact(given, kernel, last_axis_columns(kernel, depthwise))
    return activation_fact(call.layer.activation, with_bias(summed, bias))


def elementwise_segment(graph: Graph, call: Call) -> tuple[tuple[Call, ...], Key]:
    """The chain of channel-wise calls after a layer up to its first quantizer, each the only reader of its input; and
    the tensor at its end."""
    segment: list[Call] = []
    end = call.outputs[0]
    rounded = is_quantizer(call.layer.activation)
    while end not in graph.outputs and not rounded:
        readers = graph.consumers(end)
        if len(readers) != 1 or type(readers[0].layer).__name__ not in ("QActivation", "Activation"):
            break
        if is_softmax(readers[0].layer.activation):
            break
        segment.append(readers[0])
        end = readers[0].outputs[0]
        rounded = is_quantizer(getattr(readers[0].layer, "quantizer", None) or readers[0].layer.activation)
    return tuple(segment), end
