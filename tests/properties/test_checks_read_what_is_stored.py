"""Laws of checks: stored words read as themselves, others as the obvious, slow decoder has it, whatever was hit."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from fkeras.faults import (
    SECDED,
    TMR,
    AssumedImmune,
    FaultSet,
    KnownWords,
    Parity,
    RangeCheck,
    Recoded,
    Upsets,
    protection,
)
from fkeras.faults.fault_models import draw_of
from fkeras.faults.readings import MixedReading
from fkeras.memory import Binary, BitSet, BitSpace, FixedPoint, MixedFixedPoint, PowerOfTwo, Ternary, WordTensor

CODECS = st.sampled_from(
    [FixedPoint(4, 0), FixedPoint(5, 1, False), FixedPoint(3, 0), Ternary(), Binary(), PowerOfTwo(4), PowerOfTwo(3, 0)]
)


def tensor(path, codec, shape, words):
    stored = np.array(words, np.uint32)
    ones = np.ones(stored.size, np.float32)
    return WordTensor(path, shape, codec, stored, ones, codec.decode(stored).astype(np.float32))


MIXED = st.lists(st.sampled_from([(0, 0, False), (2, 0, True), (4, 1, True), (4, 0, False)]), min_size=6, max_size=6)


@st.composite
def mixed_tensors(draw, path):
    """Words of two channels, each of its own format."""
    codec = MixedFixedPoint(*zip(*draw(MIXED), strict=True))
    assume(codec.width.any())
    return tensor(path, codec, (3, 2), [draw(st.integers(0, (1 << width) - 1)) for width in codec.width.tolist()])


@st.composite
def spaces(draw):
    tensors = []
    for number in range(draw(st.integers(1, 3))):
        if draw(st.booleans()):
            tensors.append(draw(mixed_tensors(f"t{number}/kernel")))
            continue
        codec, rows, columns = draw(CODECS), draw(st.integers(1, 4)), draw(st.integers(1, 3))
        in_use = draw(st.lists(st.integers(0, (1 << codec.width) - 1), min_size=1, max_size=6))
        words = draw(st.lists(st.sampled_from(in_use), min_size=rows * columns, max_size=rows * columns))
        tensors.append(tensor(f"t{number}/kernel", codec, (rows, columns), words))
    return BitSpace(tuple(tensors))


CHECKS = st.one_of(
    st.builds(
        RangeCheck, st.sampled_from(["undo", "clamp"]), st.integers(0, 3), st.sampled_from(["tensor", "channel"])
    ),
    st.builds(KnownWords, st.sampled_from([0.001, 0.01, 0.2]), st.integers(0, 2)),
    st.builds(Recoded, st.sampled_from([0.001, 0.2]), st.integers(0, 1)),
)


def some_bits(data, space):
    return data.draw(st.sets(st.integers(0, len(space) - 1), max_size=12))


def codec_at(tensor, element):
    """The codec of one word, and which words have the same."""
    codec = tensor.codec
    if not isinstance(codec, MixedFixedPoint):
        return codec, set(range(tensor.size))
    rows = list(zip(codec.width.tolist(), codec.integer.tolist(), codec.signed.tolist(), strict=True))
    return FixedPoint(*rows[element]), {i for i, row in enumerate(rows) if row == rows[element]}


def placed_at(reading, element):
    """Where the words of one word's codec are placed, None for limits."""
    if isinstance(reading, MixedReading):
        reading = next(part for elements, part in reading.parts if element in elements)
    return getattr(reading, "placed", None)


