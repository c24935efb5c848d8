"""Windows over the axes between samples and channels: strides, padding and dilation as Keras has them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from math import ceil
from typing import Literal

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from fkeras.network.operation import Numbers, Shape

Padding = Literal["valid", "same", "causal"]
Pads = tuple[tuple[int, int], ...]


def pads(lengths: Shape, size: Shape, strides: Shape, dilation: Shape, padding: str) -> Pads:
    """How many elements stand before and after each axis."""
    found = []
    for length, width, stride, rate in zip(lengths, size, strides, dilation, strict=True):
        reach = (width - 1) * rate + 1
        if padding == "causal":
            found.append((reach - 1, 0))
        else:
            total = max((ceil(length / stride) - 1) * stride + reach - length, 0) if padding == "same" else 0
            found.append((total // 2, total - total // 2))
    return tuple(found)


def n_windows(lengths: Shape, size: Shape, strides: Shape, dilation: Shape, padding: str) -> Shape:
    """How many windows fit on each axis. ValueError where none does."""
    if min((*size, *strides, *dilation), default=1) < 1:
        raise ValueError(f"windows of {size}, strides {strides}, dilation {dilation}: allowed are 1 and more")
    found = []
    for length, width, stride, rate, (before, after) in zip(
        lengths, size, strides, dilation, pads(lengths, size, strides, dilation, padding), strict=True
    ):
        n = (length + before + after - (width - 1) * rate - 1) // stride + 1
        if n < 1:
            raise ValueError(f"a window of {width} does not fit into {length} elements")
        found.append(n)
    return tuple(found)


def windows(x: Numbers, size: Shape, strides: Shape, dilation: Shape, padding: str, fill: float = 0.0) -> Numbers:
    """(n, *windows, channels, *size): a view of every window of x (n, *lengths, channels)."""
    rank = len(size)
    around = ((0, 0), *pads(x.shape[1:-1], size, strides, dilation, padding), (0, 0))
    padded = np.pad(x, around, constant_values=fill)
    reach = tuple((width - 1) * rate + 1 for width, rate in zip(size, dilation, strict=True))
    view = sliding_window_view(padded, reach, axis=tuple(range(1, rank + 1)))
    outer = (slice(None), *(slice(None, None, stride) for stride in strides), slice(None))
    return view[(*outer, *(slice(None, None, rate) for rate in dilation))]


def spread(x: Numbers, kernel: Numbers, strides: Shape, dilation: Shape, start: Shape, lengths: Shape) -> Numbers:
    """The transpose of a convolution: every element of x (n, *lengths, in) adds its multiple of the kernel
    (*size, out, in) to a window; the result (n, *lengths, out) begins at `start`."""
    rank, size = len(strides), kernel.shape[: len(strides)]
    whole = [
        max((n - 1) * stride + (width - 1) * rate + 1, begin + length)
        for n, stride, width, rate, begin, length in zip(
            x.shape[1:-1], strides, size, dilation, start, lengths, strict=True
        )
    ]
    result = np.zeros((x.shape[0], *whole, kernel.shape[rank]), np.result_type(x, kernel))
    for place in product(*map(range, size)):
        into = tuple(
            slice(at * rate, at * rate + (n - 1) * stride + 1, stride)
            for at, rate, n, stride in zip(place, dilation, x.shape[1:-1], strides, strict=True)
        )
        result[(slice(None), *into)] += x @ kernel[place].T
    cut: Sequence[slice] = [slice(begin, begin + length) for begin, length in zip(start, lengths, strict=True)]
    return result[(slice(None), *cut)]
