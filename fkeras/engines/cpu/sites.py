"""Where a kernel's words act: which output channel a fault reaches, through which inputs, and what follows there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from math import prod

import numpy as np
from numpy.typing import NDArray

from fkeras.arithmetic.passes import Floats, Ints
from fkeras.memory import BitSpace, WordTensor
from fkeras.network import Grid, Network, Node, Reshape
from fkeras.network.operation import Shape, Values
from fkeras.network.pointwise import Quantize, Relu, Steps
from fkeras.network.sums import Bias, Convolution, Dense, DepthwiseConvolution
from fkeras.network.windows import Pads, pads

Image = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Window:
    """The geometry of a layer as a convolution over (height, width): a dense layer is one of size 1."""

    size: tuple[int, int]
    stride: tuple[int, int]
    dilation: tuple[int, int]
    padding: str

    def pads(self, shape: tuple[int, int]) -> Pads:
        """Zeros before and after each axis."""
        return pads(shape, self.size, self.stride, self.dilation, self.padding)


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


@dataclass(frozen=True, eq=False)
class Site:
    """One kernel tensor of the space at the only place where the network reads it.

    number: the tensor's number in the space; bias: of each output channel; segment: the elementwise nodes behind the
    sum; end: the tensor behind them, through which everything that the kernel influences flows; kernel_step: the grid
    of its words.
    """

    network: Network
    number: int
    tensor: WordTensor
    node: Node
    operation: Dense | Convolution | DepthwiseConvolution
    window: Window
    segment: tuple[Node, ...]
    input_grid: Grid
    end_grid: Grid
    kernel_step: float

    @property
    def depthwise(self) -> bool:
        """Whether each output channel reads one input channel only."""
        return isinstance(self.operation, DepthwiseConvolution)

    @property
    def end(self) -> str:
        """The tensor behind the segment."""
        return self.segment[-1].name if self.segment else self.node.name

    @property
    def shapes(self) -> tuple[Image, Image]:
        """(height, width, channels) of the input and the output."""
        given, result = (image_shape(self.network.shapes[name]) for name in (self.node.inputs[0], self.node.name))
        return given, result

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

    @property
    def sum_step(self) -> float:
        """The grid of the weighted sums."""
        assert self.input_grid.step is not None
        return self.kernel_step * self.input_grid.step

    @property
    def added(self) -> tuple[str, ...]:
        """The name of the parameter that is added to the sums, if there is one."""
        first = self.segment[0].operation if self.segment else None
        return (first.bias,) if isinstance(first, Bias) else ()

    @cached_property
    def fixed(self) -> tuple[str, ...]:
        """The names of the parameters of what follows."""
        names = (name for node in self.segment for name in node.operation.parameters)
        return tuple(name for name in names if name not in self.added)

    @cached_property
    def bias(self) -> Floats:
        """What is added to each output channel's sums, (channels,)."""
        return self.bias_among(self.network.values)

    def bias_among(self, values: Values) -> Floats:
        """The same of other parameters."""
        n_channels = self.columns.shape[1]
        added = values[self.added[0]].reshape(-1) if self.added else np.zeros(1)
        return np.broadcast_to(added, n_channels).astype(np.float32)

    @property
    def rounds(self) -> bool:
        """Whether a quantizer of bounded levels stands between the sums and the end tensor."""
        return self.end_grid.step is not None and any(_rounds(node) for node in self.segment)

    @cached_property
    def columns(self) -> NDArray[np.float64]:
        """The golden kernel as (terms, output channels)."""
        return self.operation.columns(self.tensor.golden.reshape(self.tensor.shape)).astype(np.float64)

    def values_after(self, sums: NDArray[np.int64], channel: int) -> NDArray[np.float32]:
        """What the end tensor holds in `channel` for each weighted sum, by the network's own operations."""
        parameters = {
            name: _of_channel(self.network.values[name], channel)
            for node in self.segment
            for name in node.operation.parameters
            if not isinstance(node.operation, Steps)
        }
        tensors = {self.node.name: (sums * self.sum_step).astype(np.float32).reshape(-1, 1)}
        self.network.compute(self.segment, tensors, {**self.network.values, **parameters})
        return tensors[self.end].reshape(-1)


