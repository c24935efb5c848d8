"""The inner loop of a forward pass: a tile of weighted sums in registers, then quantized and stored.

A tile is eight outputs (pixels, samples) by one or two vectors of sixteen neighbouring channels, whose sums lie in 32
bits each. A step reads 32 bits of each output's inputs (four bytes, two words of 16 bits, one float32) and as many
of every channel's weights, and adds the sum of their products: one instruction where the processor has it
(`vpdpbusd`, `vpdpwssd`, a fused multiply-add). All sums are exact, so that any order of them is the same.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from llvmlite import binding, ir
from numba.core import cgutils, types
from numba.extending import intrinsic

LANES = 16
"""Channels of a vector of 32-bit sums; narrower processors take it in pieces."""
OUTPUTS = 8
"""Outputs of a tile."""
BYTES, WORDS, FLOATS = 0, 1, 2
"""How levels are stored: unsigned 8 bits less a zero point, signed 16 bits, float32."""
ITEM_SIZES = np.array([1, 2, 4])

FUSED = ("contract",)
I1, I8, I16, I32, I64, F32 = (*(ir.IntType(bits) for bits in (1, 8, 16, 32, 64)), ir.FloatType())
SUMS, REALS = ir.VectorType(I32, LANES), ir.VectorType(F32, LANES)
ROUNDING = 1.5 * 2.0**23
"""Added to a number below 2**22 in float32, it leaves the nearest whole number, half to even, in the low bits."""
ROUNDING_BITS = int(np.float32(ROUNDING).view(np.int32))
HAS_DOT_PRODUCTS = bool(binding.get_host_cpu_features().get("avx512vnni"))
"""Whether the processor adds four products of bytes, or two of words, to a sum by one instruction."""


class Ending(NamedTuple):
    """What happens to sums: clip(round(sum x scale + offset), low, high), stored as `form` with zero at `zero`."""

    scale: np.float32
    low: np.float32
    high: np.float32
    rounds: bool
    form: int
    zero: int


def _declared(builder: Any, name: str, result: Any, arguments: list[Any]) -> Any:
    return cgutils.get_or_insert_function(builder.module, ir.FunctionType(result, arguments), name)


def _splat(builder: Any, value: Any) -> Any:
    undefined = ir.Constant(ir.VectorType(value.type, LANES), ir.Undefined)
    lane = builder.insert_element(undefined, value, ir.Constant(I32, 0))
    return builder.shuffle_vector(lane, undefined, ir.Constant(ir.VectorType(I32, LANES), None))


def _add_products(form: int, dot_products: bool) -> Any:
    """total + inputs x weights of a vector of channels, as LLVM has it; all three are vectors of 32 bits a channel."""

    def instruction(builder: Any, total: Any, inputs: Any, weights: Any) -> Any:
        dot = _declared(builder, "llvm.x86.avx512.vpdpbusd.512", SUMS, [SUMS, SUMS, SUMS])
        return builder.call(dot, [total, inputs, weights])

    def parts(builder: Any, total: Any, inputs: Any, weights: Any) -> Any:
        """LLVM finds `pmaddwd` and `vpdpwssd` here by itself."""
        count = 4 if form == BYTES else 2
        narrow, wide = (ir.VectorType(kind, count * LANES) for kind in (ir.IntType(32 // count), I32))
        widened = builder.zext if form == BYTES else builder.sext
        factors = widened(builder.bitcast(inputs, narrow), wide), builder.sext(builder.bitcast(weights, narrow), wide)
        products = builder.mul(*factors)
        for part in range(count):
            places = ir.Constant(SUMS, [count * lane + part for lane in range(LANES)])
            total = builder.add(total, builder.shuffle_vector(products, products, places))
        return total

    def floats(builder: Any, total: Any, inputs: Any, weights: Any) -> Any:
        product = builder.fmul(builder.bitcast(inputs, REALS), builder.bitcast(weights, REALS), flags=FUSED)
        return builder.bitcast(builder.fadd(builder.bitcast(total, REALS), product, flags=FUSED), SUMS)

    if form == FLOATS:
        return floats
    return instruction if form == BYTES and dot_products else parts


def _tile(form: int, vectors: int, dot_products: bool = HAS_DOT_PRODUCTS) -> Any:
    """As `add_up`, for inputs of a form, and so many vectors of channels."""
    add_products = _add_products(form, dot_products)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        _, _, _, first, stop, _, place, _, _, lane, n_lanes, ending, _ = arguments
        scale, low, high, rounds, into, zero = cgutils.unpack_tuple(builder, ending, len(Ending._fields))

        def data(argument: int) -> Any:
            return context.make_array(signature.args[argument])(context, builder, arguments[argument]).data

        def number(value: int) -> Any:
            return ir.Constant(I64, value)

        def vector_at(pointer: Any, index: Any, kind: Any, align: int = 4) -> Any:
            return builder.load(builder.bitcast(builder.gep(pointer, [index]), kind.as_pointer()), align=align)

        arena, taps, weights, starts, offsets = (data(argument) for argument in (0, 2, 5, 7, 8))
        lanes = [builder.add(lane, number(vector * LANES)) for vector in range(vectors)]
        bases, targets = (
            [builder.gep(arena, [builder.load(builder.gep(data(places), [number(i)]))]) for i in range(OUTPUTS)]
            for places in (1, 12)
        )
        begins = [vector_at(starts, at, SUMS) for at in lanes]
        totals = [[cgutils.alloca_once_value(builder, begin) for begin in begins] for _ in range(OUTPUTS)]
        with cgutils.for_range_slice(builder, first, stop, number(1)) as (tap, count):
            step = builder.sext(builder.load(builder.gep(taps, [tap])), I64)
            at = builder.add(place, builder.mul(count, number(vectors * LANES * 4)))
            columns = [
                vector_at(weights, builder.add(at, number(vector * LANES * 4)), SUMS, 64) for vector in range(vectors)
            ]
            for base, row in zip(bases, totals, strict=True):
                piece = builder.load(builder.bitcast(builder.gep(base, [step]), I32.as_pointer()), align=1)
                factor = _splat(builder, piece)
                for total, column in zip(row, columns, strict=True):
                    builder.store(add_products(builder, builder.load(total), factor, column), total)

        scales, lows, highs = (_splat(builder, value) for value in (scale, low, high))
        rint = _declared(builder, "llvm.rint.v16f32", REALS, [REALS])
        rounds = builder.icmp_signed("!=", rounds, ir.Constant(rounds.type, 0))
        numbers = ir.Constant(ir.VectorType(I64, LANES), list(range(LANES)))
        shift = _splat(builder, builder.sub(builder.trunc(zero, I32), ir.Constant(I32, ROUNDING_BITS)))

        def least(left: Any, right: Any) -> Any:
            return builder.select(builder.fcmp_ordered("<", left, right), left, right)

        def most(left: Any, right: Any) -> Any:
            return builder.select(builder.fcmp_ordered(">", left, right), left, right)

        def whole(value: Any, kind: Any) -> Any:
            """The clipped value rounded to a whole number: what is left of it when so large a number is added."""
            rounded = builder.fadd(least(most(value, lows), highs), _splat(builder, ir.Constant(F32, ROUNDING)))
            return builder.trunc(builder.add(builder.bitcast(rounded, SUMS), shift), ir.VectorType(kind, LANES))

        def real(value: Any, kind: Any) -> Any:
            return least(most(builder.select(rounds, builder.call(rint, [value]), value), lows), highs)

        def store(kind: Any, level: Any, masks: Any) -> None:
            wide = ir.VectorType(kind, LANES)
            name = f"llvm.masked.store.v16{'f32' if kind is F32 else kind}.p0"
            some = [wide, wide.as_pointer(), I32, ir.VectorType(I1, LANES)]
            for vector, at in enumerate(lanes):
                offset = vector_at(offsets, at, REALS)
                for address, row in zip(targets, totals, strict=True):
                    total = builder.load(row[vector])
                    sums = builder.bitcast(total, REALS) if form == FLOATS else builder.sitofp(total, REALS)
                    scaled = builder.fmul(sums, scales, flags=FUSED)
                    value = level(builder.fadd(scaled, offset, flags=FUSED), kind)
                    target = builder.gep(builder.bitcast(address, kind.as_pointer()), [at])
                    target = builder.bitcast(target, wide.as_pointer())
                    if masks is None:
                        builder.store(value, target, align=1)
                    else:
                        masked = _declared(builder, name, ir.VoidType(), some)
                        builder.call(masked, [value, target, ir.Constant(I32, 1), masks[vector]])

        end = builder.add(lane, number(vectors * LANES))
        for kind, code, level in ((I8, BYTES, whole), (I16, WORDS, whole), (F32, FLOATS, real)):
            with (
                builder.if_then(builder.icmp_signed("==", into, ir.Constant(into.type, code))),
                builder.if_else(builder.icmp_signed("<=", end, n_lanes)) as (all_of_it, part_of_it),
            ):
                with all_of_it:
                    store(kind, level, None)
                with part_of_it:
                    left = [_splat(builder, builder.sub(n_lanes, at)) for at in lanes]
                    store(kind, level, [builder.icmp_signed("<", numbers, one) for one in left])
        return context.get_dummy_value()

    @intrinsic
    def tile(  # type: ignore[no-untyped-def]
        typingctx, arena, inputs, taps, first, stop, weights, place, starts, offsets, lane, n_lanes, ending, outputs
    ):
        whole = types.int64
        return types.void(
            *(arena, inputs, taps, whole, whole, weights, whole, starts, offsets, whole, whole, ending, outputs)
        ), generate

    return tile


bytes_tile, bytes_pair = (_tile(BYTES, vectors) for vectors in (1, 2))
words_tile, words_pair = (_tile(WORDS, vectors) for vectors in (1, 2))
floats_tile, floats_pair = (_tile(FLOATS, vectors) for vectors in (1, 2))
