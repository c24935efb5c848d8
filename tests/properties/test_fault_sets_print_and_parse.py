"""Law: a fault set reads back from its own text."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from fkeras.faults import FaultSet
from fkeras.memory import BitSpace, FixedPoint, Ternary, WordTensor


def tensor(path, shape, codec):
    size = int(np.prod(shape))
    return WordTensor(
        path, shape, codec, np.zeros(size, np.uint32), np.ones(size, np.float32), np.zeros(size, np.float32)
    )


SPACE = BitSpace(
    (
        tensor("a/b/kernel", (2, 3), FixedPoint(4, 0)),
        tensor("a/b/bias", (3,), FixedPoint(2, 0)),
        tensor("c/kernel", (1, 1, 2, 2), Ternary()),
    )
)


@given(
    kinds=st.dictionaries(st.integers(0, len(SPACE) - 1), st.sampled_from(["flip", "1", "0", "flip1", "flip0"])),
    separator=st.sampled_from([" ", ", ", ";", "\n"]),
)
def test_fault_sets_print_and_parse(kinds, separator):
    faults = FaultSet(*([bit for bit, kind in kinds.items() if wanted in kind] for wanted in ("flip", "1", "0")))
    text = faults.text(SPACE).replace(" ", separator)
    assert FaultSet.parse(text, SPACE) == faults
