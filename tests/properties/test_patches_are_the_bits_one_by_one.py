"""Law: patches are what writing the bits one after the other gives."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from fkeras.faults import FaultSet
from fkeras.memory import BitSpace, FixedPoint, Ternary, WordTensor

BITS = 6 * 5 + 4 * 2


def bit_by_bit(space: BitSpace, faults: FaultSet) -> list[str]:
    """The memory as one string of 0 and 1, changed by hand."""
    memory = [
        digit
        for tensor in space.tensors
        for word in tensor.words
        for digit in format(int(word), f"0{tensor.codec.width}b")
    ]
    for bit in faults.flips:
        memory[bit] = "1" if memory[bit] == "0" else "0"
    for bit in faults.set_to_1:
        memory[bit] = "1"
    for bit in faults.set_to_0:
        memory[bit] = "0"
    return memory


@given(
    words=st.lists(st.integers(0, 31), min_size=6, max_size=6),
    ternary=st.lists(st.sampled_from([0, 1, 3]), min_size=4, max_size=4),
    kinds=st.dictionaries(st.integers(0, BITS - 1), st.sampled_from(["flip", "1", "0", "flip1", "flip0"])),
)
def test_patches_are_the_bits_one_by_one(words, ternary, kinds):
    parts = ((np.array(words, np.uint32), FixedPoint(5, 0)), (np.array(ternary, np.uint32), Ternary()))
    space = BitSpace(
        tuple(
            WordTensor(
                f"t{i}",
                stored.shape,
                codec,
                stored,
                np.full(stored.size, 0.25, np.float32),
                (codec.decode(stored) * 0.25).astype(np.float32),
            )
            for i, (stored, codec) in enumerate(parts)
        )
    )
    faults = FaultSet(*([bit for bit, kind in kinds.items() if wanted in kind] for wanted in ("flip", "1", "0")))

    memory = "".join(bit_by_bit(space, faults))
    expected = [
        np.array([int(memory[i : i + 5], 2) for i in range(0, 30, 5)]),
        np.array([int(memory[i : i + 2], 2) for i in range(30, 38, 2)]),
    ]
    after = [tensor.words.copy() for tensor in space.tensors]
    for patch in faults.patches(space):
        assert (patch.words != space.tensors[patch.tensor].words[patch.elements]).all()
        assert (patch.values == space.tensors[patch.tensor].codec.decode(patch.words) * 0.25).all()
        after[patch.tensor][patch.elements] = patch.words
    assert all((a == e).all() for a, e in zip(after, expected, strict=True))
