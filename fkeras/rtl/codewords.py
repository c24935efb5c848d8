"""What stands for one stored word in silicon: its cells, what mends them, and how they are read."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from math import ceil
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from fkeras.errors import Argument, InputError, Name
from fkeras.faults import TMR, AssumedImmune, BlindScrubbing, Parity, Protection
from fkeras.faults.checked_words import CheckedWords
from fkeras.faults.codes import Hsiao, ParityBit
from fkeras.faults.joined import Joined
from fkeras.faults.readings import MixedReading, Outside, RangeReading, Reading, TableReading, nearest
from fkeras.faults.scrubbing import Scrubbing
from fkeras.faults.word_codes import CodedWords
from fkeras.memory import BitSpace, FixedPoint, WordTensor
from fkeras.memory.tensor import Part

Kind = Literal["tmr", "secded", "parity", "blind scrubbing"]
WIDEST_TABLE = 12
"""Readings of wider words that no comparator does would be case statements of more entries than tools like."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One stored bit. plane, offset: its place in the library's arrays, seen from the word's first bit; data: the bits
    of the word whose parity it holds."""

    plane: int
    offset: int
    data: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Cover:
    """What covers some bits of a word: part: which protection of the memory; bits: of the word, 0 the highest."""

    part: int
    kind: Kind
    bits: tuple[int, ...]
    zeroes: bool = False

    @property
    def has_code(self) -> bool:
        """Whether a word may be known to be wrong."""
        return self.kind in ("secded", "parity")

    @property
    def code(self) -> ParityBit | Hsiao:
        """The code over the bits."""
        return ParityBit(len(self.bits)) if self.kind == "parity" else Hsiao(len(self.bits))

    def extra(self, width: int) -> tuple[Cell, ...]:
        """The cells that it adds."""
        if self.kind == "blind scrubbing":
            return ()
        if self.kind == "tmr":
            return tuple(Cell(copy, bit, (bit,)) for copy in (1, 2) for bit in self.bits)
        code = self.code
        columns = np.ones(len(self.bits), np.int64) if isinstance(code, ParityBit) else code.columns
        return tuple(
            Cell(
                1 + i // width,
                i % width,
                tuple(b for b, column in zip(self.bits, columns, strict=False) if column >> i & 1),
            )
            for i in range(code.n_check)
        )


@dataclass(frozen=True, slots=True)
class Comparators:
    """Two limits, as words of fixed point; instead: the word that one outside reads as where no bit brings it back."""

    width: int
    signed: bool
    low: int
    high: int
    outside: Outside
    instead: int

    def knows(self, pattern: int) -> bool:
        """Whether a pattern may be stored."""
        low, value, high = (
            word - (self.signed << self.width if word >> (self.width - 1) else 0)
            for word in (self.low, pattern, self.high)
        )
        return low <= value <= high


@dataclass(frozen=True, slots=True)
class Table:
    """By pattern: the word that it reads as, and the pattern that is written back; placed: by word, the pattern that is
    stored, -1 for none."""

    width: int
    words: tuple[int, ...]
    back: tuple[int, ...]
    placed: tuple[int, ...]

    def knows(self, pattern: int) -> bool:
        """Whether a pattern may be stored."""
        return self.placed[self.words[pattern]] == pattern

    @property
    def patterns(self) -> tuple[int, ...]:
        """By word, what is stored for it; 0 for words that never are."""
        return tuple(max(0, pattern) for pattern in self.placed)

    @property
    def is_recoded(self) -> bool:
        """Whether any word is stored as another pattern than its own."""
        return any(pattern not in (-1, word) for word, pattern in enumerate(self.placed))


Reader = Comparators | Table


@dataclass(frozen=True, slots=True)
class Shape:
    """How a word is stored and read: the same for many words."""

    width: int
    covers: tuple[Cover, ...] = ()
    reader: Reader | None = None
    """How what is mended is read; None: as it is."""

    @property
    def cells(self) -> tuple[Cell, ...]:
        """The word's own bits, the highest first, then those that its covers add."""
        own = tuple(Cell(0, bit, (bit,)) for bit in range(self.width))
        return own + tuple(cell for cover in self.covers for cell in cover.extra(self.width))

    @property
    def banks(self) -> tuple[tuple[int, ...], ...]:
        """The cells by numbers, so that no two in one bank always hold the same: synthesis would merge them."""
        banks: list[list[int]] = []
        times: dict[tuple[int, ...], int] = {}
        for number, cell in enumerate(self.cells):
            bank = times[cell.data] = times.get(cell.data, -1) + 1
            banks[bank:] = banks[bank:] or [[]]
            banks[bank].append(number)
        return tuple(map(tuple, banks))

    def extra_of(self, cover: Cover) -> tuple[int, ...]:
        """The numbers of the cells that a cover adds."""
        start = self.width
        for each in self.covers:
            size = len(each.extra(self.width))
            if each is cover:
                return tuple(range(start, start + size))
            start += size
        raise KeyError(cover)

    @property
    def decoded(self) -> tuple[Cover, ...]:
        """The covers that add cells, so that what is read depends on several."""
        return tuple(cover for cover in self.covers if self.extra_of(cover))

    @property
    def groups(self) -> tuple[tuple[int, ...], ...]:
        """The cells that can be wrong together for one decoder: codewords, triples, and words behind a reader."""
        groups: list[tuple[int, ...]] = []
        for cover in self.decoded:
            extra = self.extra_of(cover)
            if cover.kind == "tmr":
                n = len(cover.bits)
                groups += [(bit, extra[i], extra[n + i]) for i, bit in enumerate(cover.bits)]
            else:
                groups.append((*cover.bits, *extra))
        return (*groups, *([tuple(range(self.width))] if self.reader is not None else []))

    def counted(self, stored: Sequence[int], hit: Collection[int]) -> tuple[bool, bool]:
        """Whether a pass finds a word wrong and mends it, and wrong for good. stored: in its cells before any hit."""
        wrong = [int(cell in hit) for cell in range(len(self.cells))]
        corrected = detected = False
        for cover in self.decoded:
            places = (*cover.bits, *self.extra_of(cover))
            if cover.kind == "tmr":
                votes = [sum(wrong[place] for place in places[i :: len(cover.bits)]) for i in range(len(cover.bits))]
                mended = [int(vote > 1) for vote in votes]
                corrected |= any(0 < vote < 3 for vote in votes)
            else:
                pattern = sum(wrong[place] << i for i, place in enumerate(places))
                decoded = cover.code.decode(np.array([pattern], np.uint64))
                mended = [int(decoded.patterns[0]) >> i & 1 for i in range(len(cover.bits))]
                corrected |= int(decoded.patterns[0]) != pattern
                detected |= bool(decoded.detected[0])
            for bit, is_wrong in zip(cover.bits, mended, strict=True):
                wrong[bit] = is_wrong
        if self.reader is not None:
            bits = (cell ^ is_wrong for cell, is_wrong in zip(stored[: self.width], wrong, strict=False))
            corrected |= not self.reader.knows(int("".join(map(str, bits)), 2))
        return corrected, detected

    @property
    def hits(self) -> tuple[tuple[int, ...], ...]:
        """Every cell alone, and every pair within a group. Cells of one place in the library are hit together."""
        cells = self.cells
        at: dict[tuple[int, int], list[int]] = {}
        for number, cell in enumerate(cells):
            at.setdefault((cell.plane, cell.offset), []).append(number)
        pairs = {pair for group in self.groups for pair in combinations(sorted(group), 2)}
        several = [*((number,) for number in range(len(cells))), *sorted(pairs)]
        together = (
            tuple(sorted({number for one in hit for number in at[cells[one].plane, cells[one].offset]}))
            for hit in several
        )
        return tuple(dict.fromkeys(together))


