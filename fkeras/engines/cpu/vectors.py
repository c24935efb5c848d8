"""An inner loop that a compiler does not find by itself: it keeps sums in registers.

It is written as LLVM vectors, which any processor runs in pieces of its own width.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Ints = NDArray[np.int32]
INDEX, FLAGS = ir.IntType(64), ("contract",)


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
