"""Law: a tensor whose words differ in width does what its words would do as tensors of one word each."""

from __future__ import annotations

import numpy as np
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from fkeras.faults import SECDED, TMR, FaultSet, Parity, Upsets, protection
from fkeras.memory import BitSet, BitSpace, FixedPoint, MixedFixedPoint, WordTensor
from fkeras.protection.expected import _stored_ones
from fkeras.protection.exports import csv_text
from fkeras.protection.mask import Mask
from fkeras.sensitivity.baselines import binfi
from fkeras.sensitivity.positional import flip_steps, most_significant_first, msb_scores, word_numbers

FORMATS = st.tuples(st.integers(0, 7) | st.just(0), st.integers(-2, 3), st.booleans())


def tensor(path, shape, codec, words, scale):
    stored, scales = np.array(words, np.uint32), np.full(len(words), scale, np.float32)
    return WordTensor(path, shape, codec, stored, scales, (codec.decode(stored) * scales).astype(np.float32))


@st.composite
def tensors(draw, path):
    shape = (draw(st.integers(1, 4)), draw(st.integers(1, 3)))
    formats = draw(st.lists(FORMATS, min_size=shape[0] * shape[1], max_size=shape[0] * shape[1]))
    codec = MixedFixedPoint(*zip(*formats, strict=True))
    words = [draw(st.integers(0, (1 << width) - 1)) for width, _, _ in formats]
    return tensor(path, shape, codec, words, draw(st.sampled_from([1.0, 0.25, 0.37])))


@st.composite
def spaces(draw):
    parts = [draw(tensors(f"layer{number}/kernel")) for number in range(draw(st.integers(1, 3)))]
    if draw(st.booleans()):
        parts.insert(draw(st.integers(0, len(parts))), tensor("one/bias", (3,), FixedPoint(4, 1), [1, 9, 15], 1.0))
    space = BitSpace(tuple(parts))
    assume(len(space))
    return space


def apart(space):
    """A tensor for each word that has bits."""
    words = []
    for one in space.tensors:
        for number, width in enumerate(one.layout.widths.tolist()):
            if width:
                codec = one.codec
                if isinstance(codec, MixedFixedPoint):
                    codec = FixedPoint(width, int(codec.integer[number]), bool(codec.signed[number]))
                arrays = (array[number : number + 1] for array in (one.words, one.scale, one.golden))
                words.append(WordTensor(f"{one.path}{number}", (1,), codec, *arrays))
    return BitSpace(tuple(words))


def some_faults(data, space):
    kinds = data.draw(st.dictionaries(st.integers(0, len(space) - 1), st.sampled_from(["flip", "1", "0"]), max_size=9))
    return FaultSet(*([bit for bit, kind in kinds.items() if kind == wanted] for wanted in ("flip", "1", "0")))


@given(space=spaces())
def test_index_and_address_are_a_bijection(space):
    addresses = list(space)
    assert len(set(addresses)) == len(space) == sum(int(one.layout.widths.sum()) for one in space.tensors)
    assert [space.index(str(address)) for address in addresses] == list(range(len(space)))
    by_hand = [
        (one.path, np.unravel_index(element, one.shape), bit)
        for one in space.tensors
        for element, width in enumerate(one.layout.widths.tolist())
        for bit in range(width)
    ]
    assert [(address.tensor, address.element, address.bit) for address in addresses] == by_hand


@given(space=spaces(), data=st.data())
def test_patches_are_those_of_single_words(space, data):
    faults, words = some_faults(data, space), apart(space)
    expected = [(patch.words[0], patch.values[0]) for patch in faults.patches(words)]
    patches = list(faults.patches(space))
    assert [pair for patch in patches for pair in zip(patch.words, patch.values, strict=True)] == expected


@given(space=spaces(), data=st.data())
def test_flips_undo_themselves(space, data):
    flips = FaultSet(some_faults(data, space).flips)
    after = list(space.tensors)
    for patch in flips.patches(space):
        one, words, golden = after[patch.tensor], after[patch.tensor].words.copy(), after[patch.tensor].golden.copy()
        words[patch.elements], golden[patch.elements] = patch.words, patch.values
        after[patch.tensor] = WordTensor(one.path, one.shape, one.codec, words, one.scale, golden)
    for patch in flips.patches(BitSpace(tuple(after))):
        assert (patch.words == space.tensors[patch.tensor].words[patch.elements]).all()


@given(space=spaces())
def test_decode_inverts_encode_word_by_word(space):
    for one in space.tensors:
        every = np.arange(one.size)
        values = one.decode(one.words, every)
        assert (one.codec.encode(values) == one.words).all()
        assert (values[one.layout.widths == 0] == 0).all()
        assert (np.abs(values) <= one.codec.largest).all()
        assert (values / one.codec.step == np.rint(values / one.codec.step)).all()
        assert (one.layout.words(one.layout.flags(one.words)) == one.words).all()


@given(space=spaces(), data=st.data())
def test_scores_are_those_of_single_words(space, data):
    words = apart(space)
    assert (space.bit_positions == words.bit_positions).all()
    assert (msb_scores(space) == msb_scores(words)).all()
    assert (flip_steps(space) == flip_steps(words)).all()
    assert (_stored_ones(space) == _stored_ones(words)).all()
    n_words = sum(one.size for one in space.tensors)
    has_bits = np.concatenate([one.layout.widths > 0 for one in space.tensors])
    assert (word_numbers(space) == np.flatnonzero(has_bits)[word_numbers(words)]).all()
    strength = np.array(data.draw(st.permutations(range(n_words))), float)
    order = [np.argsort(-scores, kind="stable") for scores in (
        most_significant_first(space, strength), most_significant_first(words, strength[has_bits])
    )]  # fmt: skip
    assert (order[0] == order[1]).all()
    sensitive = np.array(data.draw(st.lists(st.booleans(), min_size=len(space), max_size=len(space))))
    assert (binfi(space, sensitive).probes == binfi(words, sensitive).probes).all()


@given(space=spaces(), data=st.data())
@settings(deadline=None)
def test_protections_leave_what_they_leave_of_single_words(space, data):
    words = apart(space)
    bits = sorted(data.draw(st.sets(st.integers(0, len(space) - 1))))
    faults = FaultSet(some_faults(data, space).flips)
    for stated in (TMR(bits), Parity(bits), SECDED(bits), SECDED(bits, on_detected="keep"), bits):
        guards = [protection(stated, memory) for memory in (space, words)]
        left = [
            guard.residual(Upsets.alone(memory, faults)) for guard, memory in zip(guards, (space, words), strict=True)
        ]
        assert left[0] == left[1]
        assert guards[0].extra_bits == guards[1].extra_bits
        assert guards[0].describe(len(space)) == guards[1].describe(len(space))


@given(space=spaces(), data=st.data())
def test_masks_are_read_back_and_are_those_of_single_words(space, data):
    bits = BitSet(sorted(data.draw(st.sets(st.integers(0, len(space) - 1)))))
    mask, words = Mask.of(bits, space), Mask.of(bits, apart(space))
    again = Mask.parse(mask.text())
    assert again.on(space) == bits
    assert again.digest == mask.digest
    has_bits = np.concatenate([one.layout.widths > 0 for one in space.tensors])
    assert (np.concatenate(mask.words())[has_bits] == np.concatenate(words.words())).all()
    rows = csv_text(mask).splitlines()[1:]
    assert [space.index(row[1:].partition('"')[0] if row[0] == '"' else row.partition(",")[0]) for row in rows] == list(
        bits
    )
