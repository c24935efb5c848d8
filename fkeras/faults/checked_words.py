"""A memory whose words are read through a decoder that knows what may be stored, tensor by tensor."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from fkeras.errors import Argument, InputError, Name
from fkeras.faults.fault_models import Bits, odd_ones
from fkeras.faults.fault_set import FaultSet
from fkeras.faults.protections import Protection
from fkeras.faults.readings import Reading
from fkeras.faults.scrubbing import turns_of
from fkeras.faults.upsets import Upsets
from fkeras.memory import BitSet, BitSpace, TensorLayout
from fkeras.memory.layout import Words

if TYPE_CHECKING:
    from fkeras.faults.word_checks import WordCheck

FIRST_PLANE = 4
"""The further array in which stored tables begin: those before hold copies and check bits."""


@dataclass(frozen=True, eq=False)
class CheckedWords:
    """The words of a memory behind decoders.

    stated: the check that was asked for; readings: of each tensor; beside: what mends other cells, which the check's
    scrubber reads and leaves alone.
    """

    stated: WordCheck
    space: BitSpace
    readings: tuple[Reading, ...]
    beside: tuple[Protection, ...] = ()

    def __post_init__(self) -> None:
        for number, (tensor, reading) in enumerate(zip(self.space.tensors, self.readings, strict=True)):
            every = np.arange(tensor.size)
            patterns, has_pattern = reading.encode(tensor.words, every)
            wrong = ~has_pattern | (reading.decode(patterns, every) != tensor.words)
            if wrong.any():
                first = int(np.flatnonzero(wrong)[0])
                address = self.space.address(int(self.space.offsets[number] + tensor.layout.first(first)))
                value = tensor.decode(tensor.words[first : first + 1], every[first : first + 1])[0]
                raise InputError(
                    f"{self.stated!r}: {int(wrong.sum()):,} of {tensor.size:,} words of tensor '{tensor.path}' are not "
                    f"known to it, the first is {str(address).rpartition(':')[0]}, whose value is {value:g}; make it "
                    "from these weights too, as in ", Argument("of", Name("[first, second]")), ", give a larger ",
                    Argument("margin"), ", or leave out ", Argument("of")
                )  # fmt: skip

    @cached_property
    def bits(self) -> BitSet:
        """The bits of the tensors where a decoder changes anything."""
        offsets = self.space.offsets
        parts = [np.arange(offsets[number], offsets[number + 1]) for number in self._checked]
        bits = np.concatenate([np.zeros(0, np.int64), *parts])
        return BitSet(bits, self.space.layout_digest, "all words" if len(bits) == len(self.space) else "")

    @cached_property
    def _checked(self) -> list[int]:
        return [number for number, reading in enumerate(self.readings) if not reading.is_plain]

    @property
    def name(self) -> str:
        return self.stated.name

    @property
    def is_perfect(self) -> bool:
        return not len(self.bits)

    @property
    def constant_bits(self) -> int:
        """Bits of the limits and tables, wherever they are kept."""
        return sum(int(self.readings[number].constant_widths.sum()) for number in self._checked)

    @property
    def extra_bits(self) -> int:
        return self.constant_bits if self.stated.stored else 0

    @cached_property
    def cells(self) -> BitSpace:
        """The memory as its cells hold it."""
        pairs = zip(self.space.tensors, self.readings, strict=True)
        tensors = tuple(replace(tensor, words=reading.patterns) for tensor, reading in pairs)
        return BitSpace(tensors, registers=self.space.registers)

    def residual(self, upsets: Upsets) -> FaultSet:
        return self.read(self.wrong_cells(upsets), upsets)

    def read(self, cells: FaultSet, upsets: Upsets) -> FaultSet:
        """What the network computes with where these faults are in the cells."""
        readings = self._hit(upsets) if self.stated.stored else self.readings
        patches = {patch.tensor: patch for patch in cells.patches(self.cells)}
        flips = [np.zeros(0, np.int64)]
        for number, (tensor, reading) in enumerate(zip(self.space.tensors, readings, strict=True)):
            patch = patches.get(number)
            if reading is not self.readings[number]:  # a table that was hit reads words wrongly that were not
                elements, patterns = np.arange(tensor.size), reading.patterns.copy()
                if patch is not None:
                    patterns[patch.elements] = patch.words
            elif patch is not None:
                elements, patterns = patch.elements, patch.words
            else:
                continue
            differ = reading.decode(patterns, elements) ^ tensor.words[elements]
            flips.append(self.bits_of(number, elements, differ))
        stored = FaultSet(np.concatenate(flips), layout_digest=self.space.layout_digest)
        if not self.space.registers:
            return stored
        beside = cells.without(BitSet(np.arange(self.space.offsets[len(self.space.tensors)])))
        return replace(beside, flips=np.union1d(stored.flips, beside.flips))

    def wrong_cells(self, upsets: Upsets) -> FaultSet:
        """The faults in the cells at the end, before anything else mends them."""
        faults, scrubbing = upsets.faults, self.stated.scrubbing
        if scrubbing.seconds is None:
            return faults
        if faults.n_stuck:
            upsets.hits_on(np.flatnonzero(self._is_written), 1)  # refuses them
        hit, event = upsets.plane(0).cells
        bit, event = hit[self._is_written[hit]], event[self._is_written[hit]]
        interval = upsets.intervals(bit, np.zeros(bit.size, np.int64), event, scrubbing)
        flips = self._written_back(upsets, bit, interval) if scrubbing.keeps_errors else odd_ones(bit[interval == 0])
        return replace(faults, flips=np.union1d(faults.flips[~self._is_written[faults.flips]], flips))

    @cached_property
    def _is_written(self) -> NDArray[np.bool_]:
        """Whether the check's scrubber writes each cell, (n_bits,)."""
        written = np.zeros(len(self.space), np.bool_)
        written[self.bits.bits] = True
        for part in self.beside:
            written[part.bits.bits] = False
        return written

    @cached_property
    def _written_masks(self) -> list[Words]:
        """Of each tensor, the cells of each word that the check's scrubber writes, (size,)."""
        parts = np.split(self._is_written, self.space.offsets[1:-1])
        return [tensor.layout.words(part) for tensor, part in zip(self.space.tensors, parts, strict=False)]

    def _covered(self, upsets: Upsets) -> tuple[Bits, Bits]:
        """The cells of others that turn wrong, or right again, and the interval before whose scrub they do."""
        beside = [part for part in self.beside if not part.is_perfect]
        if not beside:
            return np.zeros(0, np.int64), np.zeros(0, np.int64)
        scrubbing, word_of = self.stated.scrubbing, self._first_bits
        hits = upsets.hits_on(np.sort(np.concatenate([part.bits.bits for part in beside])), 3)
        on_cells = [(hits.bit, hits.plane, hits.event)]
        for plane in range(1, FIRST_PLANE):
            bit, event = upsets.plane(plane).cells
            on_cells.append((bit, np.full(event.size, plane), event))
        bit, plane_of, event = (np.concatenate(column) for column in zip(*on_cells, strict=True))
        ages = upsets.ages_of(plane_of, event, scrubbing)
        # A word changes by an event, and by the first scrub of its own after it.
        moments = [scrubbing.interval_of(ages)]
        for part in beside:
            own = getattr(part, "scrubbing", None)
            if own is not None and own.seconds is not None:
                scrubbed = scrubbing.interval_of(own.interval_of(ages) * own.seconds)
                moments += [scrubbed, scrubbed - 1]  # one at the same time comes after what is written back
        changes = np.stack([np.tile(word_of[bit], len(moments)), np.concatenate(moments)])
        word, interval = np.unique(changes[:, changes[1] >= 1], axis=1)
        turn = turns_of(word, interval)
        # Each word is seen at a moment of its own, all of them together, as often as any of them changes.
        latest = np.full(len(self.space), interval.max(initial=0) + 1)
        bits, intervals = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
        wrong = bits[0]
        for now in range(int(turn.max(initial=-1)) + 1):
            latest[word[turn == now]] = interval[turn == now]
            scrubs = latest[word_of]
            earlier = upsets.before(scrubs, scrubbing)
            read = np.concatenate([np.intersect1d(part.residual(earlier).flips, part.bits.bits) for part in beside])
            changed = np.setxor1d(wrong, read)
            bits.append(changed)
            intervals.append(scrubs[changed])
            wrong = read
        return np.concatenate(bits), np.concatenate(intervals)

    @cached_property
    def _first_bits(self) -> Bits:
        """The first bit of the word of each bit, (n_bits,)."""
        return np.arange(len(self.space)) - self.space.bit_positions

    def _written_back(self, upsets: Upsets, bit: Bits, interval: Bits) -> Bits:
        """The cells that are wrong at the end where what is read is written back after every interval."""
        bit, interval = (np.concatenate(pair) for pair in zip((bit, interval), self._covered(upsets), strict=True))
        where = self.space.locate(bit)
        word, nth = np.unique(bit - where.bit, return_inverse=True)
        first = self.space.locate(word)
        flip = where.mask
        turn, wrong = turns_of(nth, interval), np.zeros(word.size, np.uint32)
        n_turns = int(turn.max(initial=-1)) + 1
        intervals = np.zeros((word.size, n_turns + 1), np.int64)
        intervals[nth, turn] = interval
        for now in range(n_turns):
            np.bitwise_xor.at(wrong, nth[turn == now], flip[turn == now])
            scrubs = intervals[:, now] - intervals[:, now + 1]
            # Where only some cells of a word are written, what is written need not be what the next scrub writes.
            while (due := np.flatnonzero(scrubs)).size:
                before = wrong[due]
                for number in np.unique(first.tensor[due]).tolist():
                    mine = due[first.tensor[due] == number]
                    reading, elements = self.readings[number], first.element[mine]
                    right = reading.patterns[elements]
                    written, has_pattern = reading.encode(reading.decode(right ^ wrong[mine], elements), elements)
                    mask = np.where(has_pattern, self._written_masks[number][elements], np.uint32(0))
                    wrong[mine] = ((written ^ right) & mask) | (wrong[mine] & ~mask)
                scrubs[due] = np.where(wrong[due] == before, 0, scrubs[due] - 1)
        flips = [np.zeros(0, np.int64)]
        for number in np.unique(first.tensor).tolist():
            mine = first.tensor == number
            own = wrong[mine] & self._written_masks[number][first.element[mine]]
            flips.append(self.bits_of(number, first.element[mine], own))
        return np.sort(np.concatenate(flips))

    def bits_of(self, number: int, elements: Bits, words: Words) -> Bits:
        """The flat indices of the bits that are set in `words`, each in the place of an element."""
        layout = self.space.tensors[number].layout
        places = np.arange(layout.widest - 1, -1, -1, dtype=np.uint32)
        row, nth = np.nonzero((words[:, None] >> places) & np.uint32(1))
        bit = nth + layout.widths[elements[row]] - layout.widest
        flat: Bits = self.space.offsets[number] + layout.first(elements[row]) + bit
        return flat

    def _hit(self, upsets: Upsets) -> tuple[Reading, ...]:
        """The decoders as upsets have left their stored constants."""
        n_cells, n_bits = self.constant_bits, len(self.space)
        wrong = np.zeros(n_cells, np.bool_)
        for i in range(-(-n_cells // max(1, n_bits)) if upsets.further is not None else 0):
            hit, event = upsets.plane(FIRST_PLANE + i).cells
            interval = upsets.intervals(hit, np.full(hit.size, FIRST_PLANE + i), event, self.stated.scrubbing)
            cell = odd_ones(hit[interval == 0]) + i * n_bits
            wrong[cell[cell < n_cells]] = True
        readings, start = list(self.readings), 0
        for number in self._checked:
            reading = self.readings[number]
            layout = TensorLayout("", reading.constants.shape, reading.constant_widths)
            part = wrong[start : start + layout.n_bits]
            start += part.size
            if part.any():
                readings[number] = reading.with_constants(reading.constants ^ layout.words(part))
        return tuple(readings)

    @property
    def short(self) -> str:
        """A word for tables."""
        return repr(self.stated)

    def describe(self, n_bits: int) -> str:
        stated, checked = self.stated, [self.space.tensors[number] for number in self._checked]
        n_words, n_decoders = sum(t.size - t.layout.n_empty for t in checked), sum(len(t.parts) for t in checked)
        registers = self.space.registers if isinstance(getattr(stated, "outside", None), str) else ()
        of = "weights" if self.space.tensors else "data"
        origin = f"these {of}" if stated.of is None else f"{len(stated.memories)} memories, frozen"
        bits = self.constant_bits
        cost = (
            f"{bits:,} extra bits of limits and tables (overhead {bits / max(1, n_bits):.1%}), hit like the others"
            if stated.stored
            else f"no extra bit, {bits:,} bits of limits and tables as constants of the logic"
        )
        in_use = (f"{tensor.path} {tensor.n_in_use:,} of {tensor.n_possible:,}" for tensor in checked)
        plain = [tensor.path for tensor in self.space.tensors if tensor not in checked]
        parts = [f"{stated.name} of {origin}: {stated.rule}"]
        parts += [f"words in use: {', '.join(in_use)}"] if checked else []
        parts += [f"nothing to gain in {', '.join(plain)}, all of whose words are in use"] if plain else []
        parts += [cost]
        if checked:
            port = "a port per tensor" + " and format" * (n_decoders > len(checked))
            ports = f"{n_decoders} with {port}, {n_words:,} with all words in parallel"
            parts += [f"a decoder per read port: {ports}"]
        if registers:
            n = sum(register.size for register in registers)
            parts += [f"of {len(registers)} registers two comparators per read port, {n:,} with all words in parallel"]
        return "; ".join((*parts, str(stated.scrubbing)))
