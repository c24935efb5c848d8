"""Fault models: how many bits go wrong, and which; the paper's section 3.2 and beyond."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from math import expm1
from typing import ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from fkeras.errors import Argument, InputError, is_number, whole
from fkeras.faults.fault_set import FaultSet
from fkeras.faults.stream import RandomStream

Bits = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Draw:
    """What one exposure did: the faults, the number of hits, and how many of those undid one another.

    hits: (n_hits,) the bit of every single hit, in no order; events: (n_hits,) the number of the particle behind it,
    from 0 up. None: every flip is a hit of its own.
    """

    faults: FaultSet
    n_hits: int
    n_cancelled: int = 0
    hits: Bits | None = field(default=None, compare=False, repr=False)
    events: Bits | None = field(default=None, compare=False, repr=False)

    @property
    def cells(self) -> tuple[Bits, Bits]:
        """The bit and the event of every hit, (n,) int64 each."""
        hits = self.faults.flips if self.hits is None else self.hits
        return hits, np.arange(hits.size) if self.events is None else self.events


class FaultModel(Protocol):
    """Draws the faults of one trial, uniformly over all bits of a memory.

    It may have a `key`, a text that every trial's seed is made of (its repr where it has none), and a `short(n_bits)`,
    a word for tables (its class' name).
    """

    def draw(self, n_bits: int, stream: RandomStream) -> Draw:
        """The faults of one trial in a memory of `n_bits`."""

    def describe(self, n_bits: int) -> str:
        """One line for reports."""


class Keyed:
    """A frozen dataclass with a key of its class and its fields, those in `_unkeyed` left out."""

    __slots__ = ()
    _unkeyed: ClassVar[tuple[str, ...]] = ()

    @property
    def key(self) -> str:
        """What the seeds of its draws are made of: trials that were stored are drawn again only while it stays."""
        names = [field.name for field in fields(self) if field.name not in self._unkeyed]  # type: ignore[arg-type]
        return f"{type(self).__qualname__}({', '.join(f'{name}={key_of(getattr(self, name))}' for name in names)})"


def key_of(value: object) -> str:
    """The key of a fault model, or of a part of one; the repr where there is none."""
    key = getattr(value, "key", None)
    return key if isinstance(key, str) else repr(value)


MOST_UPSETS = 1e8
"""More expected upsets than this in one trial are a mistake in a unit: no memory here has that many bits."""


def non_negative(what: str, value: float) -> float:
    """`value` as a float. InputError unless it is a finite number from 0 up."""
    if not (is_number(value) and value >= 0):
        raise InputError(Argument(what, value, " is "), "; allowed are finite numbers from 0 up")
    return float(value)


@dataclass(frozen=True, slots=True)
class FlipCount(Keyed):
    """Exactly `n_faults` distinct bits flip, uniformly over the whole memory (protected bits included).

    Arguments:
        n_faults: how many bits, a whole number from 0 up.
        exposure_seconds: the time over which they arrive, None: unknown. Only scrubbing needs it; the bits drawn do
            not depend on it.
    """

    n_faults: int
    exposure_seconds: float | None = field(default=None, repr=False)
    _unkeyed: ClassVar[tuple[str, ...]] = ("exposure_seconds",)

    def __post_init__(self) -> None:
        object.__setattr__(self, "n_faults", whole("n_faults", self.n_faults, 0))
        _set_exposure(self)

    def draw(self, n_bits: int, stream: RandomStream) -> Draw:
        if self.n_faults > n_bits:
            raise InputError(
                f"{self.n_faults} distinct faults do not fit into a memory of {n_bits} bits; ask for that many at most"
            )
        return Draw(FaultSet(stream.distinct(self.n_faults, n_bits)), self.n_faults)

    def flip_probability(self, n_bits: int, share: float = 1.0) -> float:
        """How probably one cell is wrong after a share of the exposure, if it was right before."""
        return share * self.n_faults / n_bits if n_bits else 0.0

    def scaled(self, share: float) -> FlipCount:
        """A share of the flips, rounded to a whole number."""
        return replace(self, n_faults=round(non_negative("share", share) * self.n_faults))

    def short(self, n_bits: int) -> str:
        """A word for tables."""
        return str(self.n_faults)

    def describe(self, n_bits: int) -> str:
        return f"{self.n_faults} distinct bits, uniform over {n_bits:,}{_over(self.exposure_seconds)}"


@dataclass(frozen=True, slots=True)
class BitErrorRate(Keyed):
    """Every bit flips independently with the same probability.

    Arguments:
        ber: the probability, 0 to 1.
        exposure_seconds: as for `FlipCount`.
    """

    ber: float
    exposure_seconds: float | None = field(default=None, repr=False)
    _unkeyed: ClassVar[tuple[str, ...]] = ("exposure_seconds",)

    def __post_init__(self) -> None:
        if not (is_number(self.ber) and 0 <= self.ber <= 1):
            raise InputError(Argument("ber", self.ber, " is "), ", a probability per bit; allowed are 0 to 1")
        object.__setattr__(self, "ber", float(self.ber))
        _set_exposure(self)

    def draw(self, n_bits: int, stream: RandomStream) -> Draw:
        flips = stream.bernoulli(n_bits, self.ber)
        return Draw(FaultSet(flips), flips.size)

    def flip_probability(self, n_bits: int, share: float = 1.0) -> float:
        """How probably one cell is wrong after a share of the exposure, if it was right before."""
        return share * self.ber

    def scaled(self, share: float) -> BitErrorRate:
        """A share of the probability."""
        return replace(self, ber=non_negative("share", share) * self.ber)

    def short(self, n_bits: int) -> str:
        """A word for tables."""
        return f"ber {self.ber:g}"

    def describe(self, n_bits: int) -> str:
        expected = f"{self.ber * n_bits:.4g} of {n_bits:,} bits expected"
        return f"bit error rate {self.ber:g}, {expected}{_over(self.exposure_seconds)}"


@dataclass(frozen=True, slots=True)
class Exposure(Keyed):
    """A Poisson number of upsets over a time; each hits a uniformly drawn bit.

    Give one of the two rates. Two hits on one bit undo one another and are counted.

    Arguments:
        exposure_seconds: how long, in seconds.
        upsets_per_bit_second: the rate per bit and second.
        upsets_per_second: the rate of the whole memory, per second.

    The paper's four hours with one upset every 15 s:
    >>> Exposure(4 * 3600, upsets_per_second=1 / 15).mean_upsets(12_720)
    960.0
    """

    exposure_seconds: float
    upsets_per_bit_second: float | None = None
    upsets_per_second: float | None = None

    def __post_init__(self) -> None:
        if (self.upsets_per_bit_second is None) == (self.upsets_per_second is None):
            raise InputError(
                "an exposure has one rate: give upsets_per_bit_second, or upsets_per_second for the whole memory"
            )
        for what in ("exposure_seconds", "upsets_per_bit_second", "upsets_per_second"):
            value = getattr(self, what)
            if value is not None:
                object.__setattr__(self, what, non_negative(what, value))
        if self.exposure_seconds is None:
            raise InputError("exposure_seconds is None; allowed are finite numbers from 0 up")

    @classmethod
    def from_cross_section(
        cls,
        *,
        cross_section_cm2_per_bit: float,
        flux_per_cm2_second: float,
        exposure_seconds: float,
        safety_factor: float = 1.0,
    ) -> Exposure:
        """Cross-section x flux x safety factor, per bit and second."""
        for what, value in (
            ("cross_section_cm2_per_bit", cross_section_cm2_per_bit),
            ("flux_per_cm2_second", flux_per_cm2_second),
            ("safety_factor", safety_factor),
        ):
            non_negative(what, value)
        return cls(exposure_seconds, cross_section_cm2_per_bit * flux_per_cm2_second * safety_factor)

    def mean_upsets(self, n_bits: int) -> float:
        """The expected number of upsets in a memory of `n_bits`."""
        if self.upsets_per_second is not None:
            return self.upsets_per_second * self.exposure_seconds
        assert self.upsets_per_bit_second is not None
        return self.upsets_per_bit_second * n_bits * self.exposure_seconds

    def draw(self, n_bits: int, stream: RandomStream) -> Draw:
        mean = self.mean_upsets(n_bits) if n_bits else 0.0
        if mean > MOST_UPSETS:
            raise InputError(
                f"{self}: {mean:.3g} upsets expected in {n_bits} bits; allowed are up to {MOST_UPSETS:g}, "
                "check the units of rate and exposure"
            )
        n_hits = stream.poisson(mean)
        hits = stream.integers(n_hits, n_bits) if n_hits else np.zeros(0, np.int64)
        return draw_of(hits)

    def flip_probability(self, n_bits: int, share: float = 1.0) -> float:
        """How probably one cell is wrong after a share of the exposure, if it was right before: hit an odd number of
        times."""
        return -expm1(-2 * share * self.mean_upsets(n_bits) / n_bits) / 2 if n_bits else 0.0

    def scaled(self, share: float) -> Exposure:
        """A share of the time, at the same rate."""
        return replace(self, exposure_seconds=non_negative("share", share) * self.exposure_seconds)

    def short(self, n_bits: int) -> str:
        """A word for tables."""
        return f"~{self.mean_upsets(n_bits):.4g}"

    def describe(self, n_bits: int) -> str:
        rate = (
            f"{self.upsets_per_second:g} upsets/s on the memory"
            if self.upsets_per_second is not None
            else f"{self.upsets_per_bit_second:g} upsets/bit/s"
        )
        return (
            f"Poisson, {rate} for {self.exposure_seconds:g} s, {self.mean_upsets(n_bits):.4g} upsets expected, "
            "a bit may be hit twice"
        )


def odd_ones(numbers: Bits) -> Bits:
    """Those of the numbers that occur an odd number of times, sorted."""
    distinct, times = np.unique(numbers, return_counts=True)
    odd: Bits = distinct[times % 2 == 1]
    return odd


def draw_of(hits: Bits, events: Bits | None = None) -> Draw:
    """The draw that single hits make; two on one bit undo one another."""
    flips = odd_ones(hits)
    return Draw(FaultSet(flips), hits.size, hits.size - flips.size, hits, events)


def _set_exposure(model: FlipCount | BitErrorRate) -> None:
    seconds = model.exposure_seconds
    if seconds is not None:
        object.__setattr__(model, "exposure_seconds", non_negative("exposure_seconds", seconds))


def _over(exposure_seconds: float | None) -> str:
    return "" if exposure_seconds is None else f", spread over {exposure_seconds:g} s"


def drawn(model: FaultModel, n_bits: int, stream: RandomStream) -> Draw:
    """What a fault model draws in a memory of `n_bits`. InputError for one that returns something else than a Draw."""
    draw: object = model.draw(n_bits, stream)
    if isinstance(draw, Draw) and isinstance(draw.faults, FaultSet) and isinstance(draw.n_hits, int | np.integer):
        return draw
    what = f"Draw({draw.faults!r}, {draw.n_hits!r})" if isinstance(draw, Draw) else f"a {type(draw).__name__}"
    raise InputError(
        Argument("faults", model),
        f": its draw(n_bits, stream) returned {what}; it returns the faults and how many hits made them, as in "
        "fkeras.faults.Draw(fkeras.FaultSet(bits), len(bits))",
    )
