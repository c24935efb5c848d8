"""The inner loop of a forward pass: a tile of weighted sums in registers, then quantized and stored.

A tile is some outputs (pixels, samples) by a vector of sixteen neighbouring channels, whose sums lie in 32
bits each. A step reads 32 bits of each output's inputs (four bytes, two words of 16 bits, one float32) and as many
of every channel's weights, and adds the sum of their products: one instruction where the processor has it
(`vpdpbusd`, `vpdpwssd`, a fused multiply-add). All sums are exact, so that any order of them is the same.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from llvmlite import ir
from numba import config
from numba.core import cgutils, types
from numba.core.codegen import get_host_cpu_features
from numba.extending import intrinsic

LANES = 16
"""Channels of a vector of 32-bit sums; narrower processors take it in pieces."""
VECTOR = 4 * LANES
"""Its bytes."""
BYTES, WORDS, FLOATS = 0, 1, 2
"""How levels are stored: unsigned 8 bits less a zero point, signed 16 bits, float32."""

FUSED = ("contract",)
I1, I8, I16, I32, I64, F32 = (*(ir.IntType(bits) for bits in (1, 8, 16, 32, 64)), ir.FloatType())
SUMS, REALS = ir.VectorType(I32, LANES), ir.VectorType(F32, LANES)
ROUNDING = 1.5 * 2.0**23
"""Added to a number below 2**22 in float32, it leaves the nearest whole number, half to even, in the low bits."""
ROUNDING_BITS = int(np.float32(ROUNDING).view(np.int32))
FEATURES = (get_host_cpu_features() if config.CPU_FEATURES is None else config.CPU_FEATURES).split(",")
"""What the processor can do that numba compiles for."""
OUTPUTS = 8 if "+avx512f" in FEATURES else 4
"""Outputs of a tile: as many as there are registers for their sums."""
HAS_DOT_PRODUCTS = "+avx512vnni" in FEATURES
"""Whether that is to add four products of bytes to a sum by one instruction."""


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


def _data(context: Any, builder: Any, signature: Any, arguments: Any, argument: int) -> Any:
    """Where the elements of an array argument begin."""
    return context.make_array(signature.args[argument])(context, builder, arguments[argument]).data


def _at(builder: Any, pointer: Any, index: Any, kind: Any) -> Any:
    """The address of element `index`, counted in what the pointer points to, as one of a vector or number."""
    return builder.bitcast(builder.gep(pointer, [index]), kind.as_pointer())


def _tile(form: int, dot_products: bool = HAS_DOT_PRODUCTS) -> Any:
    """Fill sums (outputs, lanes) from starts[lane] on, for first <= step < stop: what an output has at inputs[output] +
    taps[step] of the arena, times the weights from `place` on, (steps, lanes) times 32 bits.

    Places are in bytes, sums and weights begin with a cache line, indices are not checked.
    """
    add_products = _add_products(form, dot_products)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        sums, arena, inputs, taps, weights, starts = (
            _data(context, builder, signature, arguments, argument) for argument in (0, 1, 2, 3, 6, 8)
        )
        first, stop, place, lane = (arguments[argument] for argument in (4, 5, 7, 9))
        outputs = [ir.Constant(I64, output) for output in range(OUTPUTS)]
        begin = builder.load(_at(builder, starts, lane, SUMS), align=4)
        totals = [cgutils.alloca_once_value(builder, begin) for _ in outputs]
        bases = [builder.gep(arena, [builder.load(builder.gep(inputs, [output]))]) for output in outputs]
        with cgutils.for_range_slice(builder, first, stop, ir.Constant(I64, 1)) as (step, count):
            tap = builder.sext(builder.load(builder.gep(taps, [step])), I64)
            at = builder.add(place, builder.mul(count, ir.Constant(I64, VECTOR)))
            column = builder.load(_at(builder, weights, at, SUMS), align=VECTOR)
            for base, total in zip(bases, totals, strict=True):
                factor = _splat(builder, builder.load(_at(builder, base, tap, I32), align=1))
                builder.store(add_products(builder, builder.load(total), factor, column), total)
        for output, total in enumerate(totals):
            where = _at(builder, sums, ir.Constant(I64, output * LANES), SUMS)
            builder.store(builder.load(total), where, align=VECTOR)
        return context.get_dummy_value()

    @intrinsic
    def tile(typingctx, sums, arena, inputs, taps, first, stop, weights, place, starts, lane):  # type: ignore[no-untyped-def]
        whole = types.int64
        return types.void(sums, arena, inputs, taps, whole, whole, weights, whole, starts, whole), generate

    return tile


bytes_tile, words_tile, floats_tile = _tile(BYTES), _tile(WORDS), _tile(FLOATS)


@intrinsic  # type: ignore[untyped-decorator]
def store_levels(
    typingctx: Any,
    sums: Any,
    real: Any,
    offsets: Any,
    lane: Any,
    n_lanes: Any,
    ending: Any,
    arena: Any,
    outputs: Any,
    ground: Any,
    grounds: Any,
    on_ground: Any,
) -> Any:
    """A tile's sums, float32 if `real`, quantized and stored at outputs[output] of the arena: channel `lane` and those
    behind it, below n_lanes; on_ground: what lies at grounds[output] of the ground, channel by channel, is added."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        sums, offsets, arena, outputs, ground, grounds = (
            _data(context, builder, signature, arguments, argument) for argument in (0, 2, 6, 7, 8, 9)
        )
        real, lane, n_lanes, on_ground = (arguments[argument] for argument in (1, 3, 4, 10))
        on_ground = builder.icmp_signed("!=", on_ground, ir.Constant(on_ground.type, 0))
        nothing = cgutils.global_constant(builder.module, "nothing", ir.Constant(REALS, None))
        scale, low, high, rounds, into, zero = cgutils.unpack_tuple(builder, arguments[5], len(Ending._fields))
        real, rounds = (builder.icmp_signed("!=", flag, ir.Constant(flag.type, 0)) for flag in (real, rounds))
        scales, lows, highs = (_splat(builder, value) for value in (scale, low, high))
        rint = _declared(builder, "llvm.rint.v16f32", REALS, [REALS])
        large = _splat(builder, ir.Constant(F32, ROUNDING))
        shift = _splat(builder, builder.sub(builder.trunc(zero, I32), ir.Constant(I32, ROUNDING_BITS)))

        def clipped(value: Any) -> Any:
            value = builder.select(builder.fcmp_ordered(">", value, lows), value, lows)
            return builder.select(builder.fcmp_ordered("<", value, highs), value, highs)

        def whole(value: Any) -> Any:
            rounded = builder.bitcast(builder.fadd(clipped(value), large), SUMS)
            return builder.add(rounded, shift)

        def store(kind: Any, level: Any, is_part: bool) -> None:
            wide = ir.VectorType(kind, LANES)
            lanes = ir.Constant(ir.VectorType(I64, LANES), list(range(LANES)))
            offset = builder.load(_at(builder, offsets, lane, REALS), align=4)
            mask = builder.icmp_signed("<", lanes, _splat(builder, builder.sub(n_lanes, lane)))
            with cgutils.for_range(builder, ir.Constant(I64, OUTPUTS)) as output:
                where = builder.mul(output.index, ir.Constant(I64, LANES))
                total = builder.load(_at(builder, sums, where, SUMS), align=VECTOR)
                value = builder.select(real, builder.bitcast(total, REALS), builder.sitofp(total, REALS))
                below = builder.add(builder.load(builder.gep(grounds, [output.index])), lane)
                address = builder.select(on_ground, _at(builder, ground, below, REALS), nothing)
                value = builder.fadd(value, builder.load(address, align=4))
                scaled = builder.fmul(value, scales, flags=FUSED)
                stored = level(builder.fadd(scaled, offset, flags=FUSED))
                base = builder.gep(arena, [builder.load(builder.gep(outputs, [output.index]))])
                target = _at(builder, builder.bitcast(base, kind.as_pointer()), lane, wide)
                if is_part:
                    name = f"llvm.masked.store.v16{'f32' if kind is F32 else kind}.p0"
                    arguments = [wide, wide.as_pointer(), I32, ir.VectorType(I1, LANES)]
                    masked = _declared(builder, name, ir.VoidType(), arguments)
                    builder.call(masked, [stored, target, ir.Constant(I32, 1), mask])
                else:
                    builder.store(stored, target, align=1)

        levels = {
            BYTES: (I8, lambda value: builder.trunc(whole(value), ir.VectorType(I8, LANES))),
            WORDS: (I16, lambda value: builder.trunc(whole(value), ir.VectorType(I16, LANES))),
            FLOATS: (F32, lambda value: clipped(builder.select(rounds, builder.call(rint, [value]), value))),
        }
        end = builder.add(lane, ir.Constant(I64, LANES))
        for form, (kind, level) in levels.items():
            with (
                builder.if_then(builder.icmp_signed("==", into, ir.Constant(into.type, form))),
                builder.if_else(builder.icmp_signed(">", end, n_lanes)) as (some_lanes, all_lanes),
            ):
                with some_lanes:
                    store(kind, level, True)
                with all_lanes:
                    store(kind, level, False)
        return context.get_dummy_value()

    whole = types.int64
    flag = types.boolean
    return types.void(sums, flag, offsets, whole, whole, ending, arena, outputs, ground, grounds, flag), generate
