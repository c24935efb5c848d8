"""Fault sets: text, composition, stuck bits, patches."""

from __future__ import annotations

import numpy as np
import pytest

from fkeras.errors import InputError, LayoutError
from fkeras.faults import FaultSet
from fkeras.memory import BitSet, BitSpace, FixedPoint, Ternary, WordTensor


@pytest.fixture
def space() -> BitSpace:
    def tensor(path, shape, codec, words):
        stored = np.array(words, np.uint32)
        return WordTensor(
            path,
            shape,
            codec,
            stored,
            np.full(len(words), 0.5, np.float32),
            (codec.decode(stored) * 0.5).astype(np.float32),
        )

    return BitSpace(
        (
            tensor("a/kernel", (2, 2), FixedPoint(4, 0), [0b0000, 0b0001, 0b0111, 0b1111]),
            tensor("b/kernel", (2,), Ternary(), [0b01, 0b11]),
        )
    )


def test_prints_and_parses(space):
    faults = FaultSet([0, 17], [5], [10])
    text = "a/kernel[0,0]:0 b/kernel[0]:1 a/kernel[0,1]:1=1 a/kernel[1,0]:2=0"
    assert faults.text(space) == text
    assert FaultSet.parse(text, space) == faults
    assert FaultSet.parse(text, space).layout_digest == space.layout_digest
    assert repr(faults) == "FaultSet([0, 17], set_to_1=[5], set_to_0=[10])"


def test_blanks_commas_semicolons_and_flat_indices_parse(space):
    text = "a/kernel[0,0]:0, a/kernel[1,1]:3;\n 7=1\t18 ,19=0"
    assert FaultSet.parse(text, space) == FaultSet([0, 15, 18], [7], [19])
    assert FaultSet.parse("  ", space) == FaultSet.EMPTY


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a/kernel[0,0]:0=2", "'a/kernel.*=2' is not a fault; write an address to flip it, address=1 or address=0"),
        ("3=", "'3=' is not a fault"),
        ("3==1", "'3==1' is not a fault"),
        ("nonsense", "'nonsense' is not a bit address"),
        ("a/kernel[0,0]:4", "has 4-bit words; bit 4 does not exist"),
        ("20", "bit 20 does not exist: the space has 20 bits"),
        ("3 a/kernel[0,0]:3", "flips: bit 3 is named twice"),
        ("3=1 3=0", "bit 3 cannot be set to 1 and to 0"),
    ],
)
def test_what_cannot_be_read_is_named(space, text, message):
    with pytest.raises(InputError, match=message):
        FaultSet.parse(text, space)


@pytest.mark.parametrize("field", ["flips", "set_to_1", "set_to_0"])
def test_a_repeated_bit_is_refused(field):
    with pytest.raises(InputError, match=f"{field}: bit 7 is named twice"):
        FaultSet(**{field: [7, 1, 7]})


def test_a_bit_cannot_be_stuck_at_both_values():
    with pytest.raises(InputError, match="bit 4 cannot be set to 1 and to 0"):
        FaultSet(set_to_1=[4], set_to_0=[3, 4])


def test_a_stuck_bit_wins_over_a_flip(space):
    (patch,) = FaultSet([0, 1], set_to_1=[0], set_to_0=[1]).patches(space)
    assert patch.words.tolist() == [0b1000]
    assert len(FaultSet([0, 1], set_to_1=[0], set_to_0=[1])) == 2


def test_patches_name_word_and_value(space):
    first, second = FaultSet([0, 3, 12, 18]).patches(space)
    assert (first.tensor, first.elements.tolist(), first.words.tolist()) == (0, [0, 3], [0b1001, 0b0111])
    assert first.values.tolist() == [-7 / 8 * 0.5, 7 / 8 * 0.5]
    assert (second.tensor, second.elements.tolist(), second.words.tolist()) == (1, [1], [0b01])
    assert second.values.tolist() == [0.5]


def test_a_stuck_bit_that_stands_right_changes_nothing(space):
    assert list(FaultSet(set_to_0=[0], set_to_1=[12]).patches(space)) == []
    assert list(FaultSet.EMPTY.patches(space)) == []


def test_xor_composes_flips_only():
    assert FaultSet([1, 2]) ^ FaultSet([2, 3]) == FaultSet([1, 3])
    with pytest.raises(InputError, match="these sets have stuck bits"):
        FaultSet([1]) ^ FaultSet(set_to_1=[2])


def test_layouts_are_kept_and_checked(space):
    parsed = FaultSet.parse("1", space)
    assert (parsed ^ FaultSet([2])).layout_digest == space.layout_digest
    assert parsed.without(BitSet([1])).layout_digest == space.layout_digest
    assert FaultSet(BitSet([1], "elsewhere")).layout_digest == "elsewhere"
    with pytest.raises(LayoutError, match="cannot be combined"):
        parsed ^ FaultSet([1], layout_digest="elsewhere")
    with pytest.raises(LayoutError, match="this fault set belongs to a memory of layout elsewhere"):
        list(FaultSet([1], layout_digest="elsewhere").patches(space))
    with pytest.raises(LayoutError, match="this fault set belongs to"):
        FaultSet([1], layout_digest="elsewhere").text(space)


def test_a_bit_outside_the_space_is_refused(space):
    with pytest.raises(InputError, match="bit 20 does not exist"):
        list(FaultSet([20]).patches(space))


def test_the_digest_is_the_same_on_every_machine():
    assert (
        FaultSet([977, 12]).digest
        == FaultSet([12, 977]).digest
        == "e972fb7f921444b524b20bfbd1692aeeab2c15febe7f723c07707a3d38ad4b7b"
    )
    assert FaultSet([12], [977]).digest != FaultSet([12, 977]).digest


def test_only_text_is_parsed(space):
    with pytest.raises(InputError, match=r"3 is no text; FaultSet\(\[12, 977\]\) makes"):
        FaultSet.parse(3, space)


def test_hypothesis_prints_what_can_be_pasted():
    from hypothesis.vendor.pretty import pretty

    assert (
        pretty(FaultSet([3, 1], set_to_0=[2]))
        == repr(FaultSet([3, 1], set_to_0=[2]))
        == "FaultSet([1, 3], set_to_0=[2])"
    )
