"""Requirements on single flips: how many bits may be critical, what share of them sensitive."""

from __future__ import annotations

from dataclasses import dataclass, replace

from fkeras.campaigns.limits import Limit
from fkeras.campaigns.verdict import Requirement
from fkeras.errors import Argument, InputError, is_number, is_whole


@dataclass(frozen=True, slots=True)
class SingleFlipRequirement(Requirement):
    """Of all bits, each flipped alone, at most a share `max_failure_rate` may break one of `limits`; exact.

    most_bits: that share as a number of bits, where it was stated as one; kind: what such bits are called.
    """

    most_bits: int | None = None
    kind: str = "critical"

    def __str__(self) -> str:
        limits = ", ".join(str(limit) for limit in self.limits)
        most = f"{self.max_failure_rate:.4%}".rstrip("%").rstrip("0").rstrip(".") + " % of bits"
        if self.most_bits is not None:
            most = "no bit" if self.most_bits == 0 else f"{self.most_bits:,} bit" + "s" * (self.most_bits != 1)
        at_most = most if self.most_bits == 0 else f"at most {most}"
        return f"{at_most} {self.kind}: one flip alone breaks {limits}"

    def against(self, failures: int) -> str:
        return "" if self.most_bits is None else f"{failures:,} of {self.most_bits:,} allowed {self.kind} bits"

    def on(self, limits: tuple[Limit, ...], n_bits: int) -> SingleFlipRequirement:
        if self.most_bits is None:
            return replace(self, limits=limits)
        return replace(most_critical(limits, self.most_bits, n_bits), golden=self.golden)


def most_critical(limits: tuple[Limit, ...], most_bits: int, n_bits: int | None = None) -> SingleFlipRequirement:
    """At most `most_bits` of `n_bits` (None: not known yet) bits may break a limit alone.

    InputError for a number that nothing exceeds.
    """
    stated = Argument("max_critical_bits", most_bits)
    if not is_whole(most_bits, 0):
        raise InputError(stated, " is no count of bits; allowed are whole numbers from 0 up")
    if n_bits is not None and most_bits >= n_bits:
        raise InputError(stated, f" could not fail: the memory has {n_bits:,} bits; allowed are 0 to {n_bits - 1}")
    return SingleFlipRequirement(limits, most_bits / n_bits if n_bits else 0.0, most_bits=int(most_bits))


def most_sensitive(limits: tuple[Limit, ...], share: float) -> SingleFlipRequirement:
    """At most a share of the bits may make the metric worse by more than a limit alone."""
    if not (is_number(share) and 0 <= share < 1):
        wrong = " is no share of bits that could be exceeded; allowed are 0 up to, not including, 1"
        raise InputError(Argument("max_sensitive_fraction", share), wrong)
    return SingleFlipRequirement(limits, float(share), kind="sensitive")