def _of_channel(parameter: Floats, channel: int) -> Floats:
    """A parameter that fits a sample, as it is in one channel."""
    flat = parameter.reshape(-1)
    return flat[channel : channel + 1] if flat.size > 1 else flat


def image_shape(shape: Shape) -> Image:
    """(c,), (length, c) or (height, width, c) as the last."""
    return (*{1: (1, 1), 2: (shape[0], 1), 3: shape[:2]}[len(shape)], shape[-1])  # type: ignore[return-value]


def as_image(x: Floats) -> Floats:
    """(n, c), (n, length, c) or (n, height, width, c) as the last."""
    return x.reshape(len(x), *image_shape(x.shape[1:]))


def window_of(node: Node, shape: Shape, kernel: Shape) -> Window | None:
    """The geometry of a weighted sum that reads samples of `shape`; None for one that this module does not know."""
    operation = node.operation
    if len(shape) > 3:
        return None
    if isinstance(operation, Dense):
        return Window((1, 1), (1, 1), (1, 1), "valid")
    if isinstance(operation, DepthwiseConvolution) or (isinstance(operation, Convolution) and operation.groups == 1):
        rank = len(shape) - 1
        return Window(pair(kernel[:rank]), pair(operation.strides), pair(operation.dilation), operation.padding)
    return None


def pair(lengths: Shape) -> tuple[int, int]:
    """One length or two as those of (height, width)."""
    return lengths[0], lengths[1] if len(lengths) == 2 else 1


def site_of(network: Network, grids: Mapping[str, Grid], number: int, tensor: WordTensor) -> Site | None:
    """Where the words of a tensor act; None where that is not one place of exact sums."""
    readers, step = network.readers_of(tensor.path), network.steps[tensor.path]
    if len(readers) != 1 or step is None:
        return None
    (node,) = readers
    given = grids[node.inputs[0]]
    operation, window = node.operation, window_of(node, network.shapes[node.inputs[0]], tensor.shape)
    if window is None or given.step is None or grids[node.name].step is None or not grids[node.name].reproducible:
        return None
    assert isinstance(operation, Dense | Convolution | DepthwiseConvolution)
    segment = elementwise_segment(network, node)
    end = grids[segment[-1].name if segment else node.name]
    return Site(network, number, tensor, node, operation, window, segment, given, end, step)


def elementwise_segment(network: Network, node: Node) -> tuple[Node, ...]:
    """The channel-wise nodes behind a sum up to its first quantizer, each the only reader of its input."""
    segment: list[Node] = []
    end, n_channels = node, network.shapes[node.name][-1]
    while end.name not in network.outputs and not _rounds(end):
        readers = network.readers(end.name)
        if len(readers) != 1 or not _is_channelwise(network, readers[0], n_channels):
            break
        if isinstance(readers[0].operation, Bias) and segment:
            break
        (end,) = readers
        segment.append(end)
    return tuple(segment)


def _rounds(node: Node) -> bool:
    return isinstance(node.operation, Quantize | Steps)


def _is_channelwise(network: Network, node: Node, n_channels: int) -> bool:
    """Whether a node does the same to all values of a channel, and nothing else."""
    if isinstance(node.operation, Steps):
        return True
    shapes = [network.values[name].shape for name in node.operation.parameters]
    return isinstance(node.operation, Bias | Relu | Quantize) and all(
        prod(shape) in (1, shape[-1]) and prod(shape) in (1, n_channels) for shape in shapes if shape
    )


def only_reader(network: Network, name: str) -> tuple[tuple[str, ...], Node | None]:
    """The only node that reads a tensor, beyond its flattening; the names of that."""
    between: list[str] = []
    while name not in network.outputs:
        readers = network.readers(name)
        if len(readers) != 1 or len(readers[0].inputs) != 1:
            break
        (reader,) = readers
        if not isinstance(reader.operation, Reshape):
            return tuple(between), reader if not between or isinstance(reader.operation, Dense) else None
        if len(reader.operation.to) != 1:
            break
        between.append(reader.name)
        name = reader.name
    return (), None
