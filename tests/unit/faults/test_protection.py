"""Protections absorb what they cover and say what they cost."""

from __future__ import annotations

import numpy as np
import pytest

from fkeras.errors import InputError, LayoutError
from fkeras.faults import TMR, AssumedImmune, FaultSet, protection
from fkeras.memory import BitSet, BitSpace, FixedPoint, WordTensor


@pytest.fixture
def space() -> BitSpace:
    zeros = np.zeros(5, np.uint32)
    return BitSpace((WordTensor("k", (5,), FixedPoint(4, 0), zeros, np.ones(5, np.float32), np.zeros(5, np.float32)),))


@pytest.mark.parametrize("kind", [AssumedImmune, TMR])
def test_covered_faults_are_absorbed_whatever_their_kind(kind):
    covered = kind(BitSet([0, 1, 2]))
    assert covered.residual(FaultSet([0, 3], [1, 4], [2, 5])) == FaultSet([3], [4], [5])


def test_tmr_costs_two_more_copies():
    tmr = TMR([0, 1, 2, 3, 4])
    assert tmr.extra_bits == 10
    assert tmr.overhead(20) == 0.5
    assert TMR(range(20)).overhead(20) == 2.0
    assert tmr.describe(20) == "bits: 5 bits under TMR, 10 extra bits (overhead 50.0%), hits on the copies not modelled"


def test_assumed_immune_costs_nothing():
    assert AssumedImmune(BitSet([1, 2], label="msb")).describe(20) == "msb: 2 bits (10.0%) assumed immune"
    assert AssumedImmune(BitSet([1])).extra_bits == 0


def test_bits_lists_arrays_and_protections_are_taken(space):
    tmr = TMR(BitSet([3]))
    assert protection(tmr, space) is tmr
    assert [protection(given, space).bits.bits.tolist() for given in (None, [2, 1], np.array([4]), BitSet([5]))] == [
        [],
        [1, 2],
        [4],
        [5],
    ]
    assert protection(None, space).describe(20) == "nothing: 0 bits (0.0%) assumed immune"


def test_bits_of_another_memory_are_refused(space):
    with pytest.raises(LayoutError, match="the protected set belongs to a memory of layout elsewhere"):
        protection(BitSet([1], "elsewhere"), space)
    with pytest.raises(InputError, match="bit 20 does not exist"):
        protection([20], space)


def test_other_objects_are_refused(space):
    with pytest.raises(InputError, match="protected=3: allowed are bits"):
        protection(3, space)
