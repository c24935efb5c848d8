"""How faults add up in a memory: one flip after another, or upsets in time, memory by memory."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from fkeras.errors import Argument, InputError
from fkeras.faults import Draw, Exposure, Faults, FaultSet, RandomStream, StuckAt, Transient, fault_model, placed
from fkeras.faults.fault_models import MOST_UPSETS, FaultModel, Keyed, draw_of, key_of
from fkeras.faults.memories import PerMemory, StreamOf, draw_on, together
from fkeras.memory import BitSpace

Looks = NDArray[np.float64]
StreamFor = Callable[[BitSpace, str], StreamOf]
"""The streams of a memory and the key of what happens to it."""


@dataclass(frozen=True, slots=True, eq=False)
class State:
    """What has hit an array by a look; ages: how long before it each hit came, as shares of it, (n,), None: unknown."""

    draw: Draw
    ages: NDArray[np.float64] | None = None


class Accumulation(Protocol):
    """How faults add up in one memory."""

    @property
    def unit(self) -> str:
        """What looks are counted in."""

    @property
    def key(self) -> str:
        """What the seeds of histories are made of."""

    @property
    def begins_without_faults(self) -> bool:
        """Whether the network computes without any before the first look."""

    def pace(self, n_bits: int) -> tuple[int, float]:
        """How many bits of a memory of so many fill up, and how many faults come in a unit."""

    def states(self, space: BitSpace, looks: Looks, streams: StreamFor, n_samples: int) -> list[State]:
        """What has hit an array laid out like a memory by each look of one trial, which infers so many samples."""

    def describe(self) -> str:
        """A few words for reports."""


class _OneMemory(Keyed):
    """What does not tell the memories of a chip apart."""

    __slots__ = ()

    begins_without_faults: ClassVar[bool] = True

    def states(self, space: BitSpace, looks: Looks, streams: StreamFor, n_samples: int) -> list[State]:
        return self.history(len(space), looks, streams(space, self.key)())

    def history(self, n_bits: int, looks: Looks, stream: RandomStream) -> list[State]:
        """What has hit an array of `n_bits` by each look of one trial."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class OneByOne(_OneMemory):
    """Distinct bits flip one after another, uniformly over the memory; a look is a number of flips."""

    unit: ClassVar[str] = "flips"

    def pace(self, n_bits: int) -> tuple[int, float]:
        return n_bits, 1.0

    def history(self, n_bits: int, looks: Looks, stream: RandomStream) -> list[State]:
        order = np.argsort(stream.raw(n_bits), kind="stable")
        return [State(Draw(FaultSet(order[: int(look)]), int(look))) for look in looks]

    def describe(self) -> str:
        return "distinct bits flip one after another"


@dataclass(frozen=True, slots=True)
class InTime(_OneMemory):
    """Upsets arrive in time (Poisson), each at a uniformly drawn bit; two hits on one bit cancel.

    rate: an Exposure of one second; a look is a number of seconds.
    """

    rate: Exposure

    unit: ClassVar[str] = "seconds"

    def pace(self, n_bits: int) -> tuple[int, float]:
        return n_bits, self.rate.mean_upsets(n_bits)

    def history(self, n_bits: int, looks: Looks, stream: RandomStream) -> list[State]:
        end = float(looks[-1])
        mean = self.rate.mean_upsets(n_bits) * end
        if mean > MOST_UPSETS:
            raise InputError(
                f"{mean:.3g} upsets expected in {end:g} s in {n_bits:,} bits; allowed are up to {MOST_UPSETS:g}, "
                "check the units of rate and exposure"
            )
        n_hits = stream.poisson(mean) if n_bits else 0
        bits = stream.integers(n_hits, n_bits) if n_hits else np.zeros(0, np.int64)
        # Given their number, the times of a Poisson process are independent and uniform.
        seconds = stream.uniform(n_hits) * end
        states = []
        for look in looks.tolist():
            past = seconds <= look
            states.append(State(draw_of(bits[past]), 1 - seconds[past] / look))
        return states

    def describe(self) -> str:
        rate = self.rate
        if rate.upsets_per_second is not None:
            return f"Poisson, {rate.upsets_per_second:g} upsets/s on the memory, a bit may be hit twice"
        return f"Poisson, {rate.upsets_per_bit_second:g} upsets/bit/s, a bit may be hit twice"