def slow_word(check, space, number, element, pattern, placed):
    """What a pattern reads as: every stored word is looked at, one by one, in exact fractions."""
    here = space.tensors[number]
    codec, alike = codec_at(here, element)
    every = np.arange(1 << codec.width, dtype=np.uint32)
    values = [Fraction(value) for value in codec.decode(every).tolist()]
    levels = sorted(set(values))

    def shifted(value, steps):
        return levels[min(max(levels.index(value) + steps, 0), len(levels) - 1)]

    def nearest(value):
        least = min(abs(level - value) for level in values)
        return min((values[word], word) for word in every.tolist() if abs(values[word] - value) == least)[1]

    if isinstance(check, RangeCheck):
        n_channels = here.shape[-1]
        same = range(here.size) if check.per == "tensor" else range(element % n_channels, here.size, n_channels)
        stored = [values[here.words[i]] for i in same if i in alike]
        low, high = shifted(min(stored), -check.margin), shifted(max(stored), check.margin)
        if low <= values[pattern] <= high:
            return pattern
        if check.outside == "undo":
            for place in range(codec.width - 1, -1, -1):
                if low <= values[pattern ^ (1 << place)] <= high:
                    return pattern ^ (1 << place)
        return nearest(min(max(values[pattern] if check.outside == "clamp" else Fraction(0), low), high))
    stored = here.words[sorted(alike)]
    known = set(stored.tolist())
    for word in list(known):
        for steps in range(-check.margin, check.margin + 1):
            known.add(values.index(shifted(values[word], steps)) if steps else word)
    for word in known:
        if placed[word] == pattern:
            return word
    odds = Fraction(check.bit_error_rate) / (1 - Fraction(check.bit_error_rate))
    chances = [odds ** (pattern ^ int(placed[word])).bit_count() for word in stored]
    mean = sum(c * values[word] for c, word in zip(chances, stored, strict=True)) / sum(chances)
    nearest_two = sorted(abs(level - mean) for level in levels)[:2]
    if len(nearest_two) == 2 and nearest_two[1] - nearest_two[0] < Fraction(1, 10**9):
        return None  # a tie, or as good as one
    return nearest(mean)


@given(space=spaces(), check=CHECKS, data=st.data())
@settings(deadline=None, max_examples=60)
def test_the_slow_decoder_agrees(space, check, data):
    guard = check.on(space)
    hit = some_bits(data, space)
    left = guard.residual(Upsets.alone(space, FaultSet(sorted(hit))))
    patches = {
        patch.tensor: dict(zip(patch.elements.tolist(), patch.words.tolist(), strict=True))
        for patch in left.patches(space)
    }
    cells = [reading.patterns.copy() for reading in guard.readings]
    where = space.locate(np.array(sorted(hit), np.int64))
    for number, element, bit in zip(where.tensor, where.element, where.bit, strict=True):
        cells[number][element] ^= 1 << (space.tensors[number].layout.widths[element] - 1 - bit)
    for number, here in enumerate(space.tensors):
        for element in np.flatnonzero(here.layout.widths).tolist():
            placed = placed_at(guard.readings[number], element)
            expected = slow_word(check, space, number, element, int(cells[number][element]), placed)
            read = patches.get(number, {}).get(element, int(here.words[element]))
            assert expected in (None, read)


@given(space=spaces(), check=CHECKS)
@settings(deadline=None, max_examples=40)
def test_every_stored_word_reads_as_itself_and_nothing_hit_is_nothing_wrong(space, check):
    guard = check.on(space)
    for here, reading in zip(space.tensors, guard.readings, strict=True):
        every = np.arange(here.size)
        assert (reading.decode(reading.patterns, every) == here.words).all()
    assert guard.residual(Upsets.alone(space, FaultSet.EMPTY)) == FaultSet.EMPTY


@given(space=spaces(), check=CHECKS, data=st.data())
@settings(deadline=None, max_examples=40)
def test_words_that_were_not_hit_are_right(space, check, data):
    hit = some_bits(data, space)
    guard = check.on(space)
    wrong = guard.residual(Upsets.alone(space, FaultSet(sorted(hit))))
    where = space.locate(np.concatenate([np.array(sorted(hit), np.int64), wrong.flips]))
    words = list(zip(where.tensor.tolist(), where.element.tolist(), strict=True))
    assert set(words[len(hit) :]) <= set(words[: len(hit)])
    assert not wrong.n_stuck


@given(space=spaces(), check=CHECKS, data=st.data())
@settings(deadline=None, max_examples=40)
def test_cells_are_mended_before_the_check_reads(space, check, data):
    """A check beside perfect cells reads as if these had not been hit; beside copies, as if only their votes had."""
    hit, covered = some_bits(data, space), BitSet(sorted(some_bits(data, space)))
    upsets = Upsets.alone(space, FaultSet(sorted(hit)))
    alone = check.on(space)
    for cells in (AssumedImmune(covered), TMR(covered)):
        joined = protection([cells, check], space)
        assert joined.residual(upsets) == alone.read(cells.residual(upsets), upsets)