NEVER = Scrubbing()


@dataclass(frozen=True, slots=True)
class Pass:
    """What visits every word. kind: "scrub" writes a good copy or itself, "reload" a good copy where a word is known to
    be wrong, "count" nothing; part: whose cells; of_check: those that no cover has."""

    kind: Literal["scrub", "reload", "count"]
    part: int
    scrubbing: Scrubbing = NEVER
    of_check: bool = False

    def cycles(self, clock_hz: float) -> int | None:
        """After how many cycles it begins by itself, None: on request only."""
        return None if self.scrubbing.seconds is None else ceil(self.scrubbing.seconds * clock_hz)

    @property
    def needs_good(self) -> bool:
        """Whether it asks for a good copy."""
        return self.kind == "reload" or (self.kind == "scrub" and not self.scrubbing.keeps_errors)


@dataclass(frozen=True, eq=False)
class StoreLayout:
    """One tensor's words in silicon. number: of the tensor; shape_of: of each word, (size,), one without cells where it
    has no bits."""

    number: int
    tensor: WordTensor
    shapes: tuple[Shape, ...]
    shape_of: NDArray[np.int64]
    passes: tuple[Pass, ...]

    @cached_property
    def n_cells(self) -> int:
        """Stored bits."""
        return int(np.array([len(shape.cells) for shape in self.shapes], np.int64)[self.shape_of].sum())

    def first(self, space: BitSpace) -> list[int]:
        """The flat index of the first bit of each word."""
        first: list[int] = (space.offsets[self.number] + self.tensor.layout.first(np.arange(self.tensor.size))).tolist()
        return first

    @property
    def needs_cells(self) -> bool:
        """Whether a pass writes what a word's own cells say."""
        return any(visit.kind == "scrub" and not visit.needs_good for visit in self.passes)

    @property
    def is_checked(self) -> bool:
        """Whether a pass may find a word wrong."""
        return bool(self.passes) and any(shape.decoded or shape.reader is not None for shape in self.shapes)

    @property
    def coded_parts(self) -> tuple[int, ...]:
        """The parts whose words may be known to be wrong."""
        return tuple(sorted({cover.part for shape in self.shapes for cover in shape.covers if cover.has_code}))

    def written(self, shape: Shape, visit: Pass) -> tuple[int, ...]:
        """The cells of a word that a pass may write."""
        if visit.of_check:
            covered = {bit for cover in shape.covers for bit in cover.bits}
            return tuple(bit for bit in range(shape.width) if bit not in covered)
        covers = [cover for cover in shape.covers if cover.part == visit.part]
        return tuple(cell for cover in covers for cell in (*cover.bits, *shape.extra_of(cover)))

    def coded(self, words: NDArray[np.uint32]) -> list[list[int]]:
        """What the cells of each word hold, a list of 0 and 1 each."""
        rows = []
        for word, number in zip(words.tolist(), self.shape_of.tolist(), strict=True):
            shape = self.shapes[number]
            pattern = shape.reader.placed[word] if isinstance(shape.reader, Table) else word
            bits = [pattern >> (shape.width - 1 - bit) & 1 for bit in range(shape.width)]
            rows.append([sum(bits[bit] for bit in cell.data) & 1 for cell in shape.cells])
        return rows


