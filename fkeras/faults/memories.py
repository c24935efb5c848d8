"""Faults that last for one inference, bits that are stuck, and a fault model for each memory of a chip."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from fkeras.errors import Argument, InputError, whole
from fkeras.faults.fault_models import (
    MOST_UPSETS,
    BitErrorRate,
    Bits,
    Draw,
    Exposure,
    FaultModel,
    FlipCount,
    Keyed,
    drawn,
    key_of,
    non_negative,
)
from fkeras.faults.fault_set import FaultSet, SampleFlips
from fkeras.faults.stream import RandomStream, whole_seed
from fkeras.memory import BitSpace

BLOCK_CELLS = 2**20
"""Bits of consecutive samples that one stream draws, a sample at least: part of every seed."""
StreamOf = Callable[..., RandomStream]


@dataclass(frozen=True, slots=True)
class Transient(Keyed):
    """Every inference draws flips of its own in registers; in the next one they are gone.

    Give `ber`, or a rate with the time that a word is held.

    Arguments:
        ber: the probability that a bit flips in an inference, 0 to 1.
        upsets_per_bit_second: the rate per bit and second; two upsets of one bit in an inference undo one another.
        inference_seconds: how long the words of an inference are held, in seconds.

    >>> f"{Transient(upsets_per_bit_second=1e-3, inference_seconds=1e-6).flip_probability:.8e}"
    '9.99999999e-10'
    """

    ber: float | None = None
    upsets_per_bit_second: float | None = None
    inference_seconds: float | None = None

    def __post_init__(self) -> None:
        rate = (self.upsets_per_bit_second, self.inference_seconds)
        if (self.ber is None) == (None in rate) or (self.ber is not None and rate != (None, None)):
            raise InputError(
                "a transient has one rate: give ber, or upsets_per_bit_second with inference_seconds, as in "
                "fkeras.Transient(upsets_per_bit_second=1e-9, inference_seconds=1e-6)"
            )
        each = self.per_inference
        if isinstance(each, BitErrorRate):
            object.__setattr__(self, "ber", each.ber)
        else:
            for name in ("upsets_per_bit_second", "inference_seconds"):
                object.__setattr__(self, name, non_negative(name, getattr(self, name)))

    @property
    def per_inference(self) -> BitErrorRate | Exposure:
        """What happens to the registers in one inference."""
        if self.ber is not None:
            return BitErrorRate(self.ber)
        assert self.inference_seconds is not None
        return Exposure(non_negative("inference_seconds", self.inference_seconds), self.upsets_per_bit_second)

    @property
    def flip_probability(self) -> float:
        """How probably a bit is wrong in an inference."""
        return self.per_inference.flip_probability(1)

    def draw(self, n_bits: int, stream: RandomStream) -> Draw:
        """What happens in one inference."""
        return self.per_inference.draw(n_bits, stream)

    def draw_samples(self, n_bits: int, n_samples: int, stream_of: StreamOf) -> Draw:
        """What happens in the inferences of the samples 0 ... n_samples - 1: the same for each, however many follow."""
        if self.flip_probability * n_bits * n_samples > MOST_UPSETS:
            raise InputError(
                f"{self}: {self.flip_probability * n_bits * n_samples:.3g} flips expected in {n_samples:,} inferences; "
                f"allowed are up to {MOST_UPSETS:g}: give fewer samples, or check the units of the rate"
            )
        block = max(1, BLOCK_CELLS // max(n_bits, 1))
        samples, bits = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
        n_hits = 0
        for number in range(-(-n_samples // block)):
            cells = (n_samples - number * block) * n_bits
            draw = self.draw(block * n_bits, stream_of(number))
            flips = draw.faults.flips[draw.faults.flips < cells]
            n_hits += flips.size if draw.hits is None else int((draw.hits < cells).sum())
            sample, bit = np.divmod(flips, max(n_bits, 1))
            samples.append(sample + number * block)
            bits.append(bit)
        flipped = SampleFlips(np.concatenate(samples), np.concatenate(bits))
        return Draw(FaultSet(in_samples=flipped), n_hits, n_hits - len(flipped), np.zeros(0, np.int64))

    def scaled(self, share: float) -> Transient:
        """A share of the rate."""
        times = non_negative("share", share)
        if self.ber is not None:
            return replace(self, ber=times * self.ber)
        assert self.upsets_per_bit_second is not None
        return replace(self, upsets_per_bit_second=times * self.upsets_per_bit_second)

    def short(self, n_bits: int) -> str:
        """A word for tables."""
        return f"transient {self.flip_probability:.3g}"

    def describe(self, n_bits: int) -> str:
        expected = f"{self.flip_probability * n_bits:.4g} of {n_bits:,} bits expected wrong in each inference"
        if self.ber is not None:
            return f"transient, bit error rate {self.ber:g} per inference, {expected}"
        return (
            f"transient, {self.upsets_per_bit_second:g} upsets/bit/s for {self.inference_seconds:g} s per inference, "
            f"{expected}"
        )


@dataclass(frozen=True, slots=True)
class StuckAt(Keyed):
    """Exactly `n` distinct bits read the same whatever is written: permanent defects, of production or wear.

    Arguments:
        value: what they read, 0 or 1.
        n: how many bits, uniformly over the whole memory.
    """

    value: int
    n: int = 1

    def __post_init__(self) -> None:
        if whole("value", self.value, 0) > 1:
            raise InputError(Argument("value", self.value), "; a bit is stuck at 0 or at 1")
        object.__setattr__(self, "n", whole("n", self.n, 0))

    def draw(self, n_bits: int, stream: RandomStream) -> Draw:
        """The defects of one trial."""
        if self.n > n_bits:
            raise InputError(
                f"{self.n} stuck bits do not fit into a memory of {n_bits} bits; ask for that many at most"
            )
        bits = stream.distinct(self.n, n_bits)
        return Draw(FaultSet(set_to_1=bits) if self.value else FaultSet(set_to_0=bits), self.n)

    def scaled(self, share: float) -> StuckAt:
        """A share of the bits, rounded to a whole number."""
        return replace(self, n=round(non_negative("share", share) * self.n))

    def short(self, n_bits: int) -> str:
        """A word for tables."""
        return f"{self.n} stuck at {self.value}"

    def describe(self, n_bits: int) -> str:
        return f"{self.n} distinct bits stuck at {self.value}, uniform over {n_bits:,}"


@dataclass(frozen=True)
class PerMemory:
    """A fault model for each memory: parts by name, in the order of names; sizes: bits of each, once they are known,
    and others: the memories that no part is of."""

    parts: tuple[tuple[str, FaultModel], ...]
    sizes: tuple[int, ...] = field(default=(), compare=False, repr=False)
    others: tuple[str, ...] = field(default=(), compare=False, repr=False)

    @classmethod
    def of(cls, faults: Mapping[str, int | FaultModel]) -> PerMemory:
        """Of a dict by memory. InputError for one without entries, and for models that place hits on copies."""
        if not faults:
            raise InputError(
                Argument("faults", {}), "; name memories, as in {'weights': 960, 'activations': fkeras.Transient(1e-6)}"
            )
        parts = tuple((name, fault_model(faults[name])) for name in sorted(faults))
        for name, model in parts:
            if isinstance(model, PerMemory) or callable(getattr(model, "draw_copies", None)):
                raise InputError(f"faults of {name}: {model!r} is of a whole memory; name another model for a part")
        return cls(parts)

    @property
    def key(self) -> str:
        """What seeds are made of."""
        return f"PerMemory({', '.join(f'{name}={key_of(model)}' for name, model in self.parts)})"

    @cached_property
    def exposure_seconds(self) -> float | None:
        """How long the faults that add up took to arrive, None where that is not known, or not one time."""
        lasting = (model for _, model in self.parts if not isinstance(model, Transient | StuckAt))
        times = {getattr(model, "exposure_seconds", None) for model in lasting}
        return times.pop() if len(times) == 1 else None

    def on(self, space: BitSpace) -> PerMemory:
        """The same, in this memory. InputError for a memory that it has none of."""
        for name, _ in self.parts:
            if name not in space.kinds:
                there = ", ".join(dict.fromkeys(space.kinds)) or "nothing"
                raise InputError(
                    f"faults name {name!r}, and the memory measured is of {there}; give ",
                    Argument("space", f"fkeras.bit_space(model, of={[name for name, _ in self.parts]})"),
                )
        sizes = tuple(len(space.part(name)[0]) for name, _ in self.parts)
        others = [kind for kind in dict.fromkeys(space.kinds) if kind not in dict(self.parts)]
        return replace(self, sizes=sizes, others=tuple(others))

    def draw(self, n_bits: int, stream: RandomStream) -> Draw:
        """Refused: which bits belong to which memory is not known by their number alone."""
        raise InputError("faults by memory are drawn in a space; use fkeras.campaign(model, data, faults={...})")

    def scaled(self, share: float) -> PerMemory:
        """A share of what adds up: transients and stuck bits, which do not, are as many."""
        parts: list[tuple[str, Any]] = list(self.parts)
        lasting = [(n, m if isinstance(m, Transient | StuckAt) else m.scaled(share)) for n, m in parts]
        return replace(self, parts=tuple(lasting))

    def with_sizes(self, n_bits: int) -> Iterator[tuple[str, FaultModel, int]]:
        """Each memory with its model and its bits; n_bits: for those that are not known yet."""
        for number, (name, model) in enumerate(self.parts):
            yield name, model, self.sizes[number] if self.sizes else n_bits

    def short(self, n_bits: int) -> str:
        """A word for tables."""
        texts = []
        for name, model, size in self.with_sizes(n_bits):
            own = getattr(model, "short", None)
            texts.append(f"{name} {own(size) if callable(own) else type(model).__name__}")
        return " + ".join(texts)

    def describe(self, n_bits: int) -> str:
        parts = (f"{name}: {model.describe(size)}" for name, model, size in self.with_sizes(n_bits))
        return "; ".join((*parts, *(f"{name}: no faults" for name in self.others)))


def draw_on(space: BitSpace, model: FaultModel, key_for: Callable[[BitSpace, FaultModel], StreamOf], n: int) -> Draw:
    """What a model draws in a space; n: samples, each of which is an inference.

    key_for: the streams of a space and a model. A part of `PerMemory` draws what it draws in its memory alone.
    """
    if isinstance(model, PerMemory):
        parts = [space.part(name) for name, _ in model.on(space).parts]
        draws = [draw_on(part, each, key_for, n) for (part, _), (_, each) in zip(parts, model.parts, strict=True)]
        return together([(draw, bits) for draw, (_, bits) in zip(draws, parts, strict=True)])
    if isinstance(model, Transient):
        if space.tensors:
            raise InputError(
                f"{model}: tensor '{space.tensors[0].path}' is stored, and a stored bit that flips stays wrong until "
                "it is written anew; name a model for each memory, as in "
                "faults={'weights': fkeras.BitErrorRate(1e-6), 'activations': fkeras.Transient(ber=1e-6)}"
            )
        return model.draw_samples(len(space), n, key_for(space, model))
    return drawn(model, len(space), key_for(space, model)())


def together(draws: list[tuple[Draw, Bits]]) -> Draw:
    """The draws on parts of a memory as one; bits: of each part."""
    sets: dict[str, list[Bits]] = {name: [] for name in ("flips", "set_to_1", "set_to_0", "samples", "bits")}
    hits, events, n_events = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)], 0
    for draw, bits in draws:
        faults = draw.faults
        for name in ("flips", "set_to_1", "set_to_0"):
            sets[name].append(bits[getattr(faults, name)])
        sets["samples"].append(faults.in_samples.samples)
        sets["bits"].append(bits[faults.in_samples.bits])
        hit, event = draw.cells
        hits.append(bits[hit])
        events.append(event + n_events)
        n_events += int(event.max(initial=-1)) + 1
    flips, ones, zeros, samples, in_samples = (np.concatenate(part) for part in sets.values())
    return Draw(
        FaultSet(flips, ones, zeros, in_samples=SampleFlips(samples, in_samples)),
        sum(draw.n_hits for draw, _ in draws),
        sum(draw.n_cancelled for draw, _ in draws),
        np.concatenate(hits),
        np.concatenate(events),
    )


_OBJECT_ADDRESS = re.compile(r"\bat 0x[0-9a-fA-F]+")
Faults = int | FaultModel | Mapping[str, "int | FaultModel"]
"""What `faults=` may be: a number of flips, a fault model, or one of these for each memory."""


def never_faults(model: FaultModel) -> bool:
    """Whether a fault model of this package draws nothing in any memory: no flips, probability 0, no exposure."""
    if isinstance(model, PerMemory):
        return all(never_faults(each) for _, each in model.parts)
    if isinstance(model, Transient):
        return never_faults(model.per_inference)
    if isinstance(model, FlipCount):
        return model.n_faults == 0
    if isinstance(model, StuckAt):
        return model.n == 0
    if isinstance(model, BitErrorRate):
        return model.ber == 0
    events = getattr(model, "events", None)
    return (isinstance(model, Exposure) and model.mean_upsets(1) == 0) or (events is not None and never_faults(events))


def memories_of(faults: Faults | None) -> tuple[str, ...]:
    """The memories that faults are of where nobody says another one."""
    return tuple(faults) if isinstance(faults, Mapping) else ("weights",)


def fault_model(faults: Faults) -> FaultModel:
    """A count means that many distinct flips, a dict a model for each memory; a fault model is itself."""
    if isinstance(faults, Mapping):
        return PerMemory.of(faults)
    if isinstance(faults, int | np.integer):
        return FlipCount(faults)
    if not callable(getattr(faults, "draw", None)) or not callable(getattr(faults, "describe", None)):
        raise InputError(
            Argument("faults", faults),
            ": allowed are a number of flips or a fault model (FlipCount, BitErrorRate, Exposure, ClusteredUpsets, "
            "Transient, StuckAt, or an object with draw and describe), or a dict of these by memory",
        )
    if _OBJECT_ADDRESS.search(key_of(faults)):
        raise InputError(
            Argument("faults", faults),
            ": the repr of a fault model is part of every trial's seed, and this one holds a memory address that "
            "differs from run to run; give the class a __repr__ that names its parameters (a dataclass has one)",
        )
    return faults


def placed(model: FaultModel, space: BitSpace) -> FaultModel:
    """A fault model in a memory: one of several memories learns their sizes. InputError where it names others."""
    return model.on(space) if isinstance(model, PerMemory) else model


def trial_key(space: BitSpace, model: FaultModel, seed: int, trial: int) -> tuple[int, str, str, int]:
    """What the streams of one trial are made of: not the order of trials, not the weights."""
    return whole_seed(seed), space.layout_digest, key_of(fault_model(model)), int(trial)


def draw_trial(space: BitSpace, model: FaultModel, seed: int, trial: int, n_samples: int = 0) -> Draw:
    """Trial number `trial` of a campaign; n_samples: inferences, each of which draws its own transients."""
    return draw_plane(space, model, seed, trial, 0, n_samples)


def draw_plane(space: BitSpace, model: FaultModel, seed: int, trial: int, plane: int, n_samples: int) -> Draw:
    """What a trial does to the memory (plane 0), or to a further array of the same size."""

    def streams(part: BitSpace, each: FaultModel) -> StreamOf:
        key = trial_key(part, each, seed, trial)
        if plane:
            return lambda *block: RandomStream("fkeras-copy/1", *key, plane, *block)
        return lambda *block: RandomStream("fkeras-trial/1", *key, *block)

    return draw_on(space, model, streams, n_samples)
