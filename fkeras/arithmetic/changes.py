"""One wrong word of one layer, or one wrong level of one tensor, at a time: only what it changes is computed, on top of
what is there without it.

A word changes one channel by step x input, place by place; a level is one place of one. That channel goes through bias
and quantizer; its difference goes through its slice of the next layer's weights and is added to the sums that are there
without it; what is behind goes through a pass. So the two layers that a whole pass would take longest for cost a
channel's share, and what they start from is made once per sample, in a core's cache, for all that is wrong.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import takewhile
from math import prod
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fkeras.arithmetic.forward import CACHE, EXACT, Forward, aligned
from fkeras.arithmetic.layers import MaxPool, Shape, WeightedSum
from fkeras.arithmetic.passes import (
    Bytes,
    Floats,
    Sums,
    add_up,
    copy,
    next_of,
    run_step,
    share_out,
    take_largest,
)
from fkeras.arithmetic.program import STEP, Kernels, Program
from fkeras.arithmetic.tensors import LINE, Tensor
from fkeras.arithmetic.tiles import BYTES, FLOATS, WORDS
from fkeras.compiled import compiled, compiled_contracting
from fkeras.errors import InputError

Longs = NDArray[np.int64]
AT_ONCE = 256
"""Wrong words for which a core makes the sums without a fault at least once."""
WORD_COST = 100
"""Instructions that a wrong word takes besides what is behind it, at least."""
MOST_LEVELS = 4096
"""Beyond that many levels few words share one."""


class Image(NamedTuple):
    """Where one channel of a tensor lies in a sample's memory: how it is stored; in levels, its first one's place, how
    far it is to the next row and the next column; its size; what level 0 is stored as."""

    form: int
    begin: int
    down: int
    across: int
    height: int
    width: int
    zero: int


class Words(NamedTuple):
    """Wrong words, ordered by output channel and input channel, (k,) each: their numbers; those; where in the input
    channel's image each word reads for the first output; by how much it is off."""

    number: Longs
    channel: Longs
    term: Longs
    place: Longs
    delta: Floats


class Held(NamedTuple):
    """In what words levels are held: all bits and the sign's, 0 for none; both 0 where no level is wrong by itself."""

    every: int
    sign: int


class Layer(NamedTuple):
    """The layer with the wrong words: its input with margins, its sums and, behind pools, its levels without a fault;
    strides; offsets by channel and the rest of its arithmetic; pools; whether words that lead to the same level share
    it. held: of a tensor with wrong levels, which are its sums then."""

    source: Image
    sums: Image
    levels: Image
    strides: tuple[int, int]
    offsets: Floats
    scale: np.float32
    low: np.float32
    high: np.float32
    rounds: bool
    pools: NDArray[Any]
    shares: bool
    held: Held


class Ground(NamedTuple):
    """Sums without a fault: what makes them; spans (2, 2): what it reads of a sample's memory, from byte to byte; room:
    bytes of that and of the sums; end: where the last tensor begins."""

    program: Program
    kernels: Kernels
    spans: Longs
    room: int
    end: int


class Tail(NamedTuple):
    """What follows a channel: a pass from the difference in it on. Of the next layer, channel by channel of its input,
    weights (channels, bytes) and what sums begin with; where its sums without a fault begin in memory, and in those
    each of its outputs (none: nothing follows); the image of the difference; where the last tensor begins."""

    program: Program
    kernels: Kernels
    weights: NDArray[np.uint8]
    starts: NDArray[np.int32]
    ground: int
    begins: Longs
    difference: Image
    end: int


@compiled
def take_channel(stored: NDArray[Any], image: Image, channel: int, levels: Floats) -> None:  # pragma: no cover
    """levels (height x width) of one channel."""
    for y in range(image.height):
        begin = image.begin + channel + y * image.down
        for x in range(image.width):
            level = np.float32(stored[begin + x * image.across]) - np.float32(image.zero)
            levels[y * image.width + x] = level


