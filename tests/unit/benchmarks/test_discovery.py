"""When a search meets which bit: known answers on a handful of bits."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.paper.discovery import (
    Discovery,
    discovered_by_flips,
    discovered_by_implication,
    discovered_by_ranking,
)
from fkeras.errors import InputError
from fkeras.memory import BitSpace, FixedPoint, WordTensor
from fkeras.sensitivity.baselines import binfi
from fkeras.sensitivity.ranking import Ranking

DAMAGE = np.array([4.0, 0.0, 3.0, 2.0])
SENSITIVE = np.array([True, False, True, True])


def test_a_ranking_meets_every_judged_bit_and_does_not_count_the_others():
    ranking = Ranking.from_scores([1.0, 9.0, 5.0, 3.0, 7.0], None, "mine")
    found = discovered_by_ranking(ranking, np.array([0, 2, 4]))
    assert found.met_after.tolist() == [3, 2, 1]
    assert found.name == "mine"


def test_damage_curve_adds_up_in_the_order_of_the_search_and_ends_with_it():
    flips, damage = Discovery("partial", np.array([2.0, 1.0, np.inf, 3.0])).damage_curve(DAMAGE)
    assert flips.tolist() == [0, 1, 2, 3]
    assert damage.tolist() == [0, 0, 4, 6]


def test_top_of_the_sensitive_bits():
    found = Discovery("any", np.array([2.0, 1.0, 4.0, 3.0]))
    assert found.flips_for_top_sensitive(DAMAGE, SENSITIVE, (0.01, 2 / 3, 1.0)).tolist() == [0.5, 1.0, 1.0]
    assert found.flips_for_top_sensitive(DAMAGE, np.zeros(4, bool), (0.5,)).tolist() == [0.0]


def test_a_perfect_search_needs_as_many_flips_as_there_are_sensitive_bits():
    best = Discovery("oracle", np.array([1.0, 4.0, 2.0, 3.0]))
    assert best.flips_for_top_sensitive(DAMAGE, SENSITIVE, (1 / 3, 1.0)).tolist() == [0.25, 0.75]


def test_one_missed_bit_and_the_top_that_holds_it_is_never_known():
    found = discovered_by_flips("blind", np.array([0, 3]), 4)
    assert found.met_after.tolist() == [1, np.inf, np.inf, 2]
    assert found.flips_for_top_sensitive(DAMAGE, SENSITIVE, (1 / 3, 2 / 3)).tolist() == [0.25, np.inf]
    assert found.missed(SENSITIVE).tolist() == [2]


def test_equal_damage_counts_in_the_order_of_the_search():
    found = Discovery("any", np.array([3.0, 1.0, 2.0]))
    assert found.flips_for_top_sensitive(np.ones(3), np.ones(3, bool), (1 / 3, 2 / 3)).tolist() == [1 / 3, 2 / 3]


def test_binfi_knows_implied_bits_once_their_word_is_searched():
    space = BitSpace(
        (
            WordTensor(
                "a", (2,), FixedPoint(3, 0), np.zeros(2, np.uint32), np.ones(2, np.float32), np.zeros(2, np.float32)
            ),
        )
    )
    found = binfi(space, np.array([True, True, False, False, False, False]))  # probes 1, 2, 4, 3
    assert discovered_by_flips("actual", found.probes, 6).met_after.tolist() == [np.inf, 1, 2, 4, 3, np.inf]
    assert discovered_by_implication("implied", found, space).met_after.tolist() == [2, 1, 2, 4, 3, np.inf]


def test_a_bit_flipped_twice_is_refused():
    with pytest.raises(InputError, match="'twice' flips a bit twice"):
        discovered_by_flips("twice", np.array([1, 1]), 4)