def layouts(guard: Protection, space: BitSpace) -> tuple[StoreLayout, ...]:
    """The store of each tensor under a protection. InputError for one that is nothing to build."""
    parts = guard.parts if isinstance(guard, Joined) else (guard,)
    for part in parts:
        _require_buildable(part)
    return tuple(_layout(parts, space, number) for number, tensor in enumerate(space.tensors) if tensor.n_bits)


def _require_buildable(part: Protection) -> None:
    if isinstance(part, AssumedImmune) and len(part.bits):
        raise InputError(
            f"{len(part.bits):,} bits are assumed immune, which says that they never fail and not by what; write ",
            Argument("under", Name("fkeras.TMR")), ", or SECDED or Parity"
        )  # fmt: skip
    if isinstance(part, CheckedWords) and part.stated.stored:
        raise InputError(
            "limits and tables in cells (stored=True) are not written as RTL: keep them in logic (stored=False)"
        )
    if not isinstance(part, AssumedImmune | TMR | CodedWords | CheckedWords | BlindScrubbing):
        raise InputError(
            f"{part.name}: {type(part).__name__} is not known as RTL; allowed are TMR, SECDED, Parity, BlindScrubbing, "
            "RangeCheck, KnownWords, Recoded and lists of them"
        )


def _layout(parts: Sequence[Protection], space: BitSpace, number: int) -> StoreLayout:
    tensor, start, stop = space.tensors[number], int(space.offsets[number]), int(space.offsets[number + 1])
    widths = tensor.layout.widths
    columns: list[tuple[int, Kind | Literal["reader"], NDArray[np.int64]]] = []
    passes: list[Pass] = []
    readers: list[Reader | None] = [None]
    for which, part in enumerate(parts):
        if isinstance(part, CheckedWords):
            reading = part.readings[number]
            if reading.is_plain:
                continue
            readers, of_word = _readers(tensor, reading)
            columns.append((which, "reader", of_word))
        elif isinstance(part, TMR | CodedWords | BlindScrubbing):
            covered = part.bits.bits[(part.bits.bits >= start) & (part.bits.bits < stop)] - start
            if not covered.size:
                continue
            masks = np.zeros(tensor.size, np.int64)
            element, bit = tensor.layout.locate(covered)
            np.bitwise_or.at(masks, element, 1 << (widths[element] - 1 - bit))
            columns.append((which, _kind(part), masks))
        else:
            continue
        passes += _passes(which, part)
    passes.sort(key=lambda visit: not visit.of_check)  # what is written back is read before others write at that time
    if columns and not any(visit.kind != "reload" for visit in passes):
        passes.append(Pass("count", -1))
    rows, shape_of = np.unique(
        np.stack([widths, *(column for *_, column in columns)], axis=1), axis=0, return_inverse=True
    )
    shapes = []
    for width, *row in rows.tolist():
        covers: list[Cover] = []
        reader = None
        for (which, what, _), value in zip(columns, row, strict=True):
            if what == "reader":
                reader = readers[value]
            elif value:
                bits = tuple(bit for bit in range(width) if value >> (width - 1 - bit) & 1)
                part = parts[which]
                covers.append(Cover(which, what, bits, isinstance(part, CodedWords) and part.on_detected == "zero"))
        shapes.append(Shape(width, tuple(covers), reader))
    return StoreLayout(number, tensor, tuple(shapes), shape_of.reshape(-1).astype(np.int64), tuple(passes))