@compiled
def read_channel(memory: Bytes, image: Image, channel: int, levels: Floats) -> None:  # pragma: no cover - compiled
    """The same, however they are stored."""
    if image.form == BYTES:
        take_channel(memory, image, channel, levels)
    elif image.form == WORDS:
        take_channel(memory.view(np.int16), image, channel, levels)
    else:
        take_channel(memory.view(np.float32), image, channel, levels)


@compiled
def put_difference(stored: NDArray[Any], image: Image, levels: Floats, golden: Floats) -> None:  # pragma: no cover
    """Store levels - golden as an image of one channel."""
    for y in range(image.height):
        row = stored[image.begin + y * image.down :]
        now, was = levels[y * image.width :], golden[y * image.width :]
        for x in range(image.width):
            row[x] = np.int32(now[x] - was[x]) + image.zero


@compiled
def write_difference(memory: Bytes, image: Image, levels: Floats, golden: Floats) -> None:  # pragma: no cover
    """The same, however they are stored."""
    if image.form == BYTES:
        put_difference(memory, image, levels, golden)
    elif image.form == WORDS:
        put_difference(memory.view(np.int16), image, levels, golden)
    else:
        put_difference(memory.view(np.float32), image, levels, golden)


@compiled
def level_of(total: np.float32, layer: Layer, offset: np.float32) -> np.float32:  # pragma: no cover - compiled
    """What a layer makes of one sum."""
    value = total * layer.scale + offset
    if layer.rounds:
        value = np.rint(value)
    return min(max(value, layer.low), layer.high)


@compiled_contracting
def shift_channel(
    layer: Layer, offset: np.float32, sums: Floats, inputs: Floats, place: int, delta: np.float32, levels: Floats
) -> None:  # pragma: no cover - compiled
    """The levels of a channel in which one word is off: sums and levels (height x width), inputs with margins."""
    down, across = layer.strides
    for y in range(layer.sums.height):
        read = inputs[place + y * down * layer.source.width :]
        row, made = sums[y * layer.sums.width :], levels[y * layer.sums.width :]
        if across == 1:
            for x in range(layer.sums.width):
                made[x] = level_of(row[x] + delta * read[x], layer, offset)
        else:
            for x in range(layer.sums.width):
                made[x] = level_of(row[x] + delta * read[x * across], layer, offset)


@compiled
def flipped(level: np.float32, mask: int, held: Held) -> np.float32:  # pragma: no cover - compiled
    """The level whose word differs in the bits of a mask."""
    word = (np.int64(level) & held.every) ^ mask
    return np.float32(word - 2 * (word & held.sign))


@compiled
def differ(levels: Floats, golden: Floats) -> bool:  # pragma: no cover - compiled
    """Whether any level does."""
    different = 0
    for place in range(golden.size):
        different |= levels[place] != golden[place]
    return different != 0


@compiled
def flow_on(tail: Tail, channel: int, ground: Floats, slots: Bytes, count: int) -> None:  # pragma: no cover - compiled
    """From differences in one channel to the end, for the first `count` slots."""
    next_layer = Kernels(tail.weights[channel], tail.starts[channel], tail.kernels.offsets)
    add_up(tail.program.steps[0], tail.program, next_layer, slots, count, Sums(ground, tail.begins))
    for number in range(1, tail.program.steps.size):
        run_step(tail.program.steps[number], tail.program, tail.kernels, slots, count)


