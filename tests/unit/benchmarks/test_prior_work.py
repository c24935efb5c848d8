"""Prior work is measured as it was published."""

from __future__ import annotations

import numpy as np

from benchmarks.prior_work import EmbeddedParity, InPlaceECC, SignMagnitude, in_place_blocks
from fkeras.faults import FaultSet
from fkeras.faults.upsets import Upsets
from fkeras.memory import BitSpace, FixedPoint, WordTensor


def memory(words):
    """A tensor of such words, of 4 bits."""
    codec, words = FixedPoint(4, 0), np.array(words, np.uint32)
    values = codec.decode(words).astype(np.float32)
    return BitSpace((WordTensor("a/kernel", (len(words),), codec, words, np.ones(len(words)), values),))


def read(check, space, *flips):
    """The words as they are read."""
    (tensor,) = space.tensors
    words = tensor.words.copy()
    for patch in check.on(space).residual(Upsets.alone(space, FaultSet(flips))).patches(space):
        words[patch.elements] = patch.words
    return words.tolist()


def test_the_top_bit_of_a_magnitude_is_worth_half_a_sign_bit_and_a_sign_negates():
    space = memory([1, 15, 8])  # 1, -1, -8
    assert read(SignMagnitude(), space) == [1, 15, 8]
    assert read(SignMagnitude(), space, 0, 4, 8) == [15, 1, 0]
    assert read(SignMagnitude(), space, 1, 5) == [5, 11, 8]


def test_a_word_whose_embedded_parity_is_wrong_reads_0_and_the_last_bit_always():
    space = memory([7, 12, 3])
    assert read(EmbeddedParity(), space) == [6, 12, 2]
    assert read(EmbeddedParity(), space, 0) == [0, 12, 2]
    assert read(EmbeddedParity(), space, 3, 4, 5) == [0, 0, 2]


def test_in_place_ecc_mends_any_wrong_cell_of_a_block_and_leaves_two():
    small = [0, 1, 2, 3, 12, 13, 14, 7]  # the eighth may be large
    space = memory([*small, 7, *small[1:], 5])
    assert in_place_blocks(space) == (1, 2)
    words = space.tensors[0].words.tolist()
    assert all(read(InPlaceECC(), space, bit) == words for bit in range(32))
    assert read(InPlaceECC(), space, 3, 31) == [1, *small[1:-1], 6, *words[8:]]
    assert read(InPlaceECC(), space, 1, 3)[0] == 1  # the check bit is no bit of the word
    assert read(InPlaceECC(), space, 33, 64)[8::8] == [3, 13]


def test_a_tensor_without_room_for_a_code_is_read_as_it_is():
    large = memory([7] * 9)
    assert in_place_blocks(large) == (0, 1)
    assert read(InPlaceECC(), large, 3) == [6, *[7] * 8]
