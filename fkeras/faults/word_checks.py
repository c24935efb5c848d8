"""What a weight memory can know by itself: the range of its words, and which words it never stores."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import partial
from typing import Protocol, TypeVar, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fkeras.errors import Argument, InputError, is_number, one_of, whole
from fkeras.faults.checked_words import CheckedWords
from fkeras.faults.posterior import Weights, decoding
from fkeras.faults.readings import (
    MixedReading,
    Outside,
    Per,
    RangeReading,
    Reading,
    TableReading,
    channels,
    nearest,
    plain_reading,
    require_table,
    steps_away,
)
from fkeras.faults.scrubbing import Scrubbing, ScrubFrom
from fkeras.faults.stream import whole_seed
from fkeras.memory import BitSpace, Codec, MixedFixedPoint, Register, WordTensor
from fkeras.memory.codecs import bounded
from fkeras.memory.layout import Words
from fkeras.memory.register import Limits
from fkeras.memory.tensor import Part


class Scored(Protocol):
    """A ranking: a score for each bit."""

    @property
    def scores(self) -> NDArray[np.float64]:
        """By flat index, (n_bits,)."""


Importance = ArrayLike | Scored | None
AnyReading = TypeVar("AnyReading", bound=Reading)


@dataclass(frozen=True, slots=True, kw_only=True, repr=False, eq=False)
class WordCheck:
    """What the checks of words have in common; see `RangeCheck`."""

    of: BitSpace | Sequence[BitSpace] | None = None
    stored: bool = False
    scrub_interval_seconds: float | None = None
    scrub_from: ScrubFrom = "good copy"

    def __post_init__(self) -> None:
        if self.of is not None:
            spaces = (self.of,) if isinstance(self.of, BitSpace) else self.of
            if not isinstance(spaces, list | tuple) or not spaces or not all(isinstance(s, BitSpace) for s in spaces):
                raise InputError(
                    Argument("of", self.of), ": allowed are memories: fkeras.bit_space(model), or a list of them"
                )
            object.__setattr__(self, "of", tuple(spaces))
        if not isinstance(self.stored, bool):
            raise InputError(Argument("stored", self.stored), "; allowed are True and False")
        object.__setattr__(self, "scrub_interval_seconds", self.scrubbing.seconds)
        if self.stored and self.scrubbing.keeps_errors:
            raise InputError(
                "stored=True with ",
                Argument("scrub_from", "itself"),
                " is not modelled: what is read through a table that was hit may be written anywhere; scrub from a "
                "good copy, or keep the tables in logic (stored=False)",
            )

    @property
    def memories(self) -> tuple[BitSpace, ...]:
        """Those that it is made from, none where these are the memory under test."""
        return self.of if isinstance(self.of, tuple) else ()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(self._stated())})"

    def _stated(self) -> Iterator[str]:
        """The arguments that are not what they are by default."""
        for each in fields(self):
            value = getattr(self, each.name)
            if each.name == "of" and value is not None:
                yield f"of=<{len(value)} memories>"
            elif isinstance(value, np.ndarray):
                yield f"{each.name}=<{value.size:,} numbers>"
            elif value is not each.default and value != each.default:
                yield f"{each.name}={value!r}"

    @property
    def name(self) -> str:
        """What the field calls it."""
        raise NotImplementedError

    @property
    def rule(self) -> str:
        """What becomes of a word that fails the check, for reports."""
        raise NotImplementedError

    @property
    def scrubbing(self) -> Scrubbing:
        """How often the words are written anew, and from what."""
        return Scrubbing(self.scrub_interval_seconds, self.scrub_from)

    def on(self, space: BitSpace) -> CheckedWords:
        """The check in this memory. LayoutError for one made from another layout; InputError where it does not fit."""
        return CheckedWords(self, space, self.stored_readings(space))

    def stored_readings(self, space: BitSpace) -> tuple[Reading, ...]:
        """How the words of each tensor are read; errors as for `on`, but of registers none."""
        sources = self.memories or (space,)
        for source in sources:
            space.require_layout(source.layout_digest, f"{self!r}")
            for tensor, other in zip(space.tensors, source.tensors, strict=True):
                if tensor.codec != other.codec:
                    raise InputError(
                        f"{self!r}: words of tensor '{tensor.path}' are {tensor.codec}, those that it is made from are "
                        f"{other.codec}; make it from memories with the same quantizers"
                    )
        return self.readings(space, sources)

    def readings(self, space: BitSpace, sources: tuple[BitSpace, ...]) -> tuple[Reading, ...]:
        """How the words of each tensor are read; sources: the memories that the check is made from."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class RangeCheck(WordCheck):
    """Two comparators: a word outside the range of those that are stored is known to be wrong. It adds no bit.

    A register's words are read through the range that they have on the data of a campaign without faults; what leaves
    it is clamped or reads 0.

    Arguments:
        outside: what such a word reads as: "undo", the highest bit is flipped whose flip brings it back into the
            range, or the value nearest to 0 in the range where none does; "zero", 0; "clamp", the nearer limit.
        margin: how many values the limits lie beyond the words that they are made from.
        per: limits for each "tensor", or for each "channel", the last axis.
        of: the memories whose words the check is made from, as `fkeras.bit_space(model)` gives them: one, or those of
            several trainings. The check is then frozen, and other weights are refused that it would read wrongly.
            None: it is made from the memory under test, and loaded with the weights. Of registers the memory is that of
            an earlier campaign, `result.setting.space`, which knows its limits; None: of the data measured.
        stored: whether limits and tables are kept in cells that are hit like all others, and counted as extra bits.
            False: they are constants of the logic.
        scrub_interval_seconds: how often the words are written anew, None: never.
        scrub_from: "good copy", or "itself", the word as it is read: what is read wrongly stays wrong, and a word that
            is read as one that is never stored is left as it is.
    """

    name = "range check"
    outside: Outside = "undo"
    margin: int = 0
    per: Per = "tensor"

    def __post_init__(self) -> None:
        WordCheck.__post_init__(self)
        one_of("outside", self.outside, get_args(Outside))
        one_of("per", self.per, get_args(Per))
        object.__setattr__(self, "margin", whole("margin", self.margin, 0))

    @property
    def rule(self) -> str:
        how = {
            "undo": "reads with the highest bit undone that brings it back",
            "zero": "reads 0",
            "clamp": "reads the nearer limit",
        }[self.outside]
        return f"a word outside the range of its {self.per} {how}"

    def on(self, space: BitSpace) -> CheckedWords:
        for register in space.registers:
            if register.limits is None:
                raise InputError(
                    f"{self!r}: the range of register '{register.path}' is known on data only; measure by "
                    "fkeras.campaign, fkeras.endurance or the mark, or leave registers out of the memory"
                )
        return WordCheck.on(self, space)

    def readings(self, space: BitSpace, sources: tuple[BitSpace, ...]) -> tuple[RangeReading | MixedReading, ...]:
        return tuple(
            _by_part(tensor, number, sources, partial(self._limits, tensor))
            for number, tensor in enumerate(space.tensors)
        )

    def limited(self, space: BitSpace, seen: Mapping[str, tuple[Words, Words]]) -> BitSpace:
        """The memory with its registers read through limits.

        seen: by path, the words of the least and of the greatest number of each element without faults. InputError for
        limits that were made from others and that these leave.
        """
        if self.outside == "undo":
            raise InputError(
                Argument("outside", "undo"), f": registers, such as '{space.registers[0].path}', have the range of "
                "their data, and what leaves it is cut off; write ", Argument("outside", "clamp"), " or ",
                Argument("outside", "zero")
            )  # fmt: skip
        if self.stored:
            raise InputError(
                f"stored=True: limits of registers, such as '{space.registers[0].path}', are constants of the logic; "
                "write ", Argument("stored", False)
            )  # fmt: skip
        for source in self.memories:
            space.require_layout(source.layout_digest, f"{self!r}")
        registers = tuple(self._limited(register, seen[register.path]) for register in space.registers)
        return replace(space, registers=registers)

    def _limited(self, register: Register, seen: tuple[Words, Words]) -> Register:
        sources = [_words_of(register, words) for words in seen]
        if self.memories:
            sources = [one for memory in self.memories for one in self._frozen(register, memory)]
        reading = self.readings(BitSpace((sources[0],)), tuple(BitSpace((source,)) for source in sources))[0]
        assert self.outside != "undo"
        limits = Limits(*reading.of_elements, self.outside)
        low, high = (register.codec.decode(words) for words in seen)
        wrong = np.flatnonzero((low < limits.low) | (high > limits.high))
        if wrong.size:
            first = int(wrong[0])
            raise InputError(
                f"{self!r}: {wrong.size:,} of {register.size:,} words of register '{register.path}' leave its limits "
                f"without any fault, the first is element {first} with {low[first]:g} to {high[first]:g}, allowed "
                f"{limits.low[first]:g} to {limits.high[first]:g}; make it from these data too, give a larger ",
                Argument("margin"), ", or leave out ", Argument("of")
            )  # fmt: skip
        return replace(register, limits=limits)

    def _frozen(self, register: Register, memory: BitSpace) -> list[WordTensor]:
        """The limits that a register has in another memory of this layout."""
        other = next(each for each in memory.registers if each.path == register.path)
        if other.codec != register.codec or other.limits is None:
            why = "has other words" if other.codec != register.codec else "has no limits"
            raise InputError(
                f"{self!r}: register '{register.path}' {why} in a memory that it is made from; make it from the "
                "memory of a campaign with RangeCheck, result.setting.space"
            )
        return [_words_of(other, other.codec.encode(part)) for part in (other.limits.low, other.limits.high)]

    def _limits(self, tensor: WordTensor, part: Part, sources: list[WordTensor]) -> RangeReading:
        codec, channel = part.codec, channels(tensor, part, self.per)
        least, greatest = np.full(channel.max() + 1, np.inf), np.full(channel.max() + 1, -np.inf)
        for source in sources:
            values = codec.decode(source.words)
            np.minimum.at(least, channel, values)
            np.maximum.at(greatest, channel, values)
        low = steps_away(codec, nearest(codec, least), -self.margin)
        high = steps_away(codec, nearest(codec, greatest), self.margin)
        reading = RangeReading(part.tensor.words, np.concatenate([low, high]), channel, codec, self.outside)
        has_no_zero = codec.decode(nearest(codec, np.zeros(1)))[0] != 0
        if self.outside == "zero" and has_no_zero and not reading.is_plain:
            raise InputError(
                Argument("outside", "zero"), f": no word of tensor '{tensor.path}' ({codec}) means 0; write ",
                Argument("outside", "undo"), " or ", Argument("outside", "clamp")
            )  # fmt: skip
        return reading


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class KnownWords(WordCheck):
    """A table per tensor: a word that is never stored reads as what was most likely meant. It adds no bit.

    That is the word nearest to the expected value of what was stored, which makes the expected squared error least:
    by how often each word is stored, and how likely the flips between the two are.

    Arguments:
        bit_error_rate: the probability that a bit is wrong for which tables are made, above 0 and below 0.5.
        margin: words so many values beside a stored one are taken for stored too.
        importance: how much an error of each word matters: a ranking by "displacement", whose scores say it, or
            (n_words,) numbers from 0 up, such as the diagonal of E[J^T J]. None: all words of a tensor matter alike.
        of, stored, scrub_interval_seconds, scrub_from: as for `RangeCheck`.
    """

    name = "known words"
    rule = "a word that is never stored reads the expected value of what was meant"
    bit_error_rate: float = 0.01
    margin: int = 0
    importance: Importance = None

    def __post_init__(self) -> None:
        WordCheck.__post_init__(self)
        if not (is_number(self.bit_error_rate) and 0 < self.bit_error_rate < 0.5):
            raise InputError(
                Argument("bit_error_rate", self.bit_error_rate), "; allowed are probabilities above 0 and below 0.5"
            )
        object.__setattr__(self, "margin", whole("margin", self.margin, 0))
        if isinstance(self.importance, Sequence | np.ndarray):
            object.__setattr__(self, "importance", _numbers(self.importance))

    def readings(self, space: BitSpace, sources: tuple[BitSpace, ...]) -> tuple[Reading, ...]:
        if space.registers and not space.tensors:
            raise InputError(
                f"{self!r} knows which words are stored, and this memory is of {', '.join(dict.fromkeys(space.kinds))} "
                "alone, whose words are written anew for every sample; cover their bits with fkeras.TMR, or read them "
                "through fkeras.RangeCheck('clamp')"
            )
        weights = word_weights(space, self.importance)
        return tuple(
            _by_part(tensor, number, sources, partial(self._table, weights[number]))
            for number, tensor in enumerate(space.tensors)
        )

    def _table(self, weights: Weights, part: Part, sources: list[WordTensor]) -> Reading:
        require_table(part.tensor, self.name)
        counts, known = _counts(part.codec, sources, weights[part.elements], self.margin)
        placed = np.where(known, self._placed(part, counts, known), -1)
        words = np.full(known.size, -1)
        words[placed[known]] = np.flatnonzero(known)
        table = decoding(part.codec, words, counts, self.bit_error_rate)
        return TableReading(placed[part.tensor.words].astype(np.uint32), table, placed)

    def _placed(self, part: Part, counts: Weights, known: NDArray[np.bool_]) -> NDArray[np.int64]:
        """The pattern of each word, (2**width,)."""
        return np.arange(known.size)


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class Recoded(KnownWords):
    """Known words, each stored as the pattern where likely flips do least harm. It adds no bit.

    Which pattern stands for which word is searched for, tensor by tensor, so that the expected squared error of what is
    read is least. The weights are stored in these patterns, and bits of the memory are those of the patterns.

    Arguments:
        bit_error_rate: the probability that a bit is wrong for which patterns are placed, above 0 and below 0.5.
        margin: words so many values beside a stored one get a pattern too.
        importance: as for `KnownWords`.
        seed: of the search.
        of, stored, scrub_interval_seconds, scrub_from: as for `RangeCheck`.
    """

    name = "recoded words"
    rule = "words stored as patterns in which likely flips do least harm; one without a word reads what was meant"
    seed: int = 0

    def __post_init__(self) -> None:
        KnownWords.__post_init__(self)
        object.__setattr__(self, "seed", whole_seed(self.seed))

    def _placed(self, part: Part, counts: Weights, known: NDArray[np.bool_]) -> NDArray[np.int64]:
        from fkeras.faults.placement import place

        words = np.flatnonzero(known)
        values = part.codec.decode(words.astype(np.uint32))
        order = np.argsort(values, kind="stable")
        words, values = words[order], values[order]
        placed = np.full(known.size, -1)
        placed[words] = place(values, words, counts[words], part.codec.width, self.bit_error_rate, self.seed)
        return placed