@compiled
def run_words(
    arenas: NDArray[np.uint8],
    words: Words,
    layer: Layer,
    ground: Ground,
    tail: Tail,
    n_at_once: int,
    n_slots: int,
    same_as: NDArray[np.int32],
    ends: NDArray[np.float32],
    turn: Longs,
) -> None:  # pragma: no cover - compiled
    """What every word makes of every sample: same_as (n, k) and ends (n, k, floats).

    arenas (n, bytes): without a fault; n_at_once: words of a turn; n_slots: words that flow on at once; same_as: -1
    where the end is as without a fault, else the word whose end it is, which is filled in; turn: shared by all threads.
    """
    n, n_words, n_floats = len(arenas), words.channel.size, ends.shape[2]
    n_parts = (n_words + n_at_once - 1) // n_at_once
    memory, blank, spans = np.zeros(ground.room, np.uint8), tail.program.blank, ground.spans
    slots, slot_of = np.empty(n_slots * blank.size, np.uint8), np.empty(n_slots, np.int64)
    for slot in range(n_slots):
        copy(blank, 0, slots, slot * blank.size, blank.size)
    inputs = np.empty(layer.source.height * layer.source.width, np.float32)
    sums = np.empty(layer.sums.height * layer.sums.width, np.float32)
    golden = np.empty(layer.levels.height * layer.levels.width, np.float32)
    planes = np.empty((2, max(sums.size, golden.size)), np.float32)
    seen = np.empty(int(layer.high - layer.low) + 1 if layer.shares else 0, np.int64)
    next_sums = memory[tail.ground :].view(np.float32)
    nothing = Sums(np.empty(0, np.float32), np.empty(0, np.int64))
    while True:
        unit = next_of(turn)
        if unit >= n * n_parts:
            break
        sample, first = unit // n_parts, unit % n_parts * n_at_once
        stop = min(first + n_at_once, n_words)
        arena = arenas[sample]
        was = arena[ground.end :].view(np.float32)[:n_floats]
        for number in range(2):
            copy(arena, spans[number, 0], memory, spans[number, 0], spans[number, 1] - spans[number, 0])
        for number in range(ground.program.steps.size):
            add_up(ground.program.steps[number], ground.program, ground.kernels, memory, 1, nothing)
        channel, term, count = -1, -1, 0
        for word in range(first, stop + 1):
            if count and (count == n_slots or word == stop or words.channel[word] != channel):
                flow_on(tail, channel, next_sums, slots, count)
                for slot in range(count):
                    at = slot * blank.size + tail.end
                    now = slots[at : at + 4 * n_floats].view(np.float32)
                    if differ(now, was):
                        ends[sample, slot_of[slot]] = now
                    else:
                        same_as[sample, slot_of[slot]] = -1
                count = 0
            if word == stop:
                break
            if words.channel[word] != channel:
                channel = words.channel[word]
                read_channel(memory, layer.sums, channel, sums)
                read_channel(memory, layer.levels, channel, golden)
                seen[:] = -1
            if words.term[word] != term:
                term = words.term[word]
                read_channel(memory, layer.source, term, inputs)
            number, levels, other = words.number[word], planes[0], planes[1]
            place, delta, offset = words.place[word], words.delta[word], layer.offsets[channel]
            if layer.held.every:
                levels[: sums.size] = sums
                levels[place] = flipped(sums[place], int(delta), layer.held)
            elif sums.size == 1:
                levels[0] = level_of(sums[0] + delta * inputs[place], layer, offset)
            else:
                shift_channel(layer, offset, sums, inputs, place, delta, levels)
            for step in layer.pools:
                take_largest(step, levels, other)
                levels, other = other, levels
            if not differ(levels, golden):
                same_as[sample, number] = -1
                continue
            same_as[sample, number] = number
            if layer.shares:
                level = int(levels[0] - layer.low)
                if seen[level] >= 0:
                    same_as[sample, number] = seen[level]
                    continue
                seen[level] = number
            if tail.begins.size == 0:
                now = ends[sample, number]
                for place in range(n_floats):
                    now[place] = was[place]
                for place in range(golden.size):
                    now[place * layer.levels.across + channel] = levels[place]
                continue
            slot_bytes = slots[count * blank.size : (count + 1) * blank.size]
            write_difference(slot_bytes, tail.difference, levels, golden)
            slot_of[count] = number
            count += 1
        for word in range(first, stop):
            number = words.number[word]
            if same_as[sample, number] >= 0:
                same_as[sample, number] = same_as[sample, same_as[sample, number]]


