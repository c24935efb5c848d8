"""Sets of bits know their layout and keep their bits in order."""

from __future__ import annotations

import numpy as np
import pytest

from fkeras.errors import InputError, LayoutError
from fkeras.memory import BitSet


def test_bits_are_sorted_distinct_and_read_only():
    bits = BitSet([5, 1, 5])
    assert bits.bits.tolist() == [1, 5]
    assert bits.bits.dtype == np.int64
    with pytest.raises(ValueError, match="read-only"):
        bits.bits[0] = 2


def test_set_operations():
    a, b = BitSet([1, 2, 3], "L", "a"), BitSet([3, 4], "L", "b")
    assert [(a | b).bits.tolist(), (a & b).bits.tolist(), (a - b).bits.tolist()] == [[1, 2, 3, 4], [3], [1, 2]]
    assert (a | b).label == "a | b"
    assert (a | b).layout_digest == "L"


def test_bits_of_two_layouts_do_not_combine():
    with pytest.raises(LayoutError, match="cannot be combined"):
        BitSet([1], "one") | BitSet([1], "two")


def test_membership_length_iteration_and_array():
    bits = BitSet([4, 2])
    assert (2 in bits, 3 in bits, "2" in bits, len(bits), list(bits)) == (True, False, False, 2, [2, 4])
    assert np.asarray(bits).tolist() == [2, 4]


def test_equality_ignores_the_label_and_agrees_with_the_hash():
    assert BitSet([1, 2], label="x") == BitSet([2, 1])
    assert hash(BitSet([1, 2], label="x")) == hash(BitSet([2, 1]))
    assert BitSet([1]) != BitSet([2])


@pytest.mark.parametrize("given", [[0.5], [True], [[1, 2]], ["a"]])
def test_what_is_no_flat_index_is_refused(given):
    with pytest.raises(InputError, match="bits are flat indices, whole numbers in one dimension"):
        BitSet(np.array(given))


def test_negative_bits_are_refused():
    with pytest.raises(InputError, match="bit -1 does not exist; flat indices start at 0"):
        BitSet([3, -1])


def test_no_bits_are_a_set_too():
    assert BitSet([]).bits.dtype == np.int64
    assert len(BitSet([])) == 0
