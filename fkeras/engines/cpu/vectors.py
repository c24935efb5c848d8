"""Three inner loops that a compiler does not find by itself: two keep sums in registers, one lists what differs.

Both are written as LLVM vectors, which any processor runs in pieces of its own width. What each saves:
`python -m benchmarks.ablation`.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numba
import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Ints = NDArray[np.int32]
INDEX, FLAGS = ir.IntType(64), ("contract",)


class Window(NamedTuple):
    """Where the windows of one channel lie: `step` from one output's window to the next and `pitch` from row to row in
    the map, `across` from column to column and `down` from row to row in the weights; rows and columns of a window."""

    step: int
    pitch: int
    across: int
    down: int
    rows: int
    columns: int


def _splat(builder: Any, factor: Any, width: int) -> Any:
    """A vector of `width` times the same number."""
    lanes = ir.VectorType(ir.IntType(32), width)
    undefined = ir.Constant(ir.VectorType(ir.FloatType(), width), ir.Undefined)
    lane = builder.insert_element(undefined, factor, ir.Constant(ir.IntType(32), 0))
    return builder.shuffle_vector(lane, undefined, ir.Constant(lanes, None))


def _add_product(builder: Any, total: Any, factor: Any, weight: Any) -> None:
    """total += factor x weight, of a number and a vector; total: where it is kept."""
    product = builder.fmul(_splat(builder, factor, weight.type.count), weight, flags=FLAGS)
    builder.store(builder.fadd(builder.load(total), product, flags=FLAGS), total)


def _adder(width: int) -> Any:
    """As `add_products`, for k < width and a stride between the rows of weights.

    The sums stay in registers meanwhile; even and odd m have their own, so that one need not wait for the other.
    """
    vector = ir.VectorType(ir.FloatType(), width)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        _, begin, _, place, stride, _, _, first, stop = arguments

        def entry(argument: int, index: Any, piece: Any = None) -> Any:
            data = context.make_array(signature.args[argument])(context, builder, arguments[argument]).data
            address = builder.gep(data, [index])
            return address if piece is None else builder.bitcast(address, piece.as_pointer())

        def add(total: Any, m: Any, factor: Any) -> None:
            term = builder.sext(builder.load(entry(5, m)), INDEX)
            weight = builder.load(entry(2, builder.add(place, builder.mul(term, stride)), vector), align=4)
            _add_product(builder, total, factor, weight)

        target = entry(0, begin, vector)
        even = cgutils.alloca_once_value(builder, builder.load(target, align=4))
        odd = cgutils.alloca_once_value(builder, ir.Constant(vector, None))
        with cgutils.for_range_slice(builder, first, stop, ir.Constant(INDEX, 2)) as (m, _):
            add(even, m, builder.load(entry(6, m)))
            # Past the end the last term is read once more, times zero: a branch on whether m is odd costs more.
            after = builder.add(m, ir.Constant(INDEX, 1))
            inside = builder.icmp_signed("<", after, stop)
            after = builder.select(inside, after, m)
            zero = ir.Constant(ir.FloatType(), 0.0)
            add(odd, after, builder.select(inside, builder.load(entry(6, after)), zero))
        builder.store(builder.fadd(builder.load(even), builder.load(odd)), target, align=4)
        return context.get_dummy_value()

    @intrinsic
    def adder(  # type: ignore[no-untyped-def]
        typingctx, sums, begin, weights, place, stride, terms, factors, first, stop
    ):
        whole = types.int64
        return types.void(sums, whole, weights, whole, whole, terms, factors, whole, whole), generate

    return adder


_add_32, _add_8, _add_2, _add_1 = (_adder(width) for width in (32, 8, 2, 1))


@numba.njit(inline="always", nogil=True, cache=True)  # type: ignore[untyped-decorator]
def add_products(
    sums: Floats,
    begin: int,
    length: int,
    weights: Floats,
    place: int,
    terms: Ints,
    factors: Floats,
    first: int,
    stop: int,
) -> None:  # pragma: no cover - compiled
    """sums[begin + k] += sum over m of factors[m] x weights[place + terms[m] x length + k].

    For k < length and first <= m < stop; indices are not checked.
    """
    k = 0
    while k + 32 <= length:
        _add_32(sums, begin + k, weights, place + k, length, terms, factors, first, stop)
        k += 32
    while k + 8 <= length:
        _add_8(sums, begin + k, weights, place + k, length, terms, factors, first, stop)
        k += 8
    while k + 2 <= length:
        _add_2(sums, begin + k, weights, place + k, length, terms, factors, first, stop)
        k += 2
    if k < length:
        _add_1(sums, begin + k, weights, place + k, length, terms, factors, first, stop)


def _window_adder(width: int, outputs: int) -> Any:
    """As `add_windows`, for k < width and `outputs` neighbours at once, whose sums stay in registers.

    A row of weights is read once for all of them.
    """
    vector = ir.VectorType(ir.FloatType(), width)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        _, _, begin, apart, _, place, _, at, window = arguments
        step, pitch, across, down, rows, columns = cgutils.unpack_tuple(builder, window, len(Window._fields))

        def entry(argument: int, index: Any) -> Any:
            data = context.make_array(signature.args[argument])(context, builder, arguments[argument]).data
            return builder.gep(data, [index])

        def piece(argument: int, index: Any) -> Any:
            return builder.bitcast(entry(argument, index), vector.as_pointer())

        def after(index: Any, number: Any, stride: Any) -> Any:
            return builder.add(index, builder.mul(number, stride))

        numbers = [ir.Constant(INDEX, output) for output in range(outputs)]
        places = [after(begin, number, apart) for number in numbers]
        totals = [cgutils.alloca_once_value(builder, builder.load(piece(0, one), align=4)) for one in places]
        with cgutils.for_range(builder, rows) as row:
            weights_of_row, factors_of_row = after(place, row.index, down), after(at, row.index, pitch)
            with cgutils.for_range(builder, columns) as column:
                weight = builder.load(piece(4, after(weights_of_row, column.index, across)), align=4)
                factor_at = builder.add(factors_of_row, column.index)
                for number, total in zip(numbers, totals, strict=True):
                    _add_product(builder, total, builder.load(entry(6, after(factor_at, number, step))), weight)
        for one, total in zip(places, totals, strict=True):
            builder.store(builder.load(total), piece(1, one), align=4)
        return context.get_dummy_value()

    @intrinsic
    def adder(typingctx, golden, sums, begin, apart, weights, place, factors, at, window):  # type: ignore[no-untyped-def]
        whole = types.int64
        return types.void(golden, sums, whole, whole, weights, whole, factors, whole, window), generate

    return adder


def _for_any_length(outputs: int) -> Any:
    """The window adder for so many outputs and any number of sums each."""
    add_32, add_4, add_1 = (_window_adder(width, outputs) for width in (32, 4, 1))

    @numba.njit(inline="always", nogil=True)
    def add(golden, sums, begin, length, weights, place, factors, at, window):  # type: ignore[no-untyped-def] # pragma: no cover - compiled
        k = 0
        while k + 32 <= length:
            add_32(golden, sums, begin + k, length, weights, place + k, factors, at, window)
            k += 32
        while k + 4 <= length:
            add_4(golden, sums, begin + k, length, weights, place + k, factors, at, window)
            k += 4
        while k < length:
            add_1(golden, sums, begin + k, length, weights, place + k, factors, at, window)
            k += 1

    return add


_add_four_windows, _add_window = _for_any_length(4), _for_any_length(1)


@numba.njit(inline="always", nogil=True, cache=True)  # type: ignore[untyped-decorator]
def add_windows(
    golden: Floats,
    sums: Floats,
    outputs: int,
    length: int,
    weights: Floats,
    place: int,
    factors: Floats,
    at: int,
    window: Window,
) -> None:  # pragma: no cover - compiled
    """sums[p x length + k] = golden[p x length + k] + sum over y and x of factors[at + p x step + y x pitch + x] x
    weights[place + y x down + x x across + k].

    For p < outputs, k < length, y < rows and x < columns; indices are not checked.
    """
    p = 0
    while p + 4 <= outputs:
        _add_four_windows(golden, sums, p * length, length, weights, place, factors, at + p * window.step, window)
        p += 4
    while p < outputs:
        _add_window(golden, sums, p * length, length, weights, place, factors, at + p * window.step, window)
        p += 1


@intrinsic  # type: ignore[untyped-decorator]
def _lowest_bit(typingctx: Any, mask: Any) -> Any:
    """The number of the lowest bit that is set; there is one."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.cttz(arguments[0], ir.Constant(ir.IntType(1), 1))

    return types.uint64(types.uint64), generate


@numba.njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def list_changes(
    values: Floats, golden: Floats, begin: int, stop: int, first: int, count: int, terms: Ints, changes: Floats
) -> int:  # pragma: no cover - compiled
    """Append the differences values[k] - golden[k] that are not zero, begin <= k < stop; returns the new count.

    terms and changes are filled from `count` on; terms number k from `first` on.
    """
    place = np.uint64(count)  # unsigned numbers spare the check for negative indices
    for low in range(np.uint64(begin), np.uint64(stop), np.uint64(64)):
        mask = np.uint64(0)
        for bit in range(min(np.uint64(64), np.uint64(stop) - low)):
            mask |= np.uint64(values[low + bit] != golden[low + bit]) << bit
        while mask:
            k = low + _lowest_bit(mask)
            terms[place] = np.int64(k) - begin + first
            changes[place] = values[k] - golden[k]
            place += np.uint64(1)
            mask &= mask - np.uint64(1)
    return int(place)
