"""What a simulation does to a store, and what the library says that the store then reads."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from fkeras.faults import TMR, FaultSet, Protection, Upsets, protection
from fkeras.faults.fault_models import Bits, draw_of
from fkeras.faults.joined import Joined
from fkeras.faults.word_codes import CodedWords
from fkeras.memory import BitSpace
from fkeras.rtl.codewords import StoreLayout

Words = NDArray[np.uint32]
CellOf = tuple[int, int]
"""A word, and a cell of it by number."""
MOST_ROUND_HITS = 4096
"""A pass takes a cycle per word: large stores are passed over less often, each kind of hit on some of their words."""


@dataclass(frozen=True, slots=True)
class Step:
    """Hits on cells, or a pass by number. counted: as mended and as wrong words, None: any number."""

    hits: tuple[CellOf, ...] = ()
    visit: int | None = None
    counted: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Script:
    """Steps, and the words that are read after them, (size,)."""

    steps: tuple[Step, ...]
    words: Words


@dataclass(frozen=True, slots=True, eq=False)
class Vectors:
    """All that one store is put to.

    alone: by shape, the hits of which each is made on each word of that shape, while nothing else is wrong;
    alone_words: by shape, what the word then reads, (n_words of the shape, n_hits); rounds: a hit on every word and
    then every pass; trials: those of a campaign.
    """

    alone: tuple[tuple[tuple[int, ...], ...], ...]
    alone_words: tuple[Words, ...]
    rounds: tuple[Script, ...]
    trials: tuple[Script, ...] = ()


def vectors(layout: StoreLayout, guard: Protection, space: BitSpace, trials: Sequence[Upsets] = ()) -> Vectors:
    """The vectors of a store under a protection of the memory, with a campaign's upsets."""
    hits = [shape.hits for shape in layout.shapes]
    most = max(map(len, hits), default=0)
    unloaded = _without_reload(guard, space)
    alone = [np.zeros((int((layout.shape_of == k).sum()), len(own)), np.uint32) for k, own in enumerate(hits)]
    for turn in range(most):
        turns = [own[turn % len(own)] if own else () for own in hits]
        words = _read(layout, unloaded, space, _hits_of_all(layout, turns), 0.0)
        for k, own in enumerate(hits):
            if turn < len(own):
                alone[k][:, turn] = words[layout.shape_of == k]
    return Vectors(
        tuple(hits),
        tuple(alone),
        tuple(_rounds(layout, guard, space, most)),
        tuple(_trial(layout, guard, space, upsets) for upsets in trials),
    )