def word_weights(space: BitSpace, importance: Importance) -> list[Weights]:
    """How much an error of each word matters, tensor by tensor."""
    ends = np.cumsum([tensor.size for tensor in space.tensors])
    n_words = int(ends[-1]) if ends.size else 0
    if importance is None:
        weights = np.ones(n_words)
    elif isinstance(scores := getattr(importance, "scores", None), np.ndarray):
        space.require_layout(getattr(importance, "layout_digest", None), f"importance={importance!r}")
        weights = np.concatenate([np.zeros(0), *damage_per_square(space, scores)])
    else:
        weights = np.asarray(importance)
    if weights.shape != (n_words,) or not (np.isfinite(weights).all() and (weights >= 0).all() and weights.sum() > 0):
        raise InputError(
            f"importance: {weights.size:,} numbers for {n_words:,} words; allowed are one per word, finite and from 0 "
            "up, not all of them 0, or a ranking by 'displacement', whose scores are such"
        )
    return np.split(weights, ends[:-1])


def _numbers(importance: object) -> Weights:
    try:
        return np.array(importance, np.float64)
    except (TypeError, ValueError):
        allowed = "; allowed are a ranking by 'displacement', or a number for each word"
        raise InputError(Argument("importance", importance), allowed) from None


def damage_per_square(space: BitSpace, scores: NDArray[np.float64]) -> list[Weights]:
    """What flips of each word do, by the scores of its bits, over the squares of their errors; tensor by tensor, in the
    unit of the codec."""
    weights = []
    for tensor, start in zip(space.tensors, space.offsets, strict=False):
        own = np.zeros(tensor.size)
        for part in tensor.parts:
            codec, words = part.codec, part.tensor.words[:, None]
            flipped = words ^ (np.uint32(1) << np.arange(codec.width - 1, -1, -1, dtype=np.uint32))
            squares = np.square(bounded(codec.decode(flipped)) - codec.decode(words)).sum(axis=1)
            own[part.elements] = scores[start + part.bits].sum(axis=1) / np.maximum(squares, codec.step**2)
        weights.append(own)
    return weights


