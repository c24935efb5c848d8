"""Protections say what they cover and cost; bits of another memory are refused."""

from __future__ import annotations

import numpy as np
import pytest

from fkeras.errors import InputError, LayoutError
from fkeras.faults import TMR, AssumedImmune, FaultSet, Upsets, protection
from fkeras.faults.protections import account
from fkeras.memory import BitSet


def test_assumed_immune_bits_never_fail_whatever_hits_them(memory):
    upsets = Upsets.alone(memory(1), FaultSet([0, 3], [1, 4], [2, 5]))
    assert AssumedImmune(BitSet([0, 1, 2])).residual(upsets) == FaultSet([3], [4], [5])


def test_assumed_immune_costs_nothing():
    immune = AssumedImmune(BitSet([1, 2], label="msb"))
    assert immune.describe(20) == "msb: 2 bits (10.0%) assumed immune"
    assert (immune.extra_bits, immune.is_perfect) == (0, True)


def test_reports_say_that_an_area_is_assumed_unless_it_was_measured(memory):
    tmr, immune = TMR(range(5)), AssumedImmune(range(5))
    assert account(tmr, 10) == f"{tmr.describe(10)}; area +100.0%, assumed to be that of the extra bits"
    assert account(tmr, 10, "area +140.0%, measured") == f"{tmr.describe(10)}; area +140.0%, measured"
    assert account(immune, 10) == immune.describe(10)
    assert account(protection(None, memory(5)), 10) == "none"


def test_reports_say_where_the_bits_come_from():
    bits = BitSet([1], label="ranking[:1]", origin="ranked for these weights")
    assert AssumedImmune(bits).describe(10) == "ranking[:1]: 1 bits (10.0%) assumed immune; ranked for these weights"
    assert TMR(bits).describe(10).endswith("never scrubbed; ranked for these weights")
    frozen = BitSet([2], label="mask('m.json')", origin="frozen in m.json")
    assert (bits | frozen | bits).origin == "ranked for these weights; frozen in m.json"


def test_bits_lists_arrays_and_protections_are_taken(memory):
    space, tmr = memory(5), TMR(BitSet([3]))
    assert protection(tmr, space) is tmr
    assert [protection(given, space).bits.bits.tolist() for given in (None, [2, 1], np.array([4]), BitSet([5]))] == [
        [],
        [1, 2],
        [4],
        [5],
    ]
    assert protection(None, space).describe(20) == "nothing: 0 bits (0.0%) assumed immune"


def test_bits_of_another_memory_are_refused(memory):
    with pytest.raises(LayoutError, match="the protected set belongs to a memory of layout elsewhere"):
        protection(BitSet([1], "elsewhere"), memory(1))
    with pytest.raises(InputError, match="bit 20 does not exist"):
        protection([20], memory(1))


def test_other_objects_are_refused(memory):
    with pytest.raises(InputError, match="protected=3: allowed are bits"):
        protection(3, memory(1))
