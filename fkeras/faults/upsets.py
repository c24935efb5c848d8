"""Upsets: what one trial does to a memory, and to further cells that a protection adds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from fkeras.errors import Argument, InputError, Name
from fkeras.faults.fault_models import Bits, Draw, FaultModel, draw_of
from fkeras.faults.fault_set import FaultSet
from fkeras.faults.memories import draw_plane, trial_key
from fkeras.faults.scrubbing import Scrubbing
from fkeras.faults.stream import RandomStream
from fkeras.memory import BitSpace


@dataclass(frozen=True, slots=True, eq=False)
class Hits:
    """Single hits on cells; (n,) int64 each.

    bit: the logical bit; copy: 0 is the memory's own cell; event: the particle, numbered within its plane;
    plane: whose events they are, 0 for those of the trial's own draw.
    """

    bit: Bits
    copy: Bits
    event: Bits
    plane: Bits


@dataclass(frozen=True, slots=True, eq=False)
class Upsets:
    """One trial's upsets.

    space: the memory; draw: what happened to it; further: the draw on the i-th further array of the same size, i from
    1 up, None where nothing but one cell is hit; exposure_seconds: how long it took, None: unknown; ages: (plane, n)
    -> how long before the end each of n events came, as shares of the exposure, (n,) in (0, 1], None: unknown;
    copies: the bits -> hits on their copies where these share an array, None: each further copy has its own;
    now_seconds: how long before the end of the exposure this is for each bit, (n_bits,), None: the end itself.
    """

    space: BitSpace
    draw: Draw
    further: Callable[[int], Draw] | None = None
    exposure_seconds: float | None = None
    ages: Callable[[int, int], np.ndarray] | None = None
    copies: Callable[[Bits], Hits | None] | None = None
    what: str = "these faults"
    now_seconds: NDArray[np.float64] | None = None

    @classmethod
    def alone(cls, space: BitSpace, faults: FaultSet) -> Upsets:
        """These faults in the memory, this moment, and nothing else."""
        return cls(space, Draw(faults, len(faults)), None, 0.0, lambda plane, n: np.zeros(n))

    @property
    def faults(self) -> FaultSet:
        """The faults of the memory, before any protection."""
        return self.draw.faults

    def hits_on(self, bits: Bits, n_copies: int) -> Hits:
        """Every hit on the cells of `bits` (sorted) and on their n_copies - 1 further copies."""
        if self.faults.n_stuck:
            stuck = np.concatenate([self.faults.set_to_1, self.faults.set_to_0])
            if np.isin(stuck, bits).any():
                first = int(stuck[np.isin(stuck, bits)][0])
                raise InputError(
                    f"bit {first} is stuck: only upsets, bits that flip, are modelled under a protection that repairs; "
                    "use fkeras.AssumedImmune, or a fault model whose draws flip"
                )
        placed = self.copies(bits) if self.copies is not None and n_copies == 3 else None
        if placed is not None:
            return placed
        planes = range(n_copies if self.further is not None else 1)
        columns = []
        for plane in planes:
            hit, event = self.plane(plane).cells
            on = np.isin(hit, bits)
            columns.append(np.stack([hit[on], np.full(on.sum(), plane), event[on], np.full(on.sum(), plane)]))
        bit, copy, event, plane_of = np.concatenate(columns, axis=1)
        return Hits(bit, copy, event, plane_of)

    def plane(self, number: int) -> Draw:
        """The draw on the memory (0) or on a further array of the same size."""
        if number == 0:
            return self.draw
        return Draw(FaultSet.EMPTY, 0) if self.further is None else self.further(number)

    def intervals(self, bit: Bits, plane: Bits, event: Bits, scrubbing: Scrubbing) -> Bits:
        """In which interval between two scrubs each event fell, (n,); 0 is the last one, which ends with the exposure.

        bit, plane, event: (n,) as in `Hits`; any bit of the word that was hit. InputError when the times are not known.
        """
        if scrubbing.seconds is None:
            return np.zeros(event.size, np.int64)
        intervals = scrubbing.interval_of(self.ages_of(plane, event, scrubbing))
        return intervals if self.now_seconds is None else intervals - scrubbing.interval_of(self.now_seconds[bit])

    def ages_of(self, plane: Bits, event: Bits, scrubbing: Scrubbing) -> NDArray[np.float64]:
        """How many seconds before the end of the exposure each event came, (n,); scrubbing: what needs to know."""
        if self.exposure_seconds is None or self.ages is None:
            raise InputError(
                Argument("scrub_interval_seconds", Name(f"{scrubbing.seconds:g}")),
                f": {self.what} do not say how long they took to arrive; give exposure_seconds, as in ",
                Argument("exposure_seconds", 14400),
                " or fkeras.FlipCount(960, exposure_seconds=14400), or leave scrub_interval_seconds out (never "
                "scrubbed)",
            )
        ages = np.zeros(event.size)
        for number in np.unique(plane).tolist():
            mine = plane == number
            ages[mine] = self.ages(number, int(event[mine].max()) + 1)[event[mine]]
        return ages * self.exposure_seconds

    def before(self, scrubs: Bits, scrubbing: Scrubbing) -> Upsets:
        """These as they were before a scrub, so many intervals before the end for each bit, (n_bits,), and before all
        that happen with it."""
        assert scrubbing.seconds is not None

        def has_come(bit: Bits, plane: Bits, event: Bits) -> NDArray[np.bool_]:
            # As scrubs are counted: whether an event came before one must not depend on who asks.
            return scrubbing.interval_of(self.ages_of(plane, event, scrubbing)) >= scrubs[bit]

        def draw(number: int) -> Draw:
            hit, event = self.plane(number).cells
            there = has_come(hit, np.full(event.size, number), event)
            return draw_of(hit[there], event[there])

        def copies(bits: Bits) -> Hits | None:
            hits = None if self.copies is None else self.copies(bits)
            if hits is None:
                return None
            there = has_come(hits.bit, hits.plane, hits.event)
            return Hits(hits.bit[there], hits.copy[there], hits.event[there], hits.plane[there])

        further = None if self.further is None else draw
        now_seconds = scrubs.astype(np.float64) * scrubbing.seconds
        return replace(self, draw=draw(0), further=further, copies=copies, now_seconds=now_seconds)


def trial_upsets(space: BitSpace, model: FaultModel, seed: int, trial: int, n_samples: int = 0) -> Upsets:
    """The upsets of trial number `trial`.

    The memory's own are those of `draw_trial`. Further arrays are drawn by the same model, so at the same rate per
    cell, from streams of their own: what protects which bits changes neither. A model whose events
    reach several copies of a bit draws these by itself, in a method as `ClusteredUpsets.draw_copies`.
    """
    n_bits = len(space)
    key = trial_key(space, model, seed, trial)
    place = getattr(model, "draw_copies", None)
    planes: dict[int, Draw] = {}

    def stream_of(plane: int) -> RandomStream:
        return RandomStream("fkeras-copy/1", *key, plane) if plane else RandomStream("fkeras-trial/1", *key)

    def further(plane: int) -> Draw:
        if plane not in planes:
            planes[plane] = draw_plane(space, model, seed, trial, plane, n_samples)
        return planes[plane]

    return Upsets(
        space,
        draw_plane(space, model, seed, trial, 0, n_samples),
        further,
        getattr(model, "exposure_seconds", None),
        lambda plane, n: RandomStream("fkeras-age/1", *key, plane).uniform(n),
        None if place is None else lambda bits: place(n_bits, bits, stream_of),
        model.describe(n_bits),
    )
