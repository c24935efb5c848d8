"""How faults add up in a memory: one flip after another, or upsets in time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from fkeras.errors import InputError
from fkeras.faults import Draw, Exposure, FaultSet, RandomStream
from fkeras.faults.fault_models import MOST_UPSETS, Keyed, draw_of

Looks = NDArray[np.float64]


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
        ...

    @property
    def key(self) -> str:
        """What the seeds of histories are made of."""
        ...

    def history(self, n_bits: int, looks: Looks, stream: RandomStream) -> list[State]:
        """What has hit an array of `n_bits` by each look of one trial."""
        ...

    def describe(self) -> str:
        """A few words for reports."""
        ...


@dataclass(frozen=True, slots=True)
class OneByOne(Keyed):
    """Distinct bits flip one after another, uniformly over the memory; a look is a number of flips."""

    @property
    def unit(self) -> str:
        return "flips"

    def history(self, n_bits: int, looks: Looks, stream: RandomStream) -> list[State]:
        order = np.argsort(stream.raw(n_bits), kind="stable")
        return [State(Draw(FaultSet(order[: int(look)]), int(look))) for look in looks]

    def describe(self) -> str:
        return "distinct bits flip one after another"


@dataclass(frozen=True, slots=True)
class InTime(Keyed):
    """Upsets arrive in time (Poisson), each at a uniformly drawn bit; two hits on one bit cancel.

    rate: an Exposure of one second; a look is a number of seconds.
    """

    rate: Exposure

    @property
    def unit(self) -> str:
        return "seconds"

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
