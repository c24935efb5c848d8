"""Words of IEEE 754 numbers: sign, exponent, mantissa; infinity and NaN are values like others."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fkeras.errors import InputError
from fkeras.faults import FaultSet, KnownWords, RangeCheck, Recoded, Upsets, protection
from fkeras.memory import BitSpace, Float, MixedFixedPoint, WordTensor
from fkeras.sensitivity.positional import flip_steps, msb_scores, significance

NAMES = ["float32", "float16", "bfloat16"]
ALL_16 = np.arange(1 << 16, dtype=np.uint32)


def space_of(name, values):
    codec, golden = Float(name), np.array(values, np.float32)
    return BitSpace((WordTensor("d/kernel", golden.shape, codec, codec.encode(golden), golden * 0 + 1, golden),))


def same(a, b):
    return ((a == b) & (np.signbit(a) == np.signbit(b))) | (np.isnan(a) & np.isnan(b))


@pytest.mark.parametrize(
    ("name", "word", "value"),
    [
        ("float32", 0x3F800000, 1.0),
        ("float32", 0xC0490FDB, -3.1415927410125732),
        ("float32", 0x00000001, 2.0**-149),
        ("float32", 0x7F7FFFFF, (2 - 2.0**-23) * 2.0**127),
        ("float32", 0xFF800000, -np.inf),
        ("float16", 0x3C00, 1.0),
        ("float16", 0x0001, 2.0**-24),
        ("float16", 0x7BFF, 65504.0),
        ("bfloat16", 0x3F80, 1.0),
        ("bfloat16", 0x0001, 2.0**-133),
        ("bfloat16", 0x7F80, np.inf),
    ],
)
def test_words_are_those_of_the_standard(name, word, value):
    assert Float(name).decode(np.array([word], np.uint32)).tolist() == [value]
    assert Float(name).encode([value]).tolist() == [word]


@pytest.mark.parametrize("name", NAMES)
def test_bit_zero_is_the_sign_and_the_next_is_the_top_of_the_exponent(name):
    space = space_of(name, [0.5])
    values = [float(next(FaultSet([bit]).patches(space)).values[0]) for bit in (0, 1)]
    assert values == [-0.5, 0.5 * 2.0 ** (16 if name == "float16" else 128)]


def test_a_flip_may_give_infinity_or_nan():
    space = space_of("float32", [1.0, 1.5])
    values = [float(next(FaultSet([bit]).patches(space)).values[0]) for bit in (1, 33)]
    assert values[0] == np.inf
    assert np.isnan(values[1])


@pytest.mark.parametrize("name", ["float16", "bfloat16"])
def test_encode_inverts_decode_for_every_word(name):
    values = Float(name).decode(ALL_16)
    words = Float(name).encode(values)
    assert same(Float(name).decode(words), values).all()
    assert (words == ALL_16)[~np.isnan(values)].all()


@given(word=st.integers(0, 2**32 - 1))
def test_a_float32_word_is_what_struct_says(word):
    (value,) = struct.unpack(">f", struct.pack(">I", word))
    decoded = Float("float32").decode(np.array([word], np.uint32))
    assert same(decoded, np.array([value])).all()
    assert np.isnan(value) or Float("float32").encode(decoded).tolist() == [word]


@given(word=st.integers(0, 2**16 - 1))
def test_a_bfloat16_is_the_upper_half_of_a_float32(word):
    upper = Float("float32").decode(np.array([word << 16], np.uint32))
    assert same(Float("bfloat16").decode(np.array([word], np.uint32)), upper).all()


@pytest.mark.parametrize(
    ("name", "value"), [("float32", 0.1), ("float16", 70000.0), ("bfloat16", 1.01), ("float32", 1e300)]
)
def test_values_that_need_rounding_have_no_word(name, value):
    with pytest.raises(InputError, match=rf"Float\(name='{name}'\): 1 value\(s\) have no word.*round them to {name}"):
        Float(name).encode([1.0, value])


def test_other_names_are_refused():
    with pytest.raises(InputError, match=r"name='float64'; allowed are 'float32', 'float16', 'bfloat16'"):
        Float("float64")


@pytest.mark.parametrize("name", NAMES)
def test_the_top_of_the_exponent_ranks_before_the_sign_and_both_before_the_mantissa(name):
    space = space_of(name, [0.5, -0.25, 0.125, 0.75, 0.0, 1.0])
    n_exponent = 5 if name == "float16" else 8
    width = space.tensors[0].layout.widest
    order = np.argsort(significance(space)[:width])
    assert order[:2].tolist() == [1, 0]
    assert sorted(order[: n_exponent + 1].tolist()) == list(range(n_exponent + 1))
    assert order[n_exponent + 1 :].tolist() == list(range(n_exponent + 1, width))
    first = np.argsort(-msb_scores(space), kind="stable")[:6]
    assert (space.bit_positions[first] == 1).all()


def test_of_fixed_point_the_most_significant_bit_is_the_one_that_changes_values_most():
    codec = MixedFixedPoint([4, 2, 5], [1, 2, 0], [1, 0, 1])
    words = np.array([9, 3, 17], np.uint32)
    golden = codec.decode(words).astype(np.float32)
    space = BitSpace((WordTensor("k", (3,), codec, words, golden * 0 + 1, golden),))
    assert (significance(space) == space.bit_positions).all()
    for part in np.split(np.abs(flip_steps(space)), [4, 6]):
        assert (np.diff(part) < 0).all()


def test_steps_to_infinity_and_nan_count_as_the_largest_number():
    steps = flip_steps(space_of("float32", [1.0, 1.5]))
    largest = float(np.finfo(np.float32).max)
    assert np.isfinite(steps).all()
    assert (steps[0], steps[1], steps[32], steps[33]) == (-2.0, largest - 1.0, -3.0, largest - 1.5)


VALUES = [0.5, -0.25, 0.125, 0.75]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("outside", "read"), [("undo", 0.5), ("zero", 0.0), ("clamp", 0.75)])
def test_a_range_check_reads_what_is_out_of_range(name, outside, read):
    space = space_of(name, VALUES)
    guard = RangeCheck(outside).on(space)
    left = guard.residual(Upsets.alone(space, FaultSet([1])))
    values = {0: 0.5} | {
        int(element): float(value)
        for patch in left.patches(space)
        for element, value in zip(patch.elements, patch.values, strict=True)
    }
    assert values == {0: read}
    inside = FaultSet([len(space) // 4 - 1])
    assert guard.residual(Upsets.alone(space, inside)) == inside


@pytest.mark.parametrize("outside", ["undo", "zero", "clamp"])
def test_a_range_check_lets_no_nan_through(outside):
    space = space_of("float32", [1.5, 1.0])
    guard = RangeCheck(outside, margin=1).on(space)
    exponent = FaultSet(range(1, 9))  # of 1.5: all ones
    assert np.isnan(next(FaultSet([1]).patches(space)).values[0])
    for faults in (FaultSet([1]), exponent, FaultSet([1, 33])):
        for patch in guard.residual(Upsets.alone(space, faults)).patches(space):
            assert np.isfinite(patch.values).all()


def test_a_margin_is_so_many_floats():
    space = space_of("float32", [0.0, 1.0])
    low, high = Float("float32").decode(RangeCheck(margin=2).on(space).readings[0].constants)
    assert (low, high) == (-(2.0**-148), 1 + 2.0**-22)


@pytest.mark.parametrize("check", [KnownWords(), Recoded()], ids=repr)
@pytest.mark.parametrize("name", NAMES)
def test_tables_of_floats_are_refused_by_name(check, name):
    with pytest.raises(
        InputError, match=rf"tensor 'd/kernel' has words of {name}, some of which are no numbers.*RangeCh"
    ):
        check.on(space_of(name, VALUES))


def test_stored_limits_that_are_hit_read_anything_and_never_fail():
    space = space_of("bfloat16", VALUES * 3)
    guard = RangeCheck("clamp", stored=True).on(space)
    for bit in range(32):
        constants = guard.readings[0].constants ^ np.array(
            [1 << max(0, bit - 16) if bit > 15 else 0, 1 << min(bit, 15)], np.uint32
        )
        guard.readings[0].with_constants(constants).decode(ALL_16[:12] * 5461, np.arange(12))


def test_codes_protect_floats_as_other_words():
    from fkeras.faults import SECDED

    space = space_of("float32", VALUES)
    guard = protection(SECDED(range(len(space))), space)
    assert guard.extra_bits == 4 * 7
    assert guard.residual(Upsets.alone(space, FaultSet([1]))) == FaultSet.EMPTY