def _words_of(register: Register, words: Words) -> WordTensor:
    """Words of a register as those of a tensor."""
    scale, values = np.ones(register.size, np.float32), register.codec.decode(words).astype(np.float32)
    return WordTensor(register.path, register.shape, register.codec, words, scale, values)


def _by_part(
    tensor: WordTensor,
    number: int,
    sources: tuple[BitSpace, ...],
    reading: Callable[[Part, list[WordTensor]], AnyReading],
) -> AnyReading | RangeReading | MixedReading:
    """How the words of a tensor are read, those of each codec by themselves; sources: the memories of the check."""
    alike = zip(*(source.tensors[number].parts for source in sources), strict=True)
    readings = [
        reading(part, [one.tensor for one in same]) if part.tensor.size else plain_reading(part.tensor)
        for part, same in zip(tensor.parts, alike, strict=True)
    ]
    return MixedReading.of(tensor, readings) if isinstance(tensor.codec, MixedFixedPoint) else readings[0]


def _counts(
    codec: Codec, sources: list[WordTensor], weights: Weights, margin: int
) -> tuple[Weights, NDArray[np.bool_]]:
    """By word, (2**width,): how much it counts, and whether it is taken for stored."""
    n = 1 << codec.width
    counts, known = np.zeros(n), np.zeros(n, np.bool_)
    for source in sources:
        stored = np.bincount(source.words, minlength=n)
        mean = weights.mean() if weights.size else 0.0
        # Words without any importance must read as something all the same.
        counts += np.bincount(source.words, weights=weights, minlength=n) + 1e-9 * (mean or 1.0) * stored
        known |= stored > 0
    words = np.flatnonzero(known).astype(np.uint32)
    for steps in range(1, min(margin, n) + 1):
        known[steps_away(codec, words, steps)] = known[steps_away(codec, words, -steps)] = True
    return counts, known