@given(
    space=spaces(),
    check=CHECKS,
    hits=st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 4)), max_size=14),
    covered=st.sets(st.integers(0, 10**6), max_size=6),
)
@settings(deadline=None, max_examples=60)
def test_a_scrubber_writes_what_is_read_where_it_has_a_pattern(space, check, hits, covered):
    """Hit by hit, scrub by scrub: the words of the memory one by one."""
    scrubbed = replace(check, scrub_interval_seconds=10.0, scrub_from="itself").on(space)
    immune = BitSet(sorted({bit % len(space) for bit in covered}))
    bits = np.array([bit % len(space) for bit, _ in hits], np.int64)
    ages = np.array([(10 * interval + 5) / 50 for _, interval in hits])
    upsets = Upsets(space, draw_of(bits), None, 50.0, lambda plane, n: ages[:n])
    cells = [reading.patterns.copy() for reading in scrubbed.readings]
    for moment in range(4, -1, -1):
        for bit, interval in zip(bits.tolist(), (i for _, i in hits), strict=True):
            where = space.locate(bit)
            if interval == moment and bit not in immune:
                cells[int(where.tensor[0])][where.element] ^= where.mask
        if moment == 0:
            break
        for number, reading in enumerate(scrubbed.readings):
            if reading.is_plain:
                continue
            for element in range(space.tensors[number].size):
                word = reading.decode(cells[number][element : element + 1], np.array([element]))
                pattern, has_pattern = reading.encode(word, np.array([element]))
                layout = space.tensors[number].layout
                for place in range(width := int(layout.widths[element])):
                    flat = int(space.offsets[number] + layout.first(element)) + width - 1 - place
                    if has_pattern[0] and flat not in immune:
                        kept = cells[number][element] & ~np.uint32(1 << place)
                        cells[number][element] = kept | (pattern[0] & np.uint32(1 << place))
    joined = protection([AssumedImmune(immune), scrubbed], space)
    left = {patch.tensor: patch for patch in joined.residual(upsets).patches(space)}
    for number, (here, reading) in enumerate(zip(space.tensors, scrubbed.readings, strict=True)):
        read = here.words.copy()
        if number in left:
            read[left[number].elements] = left[number].words
        assert (read == reading.decode(cells[number], np.arange(here.size))).all()


def written_back(scrubbed, wrong):
    """The wrong cells, (n_bits,), once every word is written as the check reads it."""
    after = wrong.copy()
    for patch in FaultSet(np.flatnonzero(wrong)).patches(scrubbed.cells):
        reading, layout = scrubbed.readings[patch.tensor], scrubbed.space.tensors[patch.tensor].layout
        written, has_pattern = reading.encode(reading.decode(patch.words, patch.elements), patch.elements)
        now = np.where(has_pattern, written, patch.words) ^ reading.patterns[patch.elements]
        for element, pattern in zip(patch.elements.tolist(), now.tolist(), strict=True):
            first, width = int(scrubbed.space.offsets[patch.tensor] + layout.first(element)), layout.widths[element]
            if not reading.is_plain:
                after[first : first + width] = [pattern >> place & 1 for place in range(width - 1, -1, -1)]
    return after


HITS = st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 2), st.floats(0.001, 0.999)), max_size=14)


