"""The bit space: order, addresses, digests and what it refuses."""

from __future__ import annotations

import numpy as np
import pytest

from fkeras.errors import InputError, LayoutError
from fkeras.memory import BitAddress, BitSet, BitSpace, FixedPoint, Ternary, WordTensor


def tensor(path: str, shape: tuple[int, ...], codec, words=None, scale: float = 1.0) -> WordTensor:
    size = int(np.prod(shape))
    stored = np.zeros(size, np.uint32) if words is None else np.array(words, np.uint32)
    scales = np.full(size, scale, np.float32)
    return WordTensor(path, shape, codec, stored, scales, (codec.decode(stored) * scales).astype(np.float32))


@pytest.fixture
def space() -> BitSpace:
    return BitSpace(
        (
            tensor("a/kernel", (2, 3), FixedPoint(6, 0)),
            tensor("a/bias", (3,), FixedPoint(4, 0)),
            tensor("b/kernel", (2, 1), Ternary()),
        )
    )


def test_length_and_offsets(space):
    assert space.offsets.tolist() == [0, 36, 48, 52]
    assert len(space) == 52


@pytest.mark.parametrize(
    ("index", "text"),
    [
        (0, "a/kernel[0,0]:0"),
        (5, "a/kernel[0,0]:5"),
        (6, "a/kernel[0,1]:0"),
        (35, "a/kernel[1,2]:5"),
        (36, "a/bias[0]:0"),
        (51, "b/kernel[1,0]:1"),
    ],
)
def test_tensors_in_order_then_elements_then_most_significant_bit_first(space, index, text):
    assert str(space.address(index)) == text
    assert space.index(text) == index


def test_iterating_gives_every_address(space):
    assert [space.index(address) for address in space] == list(range(52))


def test_bit_positions(space):
    assert space.bit_positions[[0, 5, 6, 36, 39, 49]].tolist() == [0, 5, 0, 0, 3, 1]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("c/kernel[0]:0", "no tensor 'c/kernel' in this space; it has a/kernel, a/bias, b/kernel"),
        ("a/kernel[2,0]:0", r"tensor 'a/kernel' has shape \(2, 3\); element \[2, 0\] does not exist"),
        ("a/kernel[0]:0", r"tensor 'a/kernel' has shape \(2, 3\); element \[0\] does not exist"),
        ("a/kernel[0,0]:7", r"tensor 'a/kernel' has 6-bit words; bit 7 does not exist \(0 = MSB ... 5 = LSB\)"),
    ],
)
def test_addresses_outside_the_space_are_named(space, text, message):
    with pytest.raises(InputError, match=message):
        space.index(text)


@pytest.mark.parametrize("address", [BitAddress("a/bias", (-1,), 0), BitAddress("a/bias", (0,), -1)])
def test_addresses_do_not_count_from_the_end(space, address):
    with pytest.raises(InputError, match="does not exist"):
        space.index(address)


@pytest.mark.parametrize("bit", [-1, 52])
def test_bits_outside_the_space_are_named(space, bit):
    with pytest.raises(InputError, match=f"bit {bit} does not exist: the space has 52 bits, 0 to 51"):
        space.locate([0, bit])


@pytest.mark.parametrize("bits", [[0.5], [[1]], [True]])
def test_bits_are_whole_numbers_in_one_dimension(space, bits):
    with pytest.raises(InputError, match="bits are flat indices"):
        space.check(bits)


def test_two_tensors_of_one_name_are_refused():
    with pytest.raises(InputError, match=r"two tensors have one name: \['a'\]"):
        BitSpace((tensor("a", (1,), Ternary()), tensor("a", (1,), Ternary())))


def test_arrays_of_a_tensor_have_one_entry_per_word():
    with pytest.raises(InputError, match=r"tensor 'a': words has shape \(2,\), expected \(3,\)"):
        WordTensor("a", (3,), Ternary(), np.zeros(2, np.uint32), np.ones(3, np.float32), np.zeros(3, np.float32))


def test_words_fit_their_width():
    with pytest.raises(InputError, match="tensor 'a': a word does not fit into 2 bits"):
        tensor("a", (1,), Ternary(), [0]).__class__(
            "a", (1,), Ternary(), np.array([4], np.uint32), np.ones(1, np.float32), np.zeros(1, np.float32)
        )


def test_retraining_changes_the_content_and_not_the_layout():
    before, after = (BitSpace((tensor("k", (2,), FixedPoint(4, 0), words),)) for words in ([1, 2], [1, 3]))
    assert before.layout_digest == after.layout_digest
    assert before.content_digest != after.content_digest


def test_the_content_knows_the_scale_and_the_codec():
    digests = {
        BitSpace((one,)).content_digest
        for one in (
            tensor("k", (2,), FixedPoint(4, 0)),
            tensor("k", (2,), FixedPoint(4, 1)),
            tensor("k", (2,), FixedPoint(4, 0), scale=0.5),
        )
    }
    assert len(digests) == 3


@pytest.mark.parametrize(
    "other",
    [tensor("l", (2,), FixedPoint(4, 0)), tensor("k", (1, 2), FixedPoint(4, 0)), tensor("k", (2,), FixedPoint(5, 0))],
)
def test_names_shapes_and_widths_make_the_layout(other):
    here = BitSpace((tensor("k", (2,), FixedPoint(4, 0)),))
    there = BitSpace((other,))
    with pytest.raises(LayoutError, match="this ranking belongs to a memory of layout"):
        here.require_layout(there.layout_digest, "this ranking")
    here.require_layout(here.layout_digest, "this ranking")
    here.require_layout(None, "this ranking")


def test_digests_are_the_same_on_every_machine():
    space = BitSpace((tensor("k", (2, 1), FixedPoint(6, 0), [1, 63]),))
    assert space.layout_digest == "29b935aeaa57c2dda92a9a7dd8e453d3596b5d31072f1fd568223e183ba05d17"
    assert space.content_digest == "15663b7d2beb18e1be08d4a151bf031c3485d35a994f452f478cfa0b851b04a4"


def test_a_faulty_word_is_scaled_and_rounded_once():
    one = tensor("k", (2,), FixedPoint(6, 0), scale=0.37)
    values = one.values_of(np.array([31], np.uint32), np.array([1]))
    assert values.dtype == np.float32
    assert values.tolist() == [np.float32(31 / 32 * np.float64(np.float32(0.37)))]


def test_an_empty_space_has_no_bits():
    empty = BitSpace(())
    assert len(empty) == 0
    with pytest.raises(InputError, match="the space has 0 bits"):
        empty.address(0)


def test_bits_of_another_layout_are_refused(space):
    with pytest.raises(LayoutError, match=r"BitSet of 1 bits: ranking\[:1\]> belongs to a memory of layout abc"):
        space.check(BitSet(np.array([0]), "abc", "ranking[:1]"))
    assert space.check(BitSet(np.array([1, 0]), space.layout_digest)).tolist() == [0, 1]


@pytest.mark.parametrize("address", [None, 3, ("d", 0)])
def test_what_is_no_address_is_refused(space, address):
    with pytest.raises(InputError, match="is not a bit address; write"):
        space.index(address)
