"""Parity and SECDED: a code over the covered bits of each word, its check bits hit like all others."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from fkeras.errors import Argument, InputError
from fkeras.faults.codes import Decoded, Hsiao, ParityBit, Patterns, count_ones
from fkeras.faults.fault_models import BitErrorRate, Bits, Exposure, FaultModel
from fkeras.faults.fault_set import FaultSet
from fkeras.faults.scrubbing import Scrubbing, ScrubFrom, turns_of
from fkeras.faults.upsets import Upsets
from fkeras.memory import BitSet, BitSpace

OnDetected = Literal["zero", "reload", "keep"]
_DETECTED: dict[str, str] = {
    "zero": "a word found wrong reads 0",
    "reload": "a word found wrong is loaded again",
    "keep": "a word found wrong is used as it is",
}
_MOST_CELLS = 20
"""Patterns of so many cells are counted one by one for the closed form."""


@dataclass(frozen=True, slots=True)
class Parity:
    """A parity bit over the covered bits of each word: an odd number of wrong ones is detected, an even one is not.

    The state judged is that at the end of the exposure, just before a scrub.

    Arguments:
        bits: the covered bits, a `BitSet` or flat indices.
        scrub_interval_seconds: how often the memory is written anew from a good copy, None: never.
        on_detected: what becomes of a word that is known to be wrong (a DUE): "zero", the whole word reads 0 (word
            masking in Reagen et al., Minerva, ISCA 2016); "reload", its covered bits are right again; "keep", it is
            used as it is.
    """

    bits: BitSet
    scrub_interval_seconds: float | None = None
    on_detected: OnDetected = "zero"

    def __post_init__(self) -> None:
        object.__setattr__(self, "bits", BitSet.of(self.bits))
        object.__setattr__(self, "scrub_interval_seconds", Scrubbing(self.scrub_interval_seconds).seconds)
        _check_policy(self.on_detected)

    def on(self, space: BitSpace) -> CodedWords:
        """The protection in this memory. InputError where words read 0 by "zero" that do not mean 0."""
        return CodedWords(self, space, "parity", ParityBit, Scrubbing(self.scrub_interval_seconds))


@dataclass(frozen=True, slots=True)
class SECDED:
    """Single error correction, double error detection over the covered bits of each word (Hsiao's code).

    One wrong cell, check bits included, is mended when the word is read. Two are detected; three may be taken for one
    and mended wrongly, as the decoder does it. The state judged is that at the end of the exposure, just before a
    scrub.

    Arguments:
        bits: the covered bits, a `BitSet` or flat indices.
        scrub_interval_seconds: how often the memory is written anew, None: never.
        scrub_from: "good copy", or "itself", the decoded word, which leaves detected words as they are and makes
            wrongly mended ones permanent.
        on_detected: as for `Parity`.
    """

    bits: BitSet
    scrub_interval_seconds: float | None = None
    scrub_from: ScrubFrom = "good copy"
    on_detected: OnDetected = "zero"

    def __post_init__(self) -> None:
        object.__setattr__(self, "bits", BitSet.of(self.bits))
        scrubbing = Scrubbing(self.scrub_interval_seconds, self.scrub_from)
        object.__setattr__(self, "scrub_interval_seconds", scrubbing.seconds)
        _check_policy(self.on_detected)

    def on(self, space: BitSpace) -> CodedWords:
        """The protection in this memory. InputError where words read 0 by "zero" that do not mean 0."""
        scrubbing = Scrubbing(self.scrub_interval_seconds, self.scrub_from)
        return CodedWords(self, space, "SECDED", Hsiao, scrubbing)


def _check_policy(on_detected: object) -> None:
    if on_detected not in get_args(OnDetected):
        allowed = ", ".join(map(repr, get_args(OnDetected)))
        raise InputError(f"on_detected is {on_detected!r}; allowed are {allowed}")


@dataclass(frozen=True, slots=True)
class WordCounts:
    """Expected numbers of words at the end: known to be wrong, and wrong without anybody knowing."""

    detected: float
    silent: float


@dataclass(frozen=True, eq=False)
class CodedWords:
    """Words of a memory under a code over their covered bits; stated: the protection that was asked for.

    Check cell i of a word of w bits is bit i of that word in further arrays laid out like the memory: so its hits are
    the same whatever else is covered.
    """

    stated: Parity | SECDED
    space: BitSpace
    name: str
    code_over: Callable[[int], ParityBit | Hsiao]
    scrubbing: Scrubbing

    @property
    def bits(self) -> BitSet:
        return self.stated.bits

    @property
    def on_detected(self) -> OnDetected:
        """What becomes of a word that is known to be wrong."""
        return self.stated.on_detected

    def __post_init__(self) -> None:
        if self.on_detected != "zero":
            return
        for number in np.unique(self.space.locate(self.bits.bits).tensor).tolist():
            tensor = self.space.arrays[number]
            zeros = np.zeros(tensor.size, np.uint32)
            if (tensor.decode(zeros, np.arange(tensor.size)) != 0).any():
                raise InputError(
                    Argument("on_detected", "zero"),
                    f": a word of zeros in tensor '{tensor.path}' ({tensor.codec}) does not mean 0; write ",
                    Argument("on_detected", "reload"),
                    " or 'keep', or cover other tensors",
                )

    @cached_property
    def _words(self) -> tuple[Bits, Bits, Bits, Bits]:
        """First bit, width and number of covered bits of each word, (n_words,); the word of each covered bit."""
        where = self.space.locate(self.bits.bits)
        first, at, word, n_data = np.unique(
            self.bits.bits - where.bit, return_index=True, return_inverse=True, return_counts=True
        )
        return first, where.width[at], n_data, word

    @cached_property
    def _cells(self) -> Bits:
        """The data cell of each covered bit within its codeword; covered bits are sorted."""
        _, _, n_data, word = self._words
        return np.arange(word.size) - np.repeat(np.cumsum(n_data) - n_data, n_data)

    @cached_property
    def _n_check(self) -> Bits:
        """Check bits of each word."""
        return np.array([self._codes[n].n_check for n in self._words[2].tolist()], np.int64)

    @cached_property
    def _codes(self) -> dict[int, ParityBit | Hsiao]:
        """The codes by number of data bits."""
        return {n: self.code_over(n) for n in np.unique(self._words[2]).tolist()}

    @property
    def extra_bits(self) -> int:
        return int(self._n_check.sum())

    @property
    def is_perfect(self) -> bool:
        return not len(self.bits)

    def overhead(self, n_bits: int) -> float:
        """Extra bits as a share of the unprotected memory."""
        return self.extra_bits / n_bits if n_bits else 0.0

    def describe(self, n_bits: int) -> str:
        n_words = self._n_check.size
        return (
            f"{self.bits.label or 'bits'}: {len(self.bits):,} bits of {n_words:,} words under {self.name}, "
            f"{self.extra_bits:,} extra bits (overhead {self.overhead(n_bits):.1%}), hit like the others, "
            f"{self.scrubbing}, {_DETECTED[self.on_detected]}{self.bits.origin_text}"
        )

    def residual(self, upsets: Upsets) -> FaultSet:
        outside = upsets.faults.without(self.bits)
        if len(outside.in_samples) < len(upsets.faults.in_samples):
            raise InputError(
                f"{self.name} of bits that flip for one inference is not modelled; cover them with fkeras.TMR or "
                "fkeras.AssumedImmune, and other bits with the code"
            )
        silent, detected = self._decoded(self._patterns(upsets))
        first, width, _, _ = self._words
        zeroed = np.zeros(0, np.int64)
        if self.on_detected == "zero" and detected.size:
            zeroed = np.concatenate(
                [np.arange(f, f + w) for f, w in zip(first[detected], width[detected], strict=True)]
            )
        flips = np.setdiff1d(np.union1d(outside.flips, silent), zeroed)
        ones = np.setdiff1d(outside.set_to_1, zeroed)
        return FaultSet(flips, ones, np.union1d(outside.set_to_0, zeroed), outside.layout_digest, outside.in_samples)

    def counts(self, upsets: Upsets) -> tuple[int, int]:
        """In one trial: words known to be wrong, and words wrong without anybody knowing."""
        patterns = self._patterns(upsets)
        _, detected = self._decoded(patterns)
        n_silent = sum(
            int(((decoded.patterns != 0) & ~decoded.detected & _any_data(decoded.patterns, n_data)).sum())
            for n_data, _, decoded in self._decode_all(patterns)
        )
        return int(detected.size), n_silent

    def _hits(self, upsets: Upsets) -> tuple[Bits, Bits, Bits, Bits]:
        """Word, cell, plane and event of every hit on a data or check cell, (n,) each."""
        first, width, n_data, word_of = self._words
        covered = self.bits.bits
        data = upsets.hits_on(covered, 1)
        at = np.searchsorted(covered, data.bit)
        words, cells, events, planes = [word_of[at]], [self._cells[at]], [data.event], [data.plane]
        n_planes = int(np.max(-(-self._n_check // width), initial=0)) if upsets.further is not None else 0
        for plane in range(1, n_planes + 1):
            hit, event = upsets.plane(plane).cells
            word = np.maximum(np.searchsorted(first, hit, side="right") - 1, 0)
            check = hit - first[word] + (plane - 1) * width[word]
            on = (hit >= first[word]) & (hit < first[word] + width[word]) & (check < self._n_check[word])
            words.append(word[on])
            cells.append((n_data[word] + check)[on])
            events.append(event[on])
            planes.append(np.full(int(on.sum()), plane))
        return np.concatenate(words), np.concatenate(cells), np.concatenate(planes), np.concatenate(events)

    def _patterns(self, upsets: Upsets) -> Patterns:
        """What is wrong in each codeword before it is read at the end, (n_words,)."""
        state = np.zeros(self._n_check.size, np.uint64)
        word, cell, plane, event = self._hits(upsets)
        interval = upsets.intervals(self._words[0][word], plane, event, self.scrubbing)
        if not word.size:
            return state
        flips = np.uint64(1) << cell.astype(np.uint64)
        if not self.scrubbing.keeps_errors:
            last = interval == 0
            np.bitwise_xor.at(state, word[last], flips[last])
            return state
        for n_before in range(int((turns := turns_of(word, interval)).max()) + 1):
            now = turns == n_before
            np.bitwise_xor.at(state, word[now], flips[now])
            for _, rows, decoded in self._decode_all(state):
                state[rows] = decoded.patterns
        return state

    def _decode_all(self, patterns: Patterns) -> list[tuple[int, Bits, Decoded]]:
        """The words with something wrong, by number of data bits: their numbers, and what is decoded."""
        _, _, n_data, _ = self._words
        wrong = np.flatnonzero(patterns)
        groups = []
        for n in np.unique(n_data[wrong]).tolist():
            rows = wrong[n_data[wrong] == n]
            groups.append((n, rows, self._codes[n].decode(patterns[rows])))
        return groups

    def _decoded(self, patterns: Patterns) -> tuple[Bits, Bits]:
        """The covered bits that are read wrongly, and the numbers of the words that are known to be wrong."""
        _, _, n_data, _ = self._words
        start = np.cumsum(n_data) - n_data
        bits, known = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
        for n, rows, decoded in self._decode_all(patterns):
            known.append(rows[decoded.detected])
            patterns_read = (
                decoded.patterns if self.on_detected == "keep" else np.where(decoded.detected, 0, decoded.patterns)
            )
            for cell in range(n):
                bits.append(self.bits.bits[start[rows[(patterns_read >> np.uint64(cell) & np.uint64(1)) == 1]] + cell])
        return np.sort(np.concatenate(bits)), np.concatenate(known)

    def expected_words(self, model: FaultModel, n_bits: int) -> WordCounts | None:
        """How many words are wrong at the end, on average; exact, by counting patterns.

        None for a model whose cells are not independent, for long words, and where scrubbing keeps errors.
        """
        if not isinstance(model, BitErrorRate | Exposure) or self.scrubbing.keeps_errors:
            return None
        p = model.flip_probability(n_bits, self.scrubbing.shares(model.exposure_seconds)[0])
        detected = silent = 0.0
        for n, n_words in zip(*np.unique(self._words[2], return_counts=True), strict=True):
            code = self._codes[int(n)]
            n_cells = int(n) + code.n_check
            if n_cells > _MOST_CELLS:
                return None
            patterns = np.arange(2**n_cells, dtype=np.uint64)
            weight = count_ones(patterns)
            chance = p**weight * (1 - p) ** (n_cells - weight)
            decoded = code.decode(patterns)
            detected += n_words * float(chance[decoded.detected].sum())
            silent += n_words * float(chance[~decoded.detected & _any_data(decoded.patterns, int(n))].sum())
        return WordCounts(detected, silent)


def _any_data(patterns: Patterns, n_data: int) -> NDArray[np.bool_]:
    wrong: NDArray[np.bool_] = (patterns & np.uint64((1 << n_data) - 1)) != 0
    return wrong