def _kind(part: TMR | CodedWords | BlindScrubbing) -> Kind:
    if isinstance(part, CodedWords):
        return "parity" if isinstance(part.stated, Parity) else "secded"
    return "tmr" if isinstance(part, TMR) else "blind scrubbing"


def _passes(which: int, part: TMR | CodedWords | CheckedWords | BlindScrubbing) -> list[Pass]:
    scrubbing = part.stated.scrubbing if isinstance(part, CheckedWords) else part.scrubbing
    passes = [] if scrubbing.seconds is None else [Pass("scrub", which, scrubbing, isinstance(part, CheckedWords))]
    if isinstance(part, CodedWords) and part.on_detected == "reload":
        passes.append(Pass("reload", which))
    return passes


def _readers(tensor: WordTensor, reading: Reading) -> tuple[list[Reader | None], NDArray[np.int64]]:
    """The distinct readers of a tensor, and the one of each word."""
    own = [each for _, each in reading.parts] if isinstance(reading, MixedReading) else [reading]
    readers: list[Reader | None] = [None]
    of_word = np.zeros(tensor.size, np.int64)
    for part, each in zip(tensor.parts, own, strict=True):
        if not each.is_plain:
            more, of_part = _part_readers(part, each)
            of_word[part.elements] = len(readers) + of_part
            readers += more
    return readers, of_word


def _part_readers(part: Part, reading: Reading) -> tuple[list[Reader], NDArray[np.int64]]:
    """The distinct readers of words of one codec, and the one of each."""
    codec = part.codec
    if isinstance(reading, RangeReading) and isinstance(codec, FixedPoint):
        n = reading.constants.size // 2
        readers: list[Reader] = []
        for low, high in zip(reading.constants[:n], reading.constants[n:], strict=True):
            zero = np.zeros(1) if reading.outside == "zero" else np.clip(0.0, *codec.decode(np.array([low, high])))
            instead = int(nearest(codec, np.atleast_1d(zero))[0])
            readers.append(Comparators(codec.width, codec.signed, int(low), int(high), reading.outside, instead))
        return readers, reading.channel
    if codec.width > WIDEST_TABLE:
        raise InputError(
            f"tensor '{part.tensor.path}': a decode table of {codec.width}-bit words has {1 << codec.width:,} entries; "
            f"RTL is written for tables of words of up to {WIDEST_TABLE} bits: use fkeras.RangeCheck"
        )
    every = np.arange(1 << codec.width, dtype=np.uint32)
    if isinstance(reading, TableReading):
        first = np.zeros(1, np.int64)
        of_word = np.zeros(part.tensor.size, np.int64)
    else:
        assert isinstance(reading, RangeReading)
        _, first, of_word = np.unique(reading.channel, return_index=True, return_inverse=True)
    tables: list[Reader] = []
    for element in first.tolist():
        at = np.full(every.size, element)
        words = reading.decode(every, at)
        patterns, has_pattern = reading.encode(words, at)
        of_words, is_placed = reading.encode(every, at)
        placed = np.where(is_placed, of_words.astype(np.int64), -1)
        back = np.where(has_pattern, patterns, every)
        tables.append(Table(codec.width, tuple(words.tolist()), tuple(back.tolist()), tuple(placed.tolist())))
    return tables, of_word.astype(np.int64)