@dataclass(frozen=True, eq=False)
class Followed(ABC):
    """What one wrong thing at a time makes of one channel of a tensor of a pass, and of the end. InputError where sums
    may not be exact.

    number: of the layer that makes the tensor, -1 for the input; pools may stand behind it, before the next sum.
    """

    forward: Forward
    number: int

    def __post_init__(self) -> None:
        if self.forward.sources is not None:
            raise InputError("only layers in a row are followed; these read others as well")
        _ = self._tail

    def __call__(self, arenas: Bytes, elements: Longs, amounts: Floats) -> tuple[NDArray[np.int32], Floats]:
        """What faults make of samples: (samples, faults) whose end a fault leads to, -1 for that without one; (samples,
        faults, *shape) the last layer's levels, where a fault leads to its own.

        arenas: what `Forward.arenas` gives; elements: what is wrong, flat; amounts: by what.
        """
        n_floats = prod(self.forward.tensors[-1].shape)
        same_as = np.empty((len(arenas), elements.size), np.int32)
        ends = np.empty((*same_as.shape, n_floats), np.float32)
        n_slots = max(1, min(CACHE // max(1, self._tail.program.blank.size), elements.size))
        behind = 0.0 if self._behind is None else self._behind.cost
        cost = len(arenas) * (self.forward.cost / len(self.forward.layers) + elements.size * (behind + WORD_COST))
        share_out(
            *(run_words, arenas, self._words(elements, amounts), self._described, self._ground, self._tail),
            *(elements.size if self.shares else AT_ONCE, n_slots, same_as, ends),
            cost=cost,
        )
        return same_as, ends.reshape(*same_as.shape, *self.forward.tensors[-1].shape)

    @property
    def n_channels(self) -> int:
        """Channels of the tensor."""
        return self._levels.shape[2]

    @property
    def shares(self) -> bool:
        """Whether faults of a channel that are asked for together share an end where they lead to the same level."""
        return False

    @abstractmethod
    def _words(self, elements: Longs, amounts: Floats) -> Words:
        """The faults, ordered by channel."""

    @property
    @abstractmethod
    def _described(self) -> Layer:
        """How a channel is made of its words, or of its levels."""

    @property
    @abstractmethod
    def _span(self) -> float:
        """By how much a level may be off."""

    @property
    @abstractmethod
    def _source(self) -> Tensor:
        """What is read besides the levels that the next layer reads."""

    @property
    @abstractmethod
    def _summed(self) -> list[int]:
        """The layers whose sums without a fault are needed, the next one's last."""

    def _sum(self, number: int) -> WeightedSum:
        layer = self.forward.layers[number]
        if not isinstance(layer, WeightedSum):
            raise InputError(f"layer {number} is a {type(layer).__name__}, which has no words")
        return layer

    @cached_property
    def _pools(self) -> tuple[MaxPool, ...]:
        """Those between the layer and the next sum."""
        behind = self.forward.layers[self.number + 1 :]
        return tuple(takewhile(lambda layer: isinstance(layer, MaxPool), behind))  # type: ignore[arg-type]

    @property
    def _next(self) -> int | None:
        """The next layer that adds up, if there is one."""
        number = self.number + 1 + len(self._pools)
        return number if number < len(self.forward.layers) else None

    @cached_property
    def _levels(self) -> Tensor:
        """What the next layer reads."""
        return self.forward.tensors[self.number + 1 + len(self._pools)]

    def _kernel(self, channel: int) -> NDArray[Any]:
        """What the next layer multiplies one channel of its input with."""
        assert self._next is not None
        kernel = self._sum(self._next).kernel
        inputs, outputs = kernel.shape[2:]
        group_outputs = outputs // (self._levels.shape[2] // inputs)
        part = kernel[:, :, channel % inputs, :].copy()
        part[..., np.arange(outputs) // group_outputs != channel // inputs] = 0
        return part[:, :, None]

    @cached_property
    def _behind(self) -> Forward | None:
        """From the difference of one channel to the end."""
        if self._next is None:
            return None
        height, width, _ = self._levels.shape
        span = self._span
        first = replace(self._sum(self._next), kernel=self._kernel(0))
        return Forward((height, width, 1), -span, span, (first, *self.forward.layers[self._next + 1 :]))

    @cached_property
    def _tail(self) -> Tail:
        if self._behind is None:
            program = Program._make(part[:0] for part in self.forward.program)
            kernels = Kernels._make(part[:0] for part in self.forward.golden)
            nothing = np.empty((0, 0), np.uint8), np.empty((0, 0), np.int32)
            nowhere = np.empty(0, np.int64), Image(FLOATS, 0, 0, 0, 0, 0, 0)
            return Tail(program, kernels, *nothing, self.forward.program.blank.size, *nowhere, 0)
        packed = [self._behind.packed(0, self._kernel(channel)) for channel in range(self._levels.shape[2])]
        slices = [part for part in packed if part is not None]
        if len(slices) < len(packed):
            raise InputError(f"the sums behind layer {self.number} may reach 2**24 with a wrong word")
        weights, starts = (np.stack(parts) for parts in zip(*slices, strict=True))
        difference, result, *_ = self._behind.tensors
        begins = self._behind.outputs(0, _sums(result.shape, 0)) // 4
        lines = aligned(weights.reshape(-1)).reshape(weights.shape)
        return Tail(
            *(self._behind.program, self._behind.golden, lines, starts, self._places[-2], begins),
            *(_image(difference), self._behind.tensors[-1].at),
        )

    @cached_property
    def _places(self) -> list[int]:
        """Where the sums lie that are made without a fault, and where they end."""
        sizes = [4 * prod(self.forward.tensors[number + 1].shape) for number in self._summed]
        places: list[int] = np.cumsum(
            [self.forward.program.blank.size, *(-(-n // LINE) * LINE for n in sizes)]
        ).tolist()
        return [*places[:-1], places[-1] + LINE]

    @cached_property
    def _ground(self) -> Ground:
        """What makes the sums without a fault."""
        program, golden = self.forward.program, self.forward.golden
        numbers = self._summed
        steps, places, n_places = program.steps[numbers], [np.zeros((2, 0), np.int64)], 0
        for step, number, at in zip(steps, numbers, self._places, strict=False):
            inputs = program.places[0, step["place"] : step["stop_place"]]
            outputs = self.forward.outputs(number, _sums(self.forward.tensors[number + 1].shape, at))
            places.append(np.stack([inputs, outputs]))
            step["place"], step["stop_place"] = n_places, n_places + inputs.size
            step["into"], step["zero"], step["rounds"] = FLOATS, 0, False
            step["scale"], step["low"], step["high"] = 1, -np.inf, np.inf
            n_places += inputs.size
        read = [(tensor.at, tensor.at + tensor.size) for tensor in (self._source, self._levels)]
        return Ground(
            program._replace(steps=steps, places=np.concatenate(places, 1)),
            golden._replace(offsets=np.zeros_like(golden.offsets)),
            *(np.array(read), self._places[-1], self.forward.tensors[-1].at),
        )

    @cached_property
    def _pool_steps(self) -> NDArray[Any]:
        steps = np.zeros(len(self._pools), STEP)
        for number, (step, layer) in enumerate(zip(steps, self._pools, strict=True), self.number + 1):
            (height, width, _), (rows, columns, _) = (self.forward.tensors[number + part].shape for part in (0, 1))
            step["lanes"], step["pitch"], step["pitch_out"] = 1, width, columns
            step["height"], step["width"], step["height_out"], step["width_out"] = height, width, rows, columns
            (step["rows"], step["columns"]), (step["down"], step["across"]) = layer.size, layer.strides
            (step["above"], _), (step["left"], _) = layer.pads
        return steps


class Changes(Followed):
    """The words of one layer, which are read nowhere else; amounts are how much each is off."""

    def __post_init__(self) -> None:
        words = np.abs(self._layer.kernel).reshape(-1, self._layer.kernel.shape[3]).sum(0, dtype=np.float64)
        worst = (words.max() + 2 * max(abs(end) for end in self._layer.words)) * self._source.bound
        if self.forward.sources is None and worst >= EXACT:
            raise InputError(f"the sums of layer {self.number} may reach 2**24 with a wrong word")
        super().__post_init__()

    @property
    def shares(self) -> bool:
        layer, positions = self._layer, prod(self._levels.shape[:2])
        return layer.rounds and positions == 1 and layer.high - layer.low < MOST_LEVELS

    def _words(self, elements: Longs, amounts: Floats) -> Words:
        layer, source = self._layer, self._source
        row, column, term, channel = np.unravel_index(elements, layer.kernel.shape)
        inputs, outputs = layer.kernel.shape[2:]
        term = channel // (outputs // (source.shape[2] // inputs)) * inputs + term
        (above, _), (left, _) = layer.pads
        y = row * layer.dilation[0] + source.before[0] - above
        x = column * layer.dilation[1] + source.before[1] - left
        place = y * source.image[1] + x
        order = np.lexsort((term, channel))
        return Words(order, channel[order], term[order], place[order], np.asarray(amounts, np.float32)[order])

    @property
    def _layer(self) -> WeightedSum:
        return self._sum(self.number)

    @property
    def _source(self) -> Tensor:
        return self.forward.tensors[self.number]

    @property
    def _span(self) -> float:
        return self._layer.high - self._layer.low

    @property
    def _summed(self) -> list[int]:
        return [self.number] if self._next is None else [self.number, self._next]

    @cached_property
    def _described(self) -> Layer:
        layer, source, levels = self._layer, self._source, self._levels
        sums = _sums(self.forward.tensors[self.number + 1].shape, self._places[0])
        margins = replace(source, shape=source.image, before=(0, 0), after=(0, 0))
        return Layer(
            _image(margins),
            _image(sums),
            _image(levels),
            layer.strides,
            layer.offsets,
            np.float32(layer.scale),
            np.float32(layer.low),
            np.float32(layer.high),
            layer.rounds,
            self._pool_steps,
            self.shares,
            Held(0, 0),
        )


@dataclass(frozen=True, eq=False)
class Cells(Followed):
    """The levels of one tensor; amounts are masks of the bits of a word that flip.

    width, signed: of the words in which they are held.
    """

    width: int
    signed: bool

    def _words(self, elements: Longs, amounts: Floats) -> Words:
        place, channel = np.divmod(elements, self._source.shape[2])
        order = np.argsort(channel, kind="stable")
        masks = np.asarray(amounts, np.float32)[order]
        return Words(order, channel[order], np.zeros_like(order), place[order], masks)

    @property
    def _source(self) -> Tensor:
        """The levels before the pools."""
        return self.forward.tensors[self.number + 1]

    @property
    def _span(self) -> float:
        return float((1 << self.width) - 1)

    @property
    def _summed(self) -> list[int]:
        return [] if self._next is None else [self._next]

    @cached_property
    def _described(self) -> Layer:
        image, one = _image(self._source), np.float32(1)
        offsets, held = (
            np.zeros(0, np.float32),
            Held((1 << self.width) - 1, 1 << (self.width - 1) if self.signed else 0),
        )
        levels = _image(self._levels)
        return Layer(image, image, levels, (1, 1), offsets, one, one, one, False, self._pool_steps, False, held)


def _sums(shape: Shape, at: int) -> Tensor:
    """Sums without bias in a sample's memory."""
    return Tensor(shape, -np.inf, np.inf, FLOATS, (0, 0), (0, 0), at)


def _image(tensor: Tensor) -> Image:
    height, width, channels = tensor.shape
    first = np.zeros(1, np.int64)
    begin = int(tensor.begins(first, first)[0]) // tensor.item
    return Image(tensor.form, begin, tensor.pitch, channels, height, width, tensor.zero)
