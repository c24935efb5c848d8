"""Positions, steps, and the paper's way from weight scores to bit scores."""

from __future__ import annotations

import numpy as np
import pytest

from fkeras.errors import InputError
from fkeras.sensitivity.positional import flip_steps, most_significant_first, msb_scores, random_scores, word_numbers
from fkeras.sensitivity.ranking import Ranking


def test_msb_takes_all_top_bits_then_all_second_bits_in_word_order(space):
    order = Ranking.from_scores(msb_scores(space), space).order
    assert order.tolist() == [0, 4, 8, 12, 15, 1, 5, 9, 13, 16, 2, 6, 10, 14, 17, 3, 7, 11]


def test_random_order_depends_on_the_seed_alone(space):
    assert np.array_equal(random_scores(space, 5), random_scores(space, 5))
    assert not np.array_equal(random_scores(space, 5), random_scores(space, 6))


def test_random_scores_have_a_known_answer(space):
    assert np.argsort(-random_scores(space, 0))[:4].tolist() == [0, 12, 8, 15]


def test_word_scores_order_the_words_within_each_bit_position(space):
    order = Ranking.from_scores(most_significant_first(space, [0.5, -3.0, 0.0, 1.0, 2.0]), space).order
    assert order.tolist() == [4, 15, 12, 0, 8, 5, 16, 13, 1, 9, 6, 17, 14, 2, 10, 7, 3, 11]


def test_equal_word_scores_stay_equal_bit_scores(space):
    scores = most_significant_first(space, [1.0, -1.0, 1.0, 0.0, 7.0])
    assert scores[0] == scores[4] == scores[8]


def test_scores_of_very_different_size_never_leave_their_bit_position(space):
    scores = most_significant_first(space, [1e300, 1e-300, 0.0, np.inf, 1.0])
    assert scores[space.bit_positions == 0].min() > scores[space.bit_positions == 1].max()


def test_nan_word_scores_are_refused(space):
    with pytest.raises(InputError, match=r"1 of 5 weight scores are NaN.*loss="):
        most_significant_first(space, [0.0, np.nan, 0.0, 1.0, 2.0])


def test_words_are_counted_through_all_tensors(space):
    assert word_numbers(space).tolist() == [0] * 4 + [1] * 4 + [2] * 4 + [3] * 3 + [4] * 3


def test_steps_are_the_change_of_the_stored_value(space):
    # 0011 = 3/8; flips read 1011 = -5/8, 0111 = 7/8, 0001 = 1/8, 0010 = 2/8
    assert flip_steps(space)[:4].tolist() == [-1.0, 0.5, -0.25, -0.125]
    # 1000 = -1: the sign flip reads 0
    assert flip_steps(space)[4:8].tolist() == [1.0, 0.5, 0.25, 0.125]
    # 111 = -0.5 in steps of 0.5: flips read 011 = 1.5, 101 = -1.5, 110 = -1
    assert flip_steps(space)[12:15].tolist() == [2.0, -1.0, -0.5]