def _rounds(layout: StoreLayout, guard: Protection, space: BitSpace, most: int) -> Iterator[Script]:
    """Every word is hit, neighbours in different places, so that a wire to the wrong word is seen."""
    if not layout.passes:
        return
    scrubs = [visit.scrubbing for visit in layout.passes if visit.kind == "scrub"]
    age = max((scrubbing.seconds or 0.0 for scrubbing in scrubs), default=0.0)
    visits = [number for _, number in _scrubs(layout, [scrubbing.interval_of(np.array([age])) for scrubbing in scrubs])]
    after = _last(layout)
    counts = [Step(visit=number) for number, visit in enumerate(layout.passes) if visit.kind == "count"]
    stored, unloaded = layout.coded(layout.tensor.words), _without_reload(guard, space)
    for turn in range(min(most, max(2, MOST_ROUND_HITS // max(1, layout.tensor.size)))):
        cells: list[CellOf] = []
        n_corrected = n_detected = 0
        for word, k in enumerate(layout.shape_of.tolist()):
            if hits := layout.shapes[k].hits:
                hit = hits[(turn + word) % len(hits)]
                cells += [(word, cell) for cell in hit]
                corrected, detected = layout.shapes[k].counted(stored[word], hit)
                n_corrected, n_detected = n_corrected + corrected, n_detected + detected
        scrubs_then = [*(Step(visit=number) for number in visits), *after] if visits else []
        for passes, under, seconds in ((counts, unloaded, 0.0), (scrubs_then, guard, age), (after, guard, 0.0)):
            if passes:
                first, *more = passes
                steps = (Step(tuple(cells)), replace(first, counted=(n_corrected, n_detected)), *more)
                yield Script(steps, _read(layout, under, space, cells, seconds))


def _last(layout: StoreLayout) -> tuple[Step, ...]:
    """What happens before words are read."""
    return tuple(Step(visit=number) for number, visit in enumerate(layout.passes) if visit.kind == "reload")


def _hits_of_all(layout: StoreLayout, hits: Sequence[tuple[int, ...]]) -> list[CellOf]:
    """The same hit on every word of a shape."""
    return [(word, cell) for word, k in enumerate(layout.shape_of.tolist()) for cell in hits[k]]


def _without_reload(guard: Protection, space: BitSpace) -> Protection:
    """What is read before a word that is known to be wrong has been loaded again."""
    if isinstance(guard, Joined):
        return replace(guard, parts=tuple(_without_reload(part, space) for part in guard.parts))
    if isinstance(guard, CodedWords) and guard.on_detected == "reload":
        return protection(replace(guard.stated, on_detected="keep"), space)
    return guard


def _read(
    layout: StoreLayout, guard: Protection, space: BitSpace, cells: Sequence[CellOf], age_seconds: float
) -> Words:
    """The words of the tensor after hits on cells, all of that age."""
    first = layout.first(space)
    planes: dict[int, set[int]] = defaultdict(set)
    places = [[(cell.plane, cell.offset) for cell in shape.cells] for shape in layout.shapes]
    for word, number in cells:
        plane, offset = places[layout.shape_of[word]][number]
        planes[plane].add(first[word] + offset)
    draws = {plane: draw_of(np.array(sorted(hits), np.int64)) for plane, hits in planes.items()}
    nothing = draw_of(np.zeros(0, np.int64))
    upsets = Upsets(
        space,
        draws.get(0, nothing),
        lambda plane: draws.get(plane, nothing),
        age_seconds,
        lambda plane, n: np.ones(n),
    )
    return _words(layout, guard.residual(upsets), space)


def _words(layout: StoreLayout, faults: FaultSet, space: BitSpace) -> Words:
    words: Words = layout.tensor.words.copy()
    for patch in faults.patches(space):
        if patch.tensor == layout.number:
            words[patch.elements] = patch.words
    return words


def _trial(layout: StoreLayout, guard: Protection, space: BitSpace, upsets: Upsets) -> Script:
    words, cells, intervals = _hits(layout, guard, space, upsets)
    oldest = np.lexsort([-own for own in intervals[::-1]]) if intervals else np.arange(words.size)
    events = list(zip(words[oldest].tolist(), cells[oldest].tolist(), strict=True))
    steps, start = [], 0
    for place, number in _scrubs(layout, [own[oldest] for own in intervals]):
        steps += [Step(tuple(events[start:place])), Step(visit=number)]
        start = place
    steps += [Step(tuple(events[start:])), *_last(layout)]
    return Script(
        tuple(step for step in steps if step.hits or step.visit is not None),
        _words(layout, guard.residual(upsets), space),
    )


def _scrubs(layout: StoreLayout, intervals: Sequence[Bits]) -> Iterator[tuple[int, int]]:
    """The scrubs in the order of time that leave anything else than those before: how many events came before, and the
    number of the pass. intervals: of the events, oldest first, before the last scrub of each scrubbing pass."""
    own = dict(zip((i for i, visit in enumerate(layout.passes) if visit.kind == "scrub"), intervals, strict=True))
    reads_others = any(visit.of_check and visit.scrubbing.keeps_errors for visit in layout.passes)
    times = []
    for number, of_events in own.items():
        scrubbing = layout.passes[number].scrubbing
        assert scrubbing.seconds is not None
        # What a scrub from a good copy leaves does not depend on those before it; what a check reads meanwhile does.
        n_scrubs = int(of_events.max(initial=0)) if scrubbing.keeps_errors or reads_others else 1
        times += [(-interval * scrubbing.seconds, number, interval) for interval in range(1, n_scrubs + 1)]
    n_done, seen = 0, dict.fromkeys(own, (0, 0))
    for _, number, interval in sorted(times):
        place = int((own[number] >= interval).sum())
        if (place, n_done) != seen[number] and place:
            yield place, number
            n_done += reads_others and len(own) > 1
            seen[number] = (place, n_done)


def _hits(layout: StoreLayout, guard: Protection, space: BitSpace, upsets: Upsets) -> tuple[Bits, Bits, list[Bits]]:
    """Word and cell of every hit on the store, and its interval before the last scrub of each scrubbing pass."""
    first = layout.first(space)
    triples: dict[tuple[int, int], CellOf] = {}
    codes: dict[tuple[int, int], list[CellOf]] = defaultdict(list)
    for word, k in enumerate(layout.shape_of.tolist()):
        shape, start = layout.shapes[k], first[word]
        voted = {bit for cover in shape.covers if cover.kind == "tmr" for bit in cover.bits}
        for cover in shape.covers:
            for number in shape.extra_of(cover):
                cell = shape.cells[number]
                place = (cell.plane, start + cell.offset)
                if cover.kind == "tmr":
                    triples[place] = (word, number)
                else:
                    codes[place].append((word, number))
        for bit in range(shape.width):
            if bit in voted:
                triples[0, start + bit] = (word, bit)
            else:
                codes[0, start + bit].append((word, bit))
    parts = guard.parts if isinstance(guard, Joined) else (guard,)
    rows: list[tuple[int, int, int, int]] = []
    for part in parts:
        if isinstance(part, TMR):
            hits = upsets.hits_on(part.bits.bits, 3)
            for bit, copy, event, plane in zip(hits.bit, hits.copy, hits.event, hits.plane, strict=True):
                if (int(copy), int(bit)) in triples:
                    rows.append((*triples[int(copy), int(bit)], int(plane), int(event)))
    for plane in range(max((plane for plane, _ in codes), default=0) + 1):
        for bit, event in zip(*upsets.plane(plane).cells, strict=True):
            rows += [(*cell, plane, int(event)) for cell in codes.get((plane, int(bit)), ())]
    table = np.array(rows, np.int64).reshape(-1, 4)
    bits = np.array(first, np.int64)[table[:, 0]]
    scrubs = [visit.scrubbing for visit in layout.passes if visit.kind == "scrub"]
    intervals = [upsets.intervals(bits, table[:, 2], table[:, 3], scrubbing) for scrubbing in scrubs]
    return table[:, 0], table[:, 1], intervals
