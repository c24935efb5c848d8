"""Law: what a protection lets through is a subset of the faults, and none of it is covered."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from fkeras.faults import TMR, AssumedImmune, FaultSet
from fkeras.memory import BitSet

SETS = st.sets(st.integers(0, 30))


@given(kind=st.sampled_from([AssumedImmune, TMR]), covered=SETS, flips=SETS, ones=SETS, zeros=SETS)
def test_residual_faults_are_a_subset(kind, covered, flips, ones, zeros):
    faults = FaultSet(sorted(flips), sorted(ones), sorted(zeros - ones))
    left = kind(BitSet(sorted(covered))).residual(faults)
    for name in ("flips", "set_to_1", "set_to_0"):
        before, after = set(getattr(faults, name).tolist()), set(getattr(left, name).tolist())
        assert after == before - covered
    assert kind(BitSet(sorted(covered))).residual(left) == left
