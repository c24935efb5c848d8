"""Where bits lie in tensors of one width and of several: by hand, and as one tensor's own order."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

from fkeras.errors import InputError
from fkeras.memory import BitSpace, FixedPoint, MixedFixedPoint, TensorLayout, WordTensor, layout_digest


def tensor(codec, words, shape=None, path="k"):
    stored = np.array(words, np.uint32)
    values = codec.decode(stored).astype(np.float32)
    return WordTensor(path, shape or stored.shape, codec, stored, values * 0 + 1, values)


MIXED = MixedFixedPoint(width=[3, 0, 2, 0, 1], integer=[0, 5, 2, 0, 1], signed=[1, 1, 0, 0, 0])
SPACE = BitSpace((tensor(FixedPoint(4, 0), [1, 2], path="a"), tensor(MIXED, [0b101, 0, 0b10, 0, 1], path="b")))


def test_words_of_no_bits_have_no_address():
    assert len(SPACE) == 8 + 6
    assert [str(address) for address in SPACE][8:] == ["b[0]:0", "b[0]:1", "b[0]:2", "b[2]:0", "b[2]:1", "b[4]:0"]
    assert SPACE.tensors[1].layout.n_empty == 2
    with pytest.raises(
        InputError, match=r"has words of 0 to 3 bits, element \[1\] one of 0; bit 0 does not exist \(a word of no bits"
    ):
        SPACE.index("b[1]:0")
    with pytest.raises(InputError, match=r"element \[2\] one of 2; bit 2 does not exist \(0 = MSB ... 1 = LSB\)"):
        SPACE.index("b[2]:2")


def test_a_flip_reads_as_the_word_s_own_format_has_it():
    values = SPACE.tensors[1].values_of(np.array([0b001, 0b11, 0], np.uint32), np.array([0, 2, 4]))
    assert values.tolist() == [0.25, 3.0, 0.0]


def test_widths_that_are_all_equal_are_one_width():
    same = MixedFixedPoint([4, 4], [0, 1], [True, True])
    layout = tensor(same, [1, 2]).layout
    assert layout == tensor(FixedPoint(4, 0), [1, 2]).layout
    assert layout.width == 4
    assert TensorLayout("k", (0,), np.zeros(0)).width == 0


def test_a_layout_without_words_of_several_widths_keeps_its_digest():
    one = [TensorLayout("k", (2, 1), 6)]
    assert layout_digest(one) == "29b935aeaa57c2dda92a9a7dd8e453d3596b5d31072f1fd568223e183ba05d17"
    several = {
        layout_digest([TensorLayout("k", (2,), np.array(widths))]) for widths in ([6, 0], [0, 6], [3, 3], [6, 6])
    }
    assert len(several) == 4


def test_the_content_knows_the_format_of_every_word():
    words, golden = np.zeros(2, np.uint32), np.zeros(2, np.float32)
    codecs = (
        FixedPoint(4, 0),
        MixedFixedPoint([4, 4], [0, 0], [1, 1]),
        MixedFixedPoint([4, 4], [0, 1], [1, 1]),
        MixedFixedPoint([4, 4], [1, 0], [1, 1]),
        MixedFixedPoint([4, 4], [0, 0], [1, 0]),
    )
    spaces = [BitSpace((WordTensor("k", (2,), codec, words, golden + 1, golden),)) for codec in codecs]
    assert len({space.layout_digest for space in spaces}) == 1
    assert len({space.content_digest for space in spaces}) == 5


def test_formats_of_words_without_bits_do_not_matter():
    assert MixedFixedPoint([0, 2], [7, 0], [1, 1]) == MixedFixedPoint([0, 2], [0, 0], [0, 1])
    assert MixedFixedPoint([0, 2], 0, True) != MixedFixedPoint([0, 2], 1, True)


@pytest.mark.parametrize(
    ("codec", "values", "message"),
    [
        (MIXED, [-0.75, 0, 2.5, 0, 1], r"first is 2.5, element 2; allowed there are multiples of 1 from 0 to 3"),
        (MIXED, [1.0, 0, 2, 0, 1], r"first is 1.0, element 0; allowed there are multiples of 0.25 from -1 to 0.75"),
        (MIXED, [0, 0, 0, 0.5, 0], r"first is 0.5, element 3; allowed there are 0, as its width is 0"),
        (MIXED, [0, np.nan, 0, 0, 0], r"first is nan, element 1"),
    ],
)
def test_values_that_their_own_format_lacks_are_refused(codec, values, message):
    with pytest.raises(InputError, match=message):
        codec.encode(values)


@pytest.mark.parametrize("width", [[1.5, 2], [np.nan, 1], ["a", "b"]])
def test_widths_that_are_no_whole_numbers_are_refused(width):
    with pytest.raises(InputError, match="fixed point: width holds what is no whole number; round what was trained"):
        MixedFixedPoint(width, 0, True)
    assert MixedFixedPoint(np.array([3.0, 0.0]), 0.0, 1.0).width.dtype == np.int64


def test_widths_and_words_that_are_none_are_refused():
    with pytest.raises(InputError, match="fixed point: a word of 33 bits; allowed are 0 to 32"):
        MixedFixedPoint([1, 33], 0, True)
    with pytest.raises(InputError, match=r"tensor 'k': widths of shape \(5,\), expected \(4,\)"):
        WordTensor("k", (4,), MIXED, *(np.zeros(4, kind) for kind in (np.uint32, np.float32, np.float32)))
    with pytest.raises(InputError, match="tensor 'k': a word does not fit into 2 bits"):
        tensor(MIXED, [0, 0, 4, 0, 0])
    with pytest.raises(InputError, match="a word does not fit into 0 bits"):
        tensor(MIXED, [0, 1, 0, 0, 0])
    ones = np.ones(5, np.float32)
    with pytest.raises(InputError, match="words of width 0 store nothing, so that their value must be 0"):
        WordTensor("k", (5,), MIXED, np.zeros(5, np.uint32), ones, ones)


def test_words_of_32_bits_beside_none():
    wide = MixedFixedPoint([32, 0, 32], [31, 0, 32], [1, 0, 0])
    words = np.array([0x80000001, 0, 0xFFFFFFFF], np.uint32)
    assert wide.decode(words).tolist() == [-(2.0**31) + 1, 0, 2.0**32 - 1]
    assert (wide.encode(wide.decode(words)) == words).all()
    one = tensor(wide, words)
    assert (one.layout.words(one.layout.flags(words)) == words).all()


def test_what_was_worked_out_of_a_tensor_does_not_travel_with_it():
    one = tensor(MIXED, [0b101, 0, 0b10, 0, 1])
    fresh = len(pickle.dumps(one))
    assert len(one.parts) == 3
    again = pickle.loads(pickle.dumps(one))
    assert len(pickle.dumps(one)) == fresh
    assert (again.codec, again.layout, again.words.tolist()) == (one.codec, one.layout, one.words.tolist())
    assert not again.words.flags.writeable


def test_a_memory_of_no_bits_at_all():
    none = MixedFixedPoint([0, 0], 0, True)
    space = BitSpace((tensor(none, [0, 0]),))
    assert (len(space), space.bit_positions.size, space.tensors[0].n_in_use, none.step, none.largest) == (0, 0, 0, 1, 0)
    assert none.encode([0, 0]).tolist() == [0, 0]
    assert repr(none).startswith("<fixed point of 0 formats, 0 to 0 bits")


def test_parts_have_all_words_that_have_bits():
    one = SPACE.tensors[1]
    assert [(part.codec, part.elements.tolist(), part.bits.tolist()) for part in one.parts] == [
        (FixedPoint(1, 1, False), [4], [[5]]),
        (FixedPoint(2, 2, False), [2], [[3, 4]]),
        (FixedPoint(3, 0), [0], [[0, 1, 2]]),
    ]
    assert (one.n_in_use, one.n_possible) == (3, 14)
    with pytest.raises(
        InputError,
        match=r"is <fixed point of 3 formats, .*; allowed here are words of one format: leave it out by layers='!b'",
    ):
        one.sole_codec  # noqa: B018