@dataclass(frozen=True, slots=True)
class InTimeByMemory(Keyed):
    """Several memories side by side: in those with an Exposure upsets add up, transients are of each look's own
    inferences, and stuck bits are so from the beginning.

    faults: a model for each memory, which knows the sizes of these. Each draws what it draws in its memory alone.
    """

    faults: PerMemory

    unit: ClassVar[str] = "seconds"

    @property
    def begins_without_faults(self) -> bool:
        return all(isinstance(model, Exposure) for _, model in self.faults.parts)

    def pace(self, n_bits: int) -> tuple[int, float]:
        parts = self.faults.with_sizes(n_bits)
        paces = [in_time(model).pace(size) for _, model, size in parts if isinstance(model, Exposure)]
        return sum(size for size, _ in paces), sum(upsets for _, upsets in paces)

    def states(self, space: BitSpace, looks: Looks, streams: StreamFor, n_samples: int) -> list[State]:
        parts = [space.part(name) for name, _ in self.faults.parts]
        histories = [
            _states_of(model, part, looks, streams, n_samples)
            for (part, _), (_, model) in zip(parts, self.faults.parts, strict=True)
        ]
        return [
            State(
                together([(state.draw, bits) for state, (_, bits) in zip(states, parts, strict=True)]),
                np.concatenate([np.zeros(0), *(state.ages for state in states if state.ages is not None)]),
            )
            for states in zip(*histories, strict=True)
        ]

    def describe(self) -> str:
        texts = []
        for name, model, size in self.faults.with_sizes(0):
            text = in_time(model).describe() if isinstance(model, Exposure) else model.describe(size)
            texts.append(f"{name}: {text}" + ", drawn anew at each look" * isinstance(model, Transient))
        return "; ".join((*texts, *(f"{name}: no faults" for name in self.faults.others)))


def in_time(model: Exposure) -> InTime:
    """Upsets at the rate of an exposure, however long it is."""
    return InTime(replace(model, exposure_seconds=1.0))


def _states_of(model: FaultModel, space: BitSpace, looks: Looks, streams: StreamFor, n_samples: int) -> list[State]:
    if isinstance(model, Exposure):
        return in_time(model).states(space, looks, streams, n_samples)

    def drawn(look: float) -> State:
        moment = [look] if isinstance(model, Transient) else []
        return State(draw_on(space, model, lambda part, each: partial(streams(part, key_of(each)), *moment), n_samples))

    return [drawn(look) for look in looks.tolist()]


def exposures_in(model: FaultModel, n_bits: int) -> list[tuple[Exposure, int]]:
    """The upsets that add up in time, each with the bits of its memory; none where something adds up in another way."""
    parts = list(model.with_sizes(n_bits)) if isinstance(model, PerMemory) else [("", model, n_bits)]
    if not all(isinstance(part, Exposure | Transient | StuckAt) for _, part, _ in parts):
        return []
    return [(part, size) for _, part, size in parts if isinstance(part, Exposure)]


def accumulating(faults: Faults, space: BitSpace) -> tuple[Accumulation, float]:
    """How faults add up that are stated as for a campaign, and how long its exposures last. InputError for others."""
    model = placed(fault_model(faults), space)
    exposures = exposures_in(model, len(space))
    if not exposures:
        raise InputError(
            f"{model!r}: allowed are upsets in time, a fkeras.Exposure, or a dict of memories with at least one, and "
            "Transient and StuckAt beside it; flips one after another are what adds up without ", Argument("faults")
        )  # fmt: skip
    seconds = max(exposure.exposure_seconds for exposure, _ in exposures)
    return (InTimeByMemory(model) if isinstance(model, PerMemory) else in_time(exposures[0][0])), seconds
