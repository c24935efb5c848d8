"""Strategies draw what they say, along the ranking, and shrink up it."""

from __future__ import annotations

from contextvars import Context

import numpy as np
import pytest
from hypothesis import find, given, settings

from fkeras.errors import InputError
from fkeras.faults import FaultSet
from fkeras.memory import BitAddress, BitSpace, FixedPoint, WordTensor
from fkeras.sensitivity import Ranking
from fkeras.strategies import aim_at, bit_addresses, fault_sets, source_of_draws

CODEC = FixedPoint(4, 0)
WORDS = np.zeros(50, np.float32)
SPACE = BitSpace((WordTensor("dense/kernel", (50,), CODEC, CODEC.encode(WORDS), np.ones(50, np.float32), WORDS),))
RANKING = Ranking.from_scores(np.arange(200), SPACE, "last bit first")


@given(faults=fault_sets(RANKING, min_faults=2, max_faults=5))
def test_counts_are_kept(faults):
    assert 2 <= len(faults) <= 5
    assert faults.layout_digest == SPACE.layout_digest
    assert faults.n_stuck == 0


def test_shrinks_to_the_fewest_and_highest_ranked_bits():
    assert find(fault_sets(RANKING, max_faults=5), lambda faults: True).flips.tolist() == [199]
    assert find(fault_sets(RANKING, max_faults=5), lambda faults: len(faults) >= 2).flips.tolist() == [198, 199]
    assert find(fault_sets(RANKING, max_faults=3, min_faults=0), lambda faults: True).flips.tolist() == []


def test_the_whole_range_is_reached():
    assert find(fault_sets(RANKING, max_faults=1), lambda faults: 17 in faults.flips).flips.tolist() == [17]


def test_a_space_puts_most_significant_bits_first():
    assert find(fault_sets(SPACE, max_faults=3), lambda faults: len(faults) == 2).flips.tolist() == [0, 4]


def test_no_more_faults_than_bits():
    small = BitSpace((WordTensor("d/kernel", (1,), CODEC, CODEC.encode(WORDS[:1]), np.ones(1, np.float32), WORDS[:1]),))
    assert find(fault_sets(small, max_faults=99), lambda faults: len(faults) == 4).flips.tolist() == [0, 1, 2, 3]
    with pytest.raises(InputError, match="min_faults=5: the memory has 4 bits"):
        find(fault_sets(small, min_faults=5, max_faults=99), lambda faults: True)


@pytest.mark.parametrize(("least", "most"), [(2, 1), (-1, 1), (0, 0)])
def test_counts_that_do_not_fit_are_refused(least, most):
    with pytest.raises(InputError, match="allowed are 0 <= min_faults <= max_faults"):
        fault_sets(SPACE, min_faults=least, max_faults=most)


def test_addresses():
    assert str(find(bit_addresses(SPACE), lambda address: True)) == "dense/kernel[0]:0"
    assert str(find(bit_addresses(SPACE, RANKING), lambda address: True)) == "dense/kernel[49]:3"


def test_without_a_model_under_test_a_source_is_needed():
    outside_of_any_test = Context()
    for strategy in (fault_sets(max_faults=1), bit_addresses()):
        with pytest.raises(InputError, match="no model is under test here: pass a space or a ranking"):
            outside_of_any_test.run(find, strategy, lambda drawn: True)


def test_the_source_is_asked_at_every_draw():
    other = Ranking.from_scores(-np.arange(200.0), SPACE, "first bit first")
    strategy = fault_sets(max_faults=1)
    for ranking, bit in ((RANKING, 199), (other, 0)):
        with source_of_draws(lambda: SPACE, lambda ranking=ranking: ranking):
            assert find(strategy, lambda faults: True).flips.tolist() == [bit]


def test_other_sources_are_refused():
    with pytest.raises(InputError, match="fault_sets draws from a BitSpace or a Ranking, got int"):
        find(fault_sets(3, max_faults=1), lambda faults: True)


def test_damage_leads_the_search():
    seen = []

    @settings(max_examples=200, database=None, derandomize=True)
    @given(faults=fault_sets(RANKING, max_faults=30))
    def search(faults):
        # Only the number of faults counts, which chance alone seldom drives to its end.
        aim_at(len(faults), "damage")
        aim_at(0, "damage")
        aim_at(np.inf, "other")
        seen.append(len(faults))

    search()
    assert max(seen) == 30


def test_outside_of_a_test_nothing_is_aimed_at():
    aim_at(3.0, "damage")


def test_the_profile_changes_no_test_by_itself():
    assert settings.get_profile("fkeras").deadline is None
    assert settings.get_current_profile_name() != "fkeras"


def test_drawn_values_print_as_python_that_makes_them():
    faults = find(fault_sets(RANKING, max_faults=5), lambda faults: len(faults) == 2)
    address = find(bit_addresses(SPACE), lambda address: True)
    assert eval(repr(faults), {"FaultSet": FaultSet}) == faults
    assert eval(repr(address), {"BitAddress": BitAddress}) == address
