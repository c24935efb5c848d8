"""Laws: what assumed immunity lets through is a subset of the faults; no protection touches bits outside its words."""

from __future__ import annotations

from functools import partial

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from fkeras.faults import (
    SECDED,
    TMR,
    AssumedImmune,
    BlindScrubbing,
    FaultSet,
    FlipCount,
    Parity,
    Upsets,
    protection,
    trial_upsets,
)
from fkeras.memory import BitSet, BitSpace, FixedPoint, WordTensor

SETS = st.sets(st.integers(0, 29))
ZEROS = np.zeros(5, np.float32)
SPACE = BitSpace((WordTensor("k", (5,), FixedPoint(6, 1), ZEROS.astype(np.uint32), ZEROS + 1, ZEROS),))


@given(covered=SETS, flips=SETS, ones=SETS, zeros=SETS)
def test_residual_faults_are_a_subset(covered, flips, ones, zeros):
    faults = FaultSet(sorted(flips), sorted(ones), sorted(zeros - ones))
    immune = AssumedImmune(BitSet(sorted(covered)))
    left = immune.residual(Upsets.alone(SPACE, faults))
    for name in ("flips", "set_to_1", "set_to_0"):
        before, after = set(getattr(faults, name).tolist()), set(getattr(left, name).tolist())
        assert after == before - covered
    assert immune.residual(Upsets.alone(SPACE, left)) == left


@given(
    kind=st.sampled_from([AssumedImmune, TMR, SECDED, Parity, partial(BlindScrubbing, scrub_interval_seconds=60)]),
    covered=SETS,
    n_faults=st.integers(0, 30),
    trial=st.integers(0, 99),
)
def test_bits_of_uncovered_words_are_as_drawn(kind, covered, n_faults, trial):
    upsets = trial_upsets(SPACE, FlipCount(n_faults, exposure_seconds=600), 1, trial)
    left = protection(kind(BitSet(sorted(covered))), SPACE).residual(upsets)
    words = {bit // 6 for bit in covered}
    outside = BitSet([bit for bit in range(30) if bit // 6 in words])
    assert left.without(outside) == upsets.faults.without(outside)


@given(kind=st.sampled_from([TMR, SECDED]), bit=st.integers(0, 29))
def test_a_single_flip_is_mended(kind, bit):
    mended = protection(kind(range(30)), SPACE).residual(Upsets.alone(SPACE, FaultSet([bit])))
    assert mended == FaultSet.EMPTY
