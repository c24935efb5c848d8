"""Every word of every codec has the value that the format gives it."""

from __future__ import annotations

import numpy as np
import pytest

from fkeras.errors import InputError
from fkeras.memory import Binary, FixedPoint, PowerOfTwo, Ternary


def all_words(width: int) -> np.ndarray:
    return np.arange(1 << width, dtype=np.uint32)


def test_signed_fixed_point_is_twos_complement():
    assert FixedPoint(3, 0).decode(all_words(3)).tolist() == [0, 0.25, 0.5, 0.75, -1, -0.75, -0.5, -0.25]


def test_unsigned_fixed_point_is_plain_binary():
    assert FixedPoint(3, 0, signed=False).decode(all_words(3)).tolist() == [i / 8 for i in range(8)]


@pytest.mark.parametrize(
    ("codec", "step", "largest"),
    [
        (FixedPoint(6, 0), 2.0**-5, 1.0),
        (FixedPoint(6, 2), 2.0**-3, 4.0),
        (FixedPoint(8, 1, signed=False), 2.0**-7, 255 * 2.0**-7),
        (Binary(), 1.0, 1.0),
        (Ternary(), 1.0, 1.0),
        (PowerOfTwo(4), 2.0**-4, 8.0),
    ],
)
def test_step_and_largest_bound_every_value(codec, step, largest):
    values = codec.decode(all_words(codec.width))
    assert codec.step == step
    assert codec.largest == largest == np.abs(values).max()
    assert (values / step == np.rint(values / step)).all()


def test_the_word_that_a_symmetric_quantizer_never_emits_still_reads():
    """A symmetric 6-bit format stops at -31; 100000 reads as -32 steps."""
    assert FixedPoint(6, 0).decode(np.array([0b100000], np.uint32)).tolist() == [-1.0]


def test_binary_one_is_plus_one():
    assert Binary().decode(all_words(1)).tolist() == [-1, 1]
    assert Binary().encode([1.0, -1.0]).tolist() == [1, 0]


def test_the_fourth_ternary_word_reads_plus_one():
    assert Ternary().decode(all_words(2)).tolist() == [0, 1, 1, -1]
    assert Ternary().encode([0.0, 1.0, -1.0]).tolist() == [0b00, 0b01, 0b11]


def test_power_of_two_is_a_sign_and_a_twos_complement_exponent():
    exponents = [0, 1, 2, 3, -4, -3, -2, -1]
    assert PowerOfTwo(4).decode(all_words(4)).tolist() == [2.0**e for e in exponents] + [-(2.0**e) for e in exponents]


def test_a_power_of_two_with_a_largest_exponent_counts_down_from_it():
    exponents = [-1, -2, -3, -4, -5, -6, -7, -8]
    down = PowerOfTwo(4, largest_exponent=-1)
    assert down.decode(all_words(4)).tolist() == [2.0**e for e in exponents] + [-(2.0**e) for e in exponents]
    assert (down.step, down.largest) == (2.0**-8, 0.5)
    with pytest.raises(InputError, match=r"allowed are \+-2\*\*e with e from -8 to -1$"):
        down.encode([1.0])


def test_a_power_of_two_may_have_every_second_exponent_only():
    exponents = [0, 2, 4, 6, -8, -6, -4, -2]
    even = PowerOfTwo(4, spacing=2)
    assert even.decode(all_words(4)).tolist() == [2.0**e for e in exponents] + [-(2.0**e) for e in exponents]
    assert (even.step, even.largest) == (2.0**-8, 64.0)
    assert PowerOfTwo(3, 0, 2).decode(all_words(3)).tolist()[:4] == [1.0, 0.25, 2.0**-4, 2.0**-6]
    with pytest.raises(InputError, match=r"e from -8 to 6 in steps of 2$"):
        even.encode([0.5])


def test_plain_powers_of_two_keep_the_name_that_digests_were_made_of():
    assert repr(PowerOfTwo(4)) == "PowerOfTwo(width=4)"
    assert len({repr(PowerOfTwo(4, top, spacing)) for top in (None, 0, -1) for spacing in (1, 2)}) == 6


def test_bit_zero_is_the_sign():
    flipped = np.array([0b000001 ^ 1 << 5], np.uint32)
    assert FixedPoint(6, 0).decode(flipped).tolist() == [-1 + 2.0**-5]


def test_32_bit_words_decode_exactly():
    words = np.array([0x80000000, 0xFFFFFFFF, 0x7FFFFFFF], np.uint32)
    assert FixedPoint(32, 31).decode(words).tolist() == [-(2.0**31), -1, 2.0**31 - 1]
    assert FixedPoint(32, 31).encode([-(2.0**31), -1, 2.0**31 - 1]).tolist() == words.tolist()


@pytest.mark.parametrize("value", [1.0, -1.03125, 0.01, float("nan"), float("inf")])
def test_a_value_off_the_grid_of_fixed_point_has_no_word(value):
    with pytest.raises(InputError, match=r"1 value\(s\) have no word.*multiples of 0.03125 from -1 to 0.96875"):
        FixedPoint(6, 0).encode([0.0, value])


def test_a_value_off_the_grid_of_binary_and_ternary_has_no_word():
    with pytest.raises(InputError, match=r"allowed are -1 and \+1"):
        Binary().encode([0.0])
    with pytest.raises(InputError, match="multiples of 1 from -1 to 1"):
        Ternary().encode([2.0])


@pytest.mark.parametrize("value", [0.0, 0.75, 16.0, 2.0**-5, float("nan"), float("inf")])
def test_a_value_that_no_exponent_gives_has_no_word(value):
    with pytest.raises(InputError, match=r"have no word.*\+-2\*\*e with e from -4 to 3"):
        PowerOfTwo(4).encode([value])


@pytest.mark.parametrize("make", [lambda: FixedPoint(0, 0), lambda: FixedPoint(33, 0)])
def test_fixed_point_refuses_widths_that_are_no_word(make):
    with pytest.raises(InputError, match="allowed are 1 to 32"):
        make()


@pytest.mark.parametrize("width", [1, 9])
def test_power_of_two_refuses_widths_beyond_float32(width):
    with pytest.raises(InputError, match="allowed are 2 to 8"):
        PowerOfTwo(width)