@given(
    space=spaces(),
    check=CHECKS,
    hits=HITS,
    outvoted=st.lists(st.tuples(st.integers(0, 10**6), st.floats(0.001, 0.999)), max_size=6),
    covered=st.sets(st.integers(0, 10**6), max_size=6),
    own=st.sampled_from([None, 4.0, 10.0, 30.0]),
    source=st.sampled_from(["good copy", "itself"]),
)
@settings(deadline=None, max_examples=100)
def test_a_scrubber_reads_copies_as_they_vote_at_that_time(space, check, hits, outvoted, covered, own, source):
    """Event by event: hits on three arrays, the check's scrubs every 10 s, and those of the copies after them."""
    dense = min(8, len(space))
    covered = sorted({bit % dense for bit in covered})
    tmr = TMR(covered, own, "good copy" if own is None else source)
    scrubbed = replace(check, scrub_interval_seconds=10.0, scrub_from="itself").on(space)
    hits = hits + [(bit, plane, age) for bit, age in outvoted for plane in (1, 2)]
    planes = [[(bit % dense, age) for bit, plane, age in hits if plane == number] for number in range(3)]
    draws = [draw_of(np.array([bit for bit, _ in plane], np.int64)) for plane in planes]
    upsets = Upsets(
        space,
        draws[0],
        lambda plane: draws[plane] if plane < 3 else draw_of(np.zeros(0, np.int64)),
        50.0,
        lambda plane, n: np.array([age for _, age in planes[plane]] if plane < 3 else [])[:n],
    )
    events = [(-50 * age, 0, bit, plane) for plane, own_hits in enumerate(planes) for bit, age in own_hits]
    events += [(-10.0 * k, 1, 0, 0) for k in range(1, 6)]
    events += [(-own * k, 2, 0, 0) for k in range(1, int(50 / own) + 1)] if own is not None else []
    wrong, is_covered = np.zeros((3, len(space)), np.bool_), np.isin(np.arange(len(space)), covered)

    def votes():
        return np.where(is_covered, wrong.sum(axis=0) >= 2, wrong[0])

    for _, kind, bit, plane in sorted(events, key=lambda event: event[:2]):
        if kind == 0:
            wrong[plane, bit] ^= True
        elif kind == 2:
            wrong[:, covered] = votes()[covered] if source == "itself" else False
        else:
            wrong[0] = np.where(is_covered, wrong[0], written_back(scrubbed, votes()))
    expected = scrubbed.read(FaultSet(np.flatnonzero(votes())), upsets)
    assert protection([tmr, scrubbed], space).residual(upsets) == expected


@given(
    space=spaces(),
    check=CHECKS,
    hits=HITS,
    covered=st.sets(st.integers(0, 10**6), max_size=12),
    own=st.sampled_from([None, 5.0, 10.0]),
    cover=st.sampled_from([SECDED, Parity]),
    source=st.sampled_from(["good copy", "itself"]),
)
@settings(deadline=None, max_examples=100)
def test_a_scrubber_reads_codes_as_they_are_mended_at_that_time(space, check, hits, covered, own, cover, source):
    """Scrub by scrub, with the whole memory as it was before each."""
    dense, nothing = min(8, len(space)), draw_of(np.zeros(0, np.int64))
    bits = BitSet(sorted({bit % dense for bit in covered}))
    by = {} if cover is Parity else {"scrub_from": "good copy" if own is None else source}
    stated = cover(bits, own, on_detected="keep", **by)
    code = protection(stated, space)
    scrubbed = replace(check, scrub_interval_seconds=10.0, scrub_from="itself").on(space)
    planes = [[(bit % dense, 50 * age) for bit, plane, age in hits if plane == number] for number in range(3)]
    is_covered = np.isin(np.arange(len(space)), bits.bits)

    def until(seconds):
        """The upsets up to so many seconds before the end, as of then."""
        came = [[(bit, age - seconds) for bit, age in plane if age >= seconds] for plane in planes]
        draws = [draw_of(np.array([bit for bit, _ in plane], np.int64)) for plane in came]
        ages = [np.array([age for _, age in plane]) / (50 - seconds) for plane in came]

        def further(plane):
            return draws[plane] if plane < 3 else nothing

        return Upsets(space, draws[0], further, 50.0 - seconds, lambda plane, n: ages[plane][:n])

    wrong = np.zeros(len(space), np.bool_)
    for interval in range(4, -1, -1):
        for bit, age in planes[0]:
            wrong[bit] ^= age // 10 == interval
        upsets = until(10 * interval)
        wrong = np.where(is_covered, np.isin(np.arange(len(space)), code.residual(upsets).flips), wrong)
        if interval:
            wrong = np.where(is_covered, wrong, written_back(scrubbed, wrong))
    expected = scrubbed.read(FaultSet(np.flatnonzero(wrong)), upsets)
    assert protection([stated, scrubbed], space).residual(upsets) == expected
