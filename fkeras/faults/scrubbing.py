"""Scrubbing: how often a protected memory is written anew, and from what."""

from __future__ import annotations

from dataclasses import dataclass
from math import floor
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from fkeras.errors import Argument, InputError, Name
from fkeras.faults.fault_models import Bits, non_negative

ScrubFrom = Literal["good copy", "itself"]


@dataclass(frozen=True, slots=True)
class Scrubbing:
    """A scrub every `seconds` (None: never), the last one a whole interval before the exposure ends.

    source: "good copy" writes what is right, so that only the last interval counts at the end; "itself" writes what
    the protection reads (the vote, the decoded word): what it reads wrongly stays wrong.
    """

    seconds: float | None = None
    source: ScrubFrom = "good copy"

    def __post_init__(self) -> None:
        if self.seconds is not None:
            seconds = non_negative("scrub_interval_seconds", self.seconds)
            if seconds == 0:
                raise InputError("scrub_interval_seconds is 0; allowed are finite numbers above 0, or None for never")
            object.__setattr__(self, "seconds", seconds)
        if self.source not in get_args(ScrubFrom):
            raise InputError(Argument("scrub_from", self.source, " is "), "; allowed are 'good copy' and 'itself'")
        if self.seconds is None and self.source == "itself":
            raise InputError(
                Argument("scrub_from", "itself"), " says nothing without ", Argument("scrub_interval_seconds"),
                "; give it too"
            )  # fmt: skip

    @property
    def keeps_errors(self) -> bool:
        """Whether what was read wrongly at a scrub stays wrong."""
        return self.seconds is not None and self.source == "itself"

    def interval_of(self, age_seconds: NDArray[np.float64]) -> Bits:
        """The number of whole intervals between an upset and the end, (n,)."""
        assert self.seconds is not None
        return np.floor(age_seconds / self.seconds).astype(np.int64)

    def shares(self, exposure_seconds: float | None) -> tuple[float, int, float]:
        """The share of the exposure that a whole interval is, how many there are, and the share of the rest.

        (1, 1, 0) where nothing is scrubbed. InputError when the exposure is not known.
        """
        if self.seconds is None:
            return 1.0, 1, 0.0
        if exposure_seconds is None:
            raise InputError(
                Argument("scrub_interval_seconds", Name(f"{self.seconds:g}")),
                " needs to know how long the faults took to arrive; give ",
                Argument("exposure_seconds"),
            )
        if exposure_seconds <= self.seconds:
            return 1.0, 1, 0.0
        share = self.seconds / exposure_seconds
        whole = floor(exposure_seconds / self.seconds * (1 + 1e-12))
        return share, whole, max(0.0, 1 - whole * share)

    def __str__(self) -> str:
        if self.seconds is None:
            return "never scrubbed"
        source = "a good copy" if self.source == "good copy" else "what it reads itself"
        return f"scrubbed every {self.seconds:g} s from {source}"


def turns_of(word: Bits, interval: Bits) -> Bits:
    """How many earlier intervals hit the same word before each hit's own; earlier ones have larger numbers."""
    order = np.lexsort((-interval, word))
    w, i = word[order], interval[order]
    new_word = np.r_[True, w[1:] != w[:-1]]
    later = np.r_[False, (w[1:] == w[:-1]) & (i[1:] != i[:-1])]
    counted = np.cumsum(later)
    turns = np.empty_like(word)
    turns[order] = counted - np.maximum.accumulate(np.where(new_word, counted, 0))
    return turns
