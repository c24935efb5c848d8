"""What knows stored words alone refuses a memory with registers by name: it never answers for a part of it."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from fkeras.errors import InputError
from fkeras.faults import TMR
from fkeras.memory import BitSpace, FixedPoint, Register, WordTensor
from fkeras.protection import wrong_bits
from fkeras.rtl import weight_memory
from fkeras.sensitivity.baselines import binfi, statfi
from fkeras.sensitivity.spectrum import layer_traces
from fkeras.study import Study

CODEC = FixedPoint(4, 0)
SPACE = BitSpace(
    (WordTensor("d/kernel", (2,), CODEC, np.zeros(2, np.uint32), np.ones(2, "f4"), np.zeros(2, "f4")),),
    registers=(Register("d/activation", (3,), CODEC, "activations", "d/activation"),),
)
DATA = np.zeros((3, 1)), np.zeros(3, np.int64)
STUDY = Study(SimpleNamespace(name="any", get_weights=list), DATA, "mispredictions", space=SPACE)


@pytest.mark.parametrize(
    "ask",
    [
        lambda: weight_memory(TMR(range(9)), SPACE),
        lambda: wrong_bits(SPACE, 3, TMR(range(9)), trials=5),
        lambda: binfi(SPACE, np.zeros(len(SPACE), np.bool_)),
        lambda: statfi(SPACE),
        lambda: layer_traces(SimpleNamespace(space=SPACE)),
        lambda: STUDY.protect(faults=3, limits={"max_mispredictions": 0.5}, free=True),
        lambda: STUDY.protection_front(3, {"max_mispredictions": 0.5}),
    ],
)
def test_registers_are_refused_by_name(ask):
    with pytest.raises(InputError, match=r"needs words that are stored, and register 'd/activation' is written anew"):
        ask()
