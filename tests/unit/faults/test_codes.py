"""The codes, compared with what their names say, pattern by pattern."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from fkeras.faults.codes import Hsiao, ParityBit, count_ones


def patterns(n_cells: int, weight: int) -> np.ndarray:
    return np.array([sum(1 << cell for cell in cells) for cells in combinations(range(n_cells), weight)], np.uint64)


@pytest.mark.parametrize("dtype", [np.int64, np.uint8, np.uint32, np.uint64])
def test_ones_are_those_of_python(dtype):
    most = np.iinfo(dtype).max
    words = np.random.default_rng(0).integers(0, most, (50, 3), dtype, endpoint=True)
    words[0] = 0, 1, most
    assert count_ones(words).tolist() == [[word.bit_count() for word in row] for row in words.tolist()]


@pytest.mark.parametrize("n_data", [1, 2, 3, 4, 6, 8, 11, 16, 32])
def test_one_wrong_cell_is_mended_and_two_are_detected(n_data):
    code = Hsiao(n_data)
    n_cells = n_data + code.n_check
    one = code.decode(patterns(n_cells, 1))
    assert not one.patterns.any()
    assert not one.detected.any()
    two = code.decode(patterns(n_cells, 2))
    assert two.detected.all()
    assert (two.patterns == patterns(n_cells, 2)).all()


@pytest.mark.parametrize("n_data", [1, 4, 6, 8])
def test_three_are_detected_or_make_a_fourth(n_data):
    """A distance of 4: what is not detected is now a codeword, four cells away from the right one."""
    code = Hsiao(n_data)
    three = patterns(n_data + code.n_check, 3)
    made = code.decode(three)
    changed = made.patterns[~made.detected]
    assert [int(pattern).bit_count() for pattern in changed] == [4] * changed.size
    again = code.decode(changed)
    assert (again.patterns == changed).all()
    assert not again.detected.any()


def test_the_share_of_triples_that_are_mended_wrongly_in_six_bits():
    """165 triples of 11 cells; 4 times the number of codewords of weight 4, counted by brute force."""
    code = Hsiao(6)
    codewords = [
        pattern
        for pattern in range(1, 2**11)
        if pattern.bit_count() == 4
        and not np.bitwise_xor.reduce([code.columns[cell] for cell in range(11) if pattern >> cell & 1])
    ]
    made = code.decode(patterns(11, 3))
    assert (~made.detected).sum() == 4 * len(codewords) == 104


@pytest.mark.parametrize(("n_data", "n_check"), [(1, 3), (4, 4), (5, 5), (11, 5), (12, 6), (26, 6), (57, 7)])
def test_as_many_check_bits_as_published(n_data, n_check):
    """(8,4), (16,11) and (64,57) fill their codes; Hsiao 1970, table 1 has (72,64) with 8."""
    assert Hsiao(n_data).n_check == n_check
    assert Hsiao(64).n_check == 8


def test_columns_are_distinct_and_odd():
    columns = Hsiao(32).columns.tolist()
    assert len(set(columns)) == 39
    assert {column.bit_count() % 2 for column in columns} == {1}


def test_parity_sees_odd_numbers_only():
    assert ParityBit(6).n_check == 1
    assert [bool(ParityBit(6).decode(patterns(7, n)).detected.any()) for n in range(8)] == [False, True] * 4
    assert [bool(ParityBit(6).decode(patterns(7, n)).detected.all()) for n in range(8)] == [False, True] * 4
