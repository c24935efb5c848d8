"""An inner loop that a compiler does not find by itself: weighted sums of 32 samples at once, which stay in registers.

It is written as LLVM vectors, which any processor runs in pieces of its own width.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Ints = NDArray[np.int32]
LANES = 32
"""Samples that lie side by side."""
ROWS = 4
"""Sums of the same terms that are made at once."""
INDEX, NUMBER, FLAGS = ir.IntType(64), ir.FloatType(), ("contract",)
VECTOR = ir.VectorType(NUMBER, LANES)


def _splat(builder: Any, number: Any) -> Any:
    lanes = ir.Constant(ir.VectorType(ir.IntType(32), LANES), None)
    undefined = ir.Constant(VECTOR, ir.Undefined)
    lane = builder.insert_element(undefined, number, ir.Constant(ir.IntType(32), 0))
    return builder.shuffle_vector(lane, undefined, lanes)


def _adder(rows: int, turns: int) -> Any:
    """sums[begin + row] = max(offsets[offset + row] + sum over first <= m < stop of factors[at + (m - first) x rows +
    row] x inputs[terms[m]], low), for so many rows of LANES numbers; indices are not checked.

    turns: terms that are added to sums of their own, so that one need not wait for the other.
    """

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        _, begin, _, _, first, stop, _, at, _, offset, low = arguments

        def address(argument: int, index: Any) -> Any:
            array = context.make_array(signature.args[argument])(context, builder, arguments[argument])
            return builder.gep(array.data, [index])

        def vector(argument: int, row: Any) -> Any:
            place = address(argument, builder.mul(row, ir.Constant(INDEX, LANES)))
            return builder.bitcast(place, VECTOR.as_pointer())

        offsets = [builder.load(address(8, builder.add(offset, ir.Constant(INDEX, row)))) for row in range(rows)]
        totals = [cgutils.alloca_once_value(builder, _splat(builder, number)) for number in offsets]
        others = [cgutils.alloca_once_value(builder, ir.Constant(VECTOR, None)) for _ in range((turns - 1) * rows)]
        with cgutils.for_range_slice(builder, first, stop, ir.Constant(INDEX, turns)) as (m, _):
            for turn in range(turns):
                # Past the end the first term is read once more, times zero: a branch costs more.
                term = builder.add(m, ir.Constant(INDEX, turn))
                inside = builder.icmp_signed("<", term, stop)
                term = builder.select(inside, term, m) if turn else m
                values = builder.load(vector(2, builder.sext(builder.load(address(3, term)), INDEX)), align=4)
                place = builder.add(at, builder.mul(builder.sub(term, first), ir.Constant(INDEX, rows)))
                for row, total in enumerate((totals + others)[turn * rows : (turn + 1) * rows]):
                    factor = builder.load(address(6, builder.add(place, ir.Constant(INDEX, row))))
                    factor = builder.select(inside, factor, ir.Constant(NUMBER, 0.0)) if turn else factor
                    product = builder.fmul(_splat(builder, factor), values, flags=FLAGS)
                    builder.store(builder.fadd(builder.load(total), product, flags=FLAGS), total)
        for row, total in enumerate(totals):
            value = builder.load(total)
            for other in others[row::rows]:
                value = builder.fadd(value, builder.load(other))
            least = _splat(builder, low)
            value = builder.select(builder.fcmp_ordered("<", value, least), least, value)
            builder.store(value, vector(0, builder.add(begin, ir.Constant(INDEX, row))), align=4)
        return context.get_dummy_value()

    @intrinsic
    def adder(typingctx, sums, begin, inputs, terms, first, stop, factors, at, offsets, offset, low):  # type: ignore[no-untyped-def]
        whole = types.int64
        arguments = sums, whole, inputs, terms, whole, whole, factors, whole, offsets, whole, types.float32
        return types.void(*arguments), generate

    return adder


add_rows, add_row = _adder(ROWS, 1), _adder(1, 2)
