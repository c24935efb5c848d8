"""Law: flips compose by XOR, in any order, and undo themselves."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from fkeras.faults import FaultSet
from fkeras.memory import BitSpace, FixedPoint, WordTensor

FLIPS = st.sets(st.integers(0, 39)).map(lambda bits: FaultSet(sorted(bits)))


def stored_after(words: np.ndarray, faults: FaultSet) -> np.ndarray:
    tensor = WordTensor("k", (8,), FixedPoint(5, 0), words.copy(), np.ones(8, np.float32), np.zeros(8, np.float32))
    after = words.copy()
    for patch in faults.patches(BitSpace((tensor,))):
        after[patch.elements] = patch.words
    return after


@given(a=FLIPS, b=FLIPS, c=FLIPS)
def test_flips_form_a_group_of_involutions(a, b, c):
    assert a ^ b == b ^ a
    assert (a ^ b) ^ c == a ^ (b ^ c)
    assert a ^ a == FaultSet.EMPTY
    assert a ^ FaultSet.EMPTY == a


@given(a=FLIPS, b=FLIPS, words=st.lists(st.integers(0, 31), min_size=8, max_size=8))
def test_one_composed_set_does_what_two_in_turn_do(a, b, words):
    stored = np.array(words, np.uint32)
    assert (stored_after(stored_after(stored, a), b) == stored_after(stored, a ^ b)).all()
    assert (stored_after(stored_after(stored, a), a) == stored).all()
