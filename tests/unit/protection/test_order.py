"""What is protected first: by rank, in whole bits, words or layers, by several rankings."""

from __future__ import annotations

import numpy as np
import pytest

from fkeras.errors import InputError, LayoutError
from fkeras.protection import common_order
from fkeras.protection.order import normalised_ranks
from fkeras.sensitivity import Ranking


def ranking(space, scores):
    return Ranking.from_scores(np.array(scores, float), space, "made up")


def test_one_ranking_bit_by_bit_is_the_ranking(space):
    made = ranking(space, np.random.default_rng(1).normal(size=30))
    order = common_order([made], space)
    assert order.bits.tolist() == made.order.tolist()
    assert all(order.first(k) == made[:k] for k in range(31))
    assert (len(order), order.within(12)) == (30, 12)


def test_ranks_are_equal_steps(space):
    made = ranking(space, np.arange(30))
    assert normalised_ranks(made)[29] == 1
    assert normalised_ranks(made)[0] == pytest.approx(1 / 30)


def test_words_stay_whole_and_are_ordered_by_their_mean_rank(space):
    scores = np.zeros(30)
    scores[[5, 6]] = 100, 90  # word 1 of the kernel
    scores[[16, 17, 18]] = 80, 70, 60  # first word of the bias, 3 bits
    order = common_order([ranking(space, scores)], space, "word")
    assert order.first(1).bits.tolist() == [16, 17, 18]
    assert order.first(2).bits.tolist() == [4, 5, 6, 7, 16, 17, 18]
    assert order.ends.tolist()[:2] == [3, 7]
    assert [order.within(n) for n in (2, 3, 6, 7, 30)] == [0, 1, 1, 2, 8]
    assert order.first(0).bits.tolist() == []


def test_layers_stay_whole(space):
    scores = np.zeros(30)
    scores[22:] = 1
    order = common_order([ranking(space, scores)], space, "layer")
    assert len(order) == 2
    assert order.first(1).bits.tolist() == list(range(22, 30))
    assert order.first(2).bits.tolist() == list(range(30))


def test_several_rankings_count_by_their_mean_or_their_best(space):
    """Bit 0 is first for one and last for the other; bit 1 is second, then fifth."""
    a, b = np.arange(30, 0, -1.0), np.arange(30, 0, -1.0)
    b[0] = 0
    b[1], b[4] = b[4], b[1]
    both = [ranking(space, a), ranking(space, b)]
    assert common_order(both, space, aggregate="max").first(2).bits.tolist() == [0, 4]
    mean = common_order(both, space).first(3).bits.tolist()
    assert 0 not in mean
    assert mean == [1, 2, 4]


def test_what_makes_no_sense_is_refused(space, space_of):
    made = ranking(space, np.arange(30))
    for keywords, message in (
        ({"granularity": "byte"}, "granularity='byte'; allowed are 'bit', 'word' and 'layer'"),
        ({"aggregate": "median"}, "aggregate='median'; allowed are 'mean' and 'max'"),
    ):
        with pytest.raises(InputError, match=message):
            common_order([made], space, **keywords)
    with pytest.raises(InputError, match="no ranking to choose bits by"):
        common_order([], space)
    with pytest.raises(LayoutError, match="Ranking 'made up' of 30 bits> belongs to a memory of layout"):
        common_order([made], space_of(("other/kernel", (30,), 1)))


@pytest.mark.parametrize("granularity", ["word", "layer"])
def test_units_that_all_score_alike_have_no_order(space_of, granularity):
    space = space_of(("conv/kernel", (1, 2, 2), 5), ("dense/kernel", (2,), 5))
    alike = ranking(space, -space.bit_positions)
    with pytest.raises(
        InputError, match=f"'made up' scores all {granularity}s alike, so the first in the memory would"
    ):
        common_order([alike], space, granularity)
    other = ranking(space, np.arange(30))
    assert len(common_order([alike, other], space, granularity)) > 1
