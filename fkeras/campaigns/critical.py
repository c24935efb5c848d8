"""Requirements on single flips: how many bits may be critical, what share of them sensitive."""

from __future__ import annotations

from dataclasses import dataclass

from fkeras.campaigns.limits import Limit
from fkeras.campaigns.verdict import Requirement
from fkeras.errors import InputError


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


def most_critical(limits: tuple[Limit, ...], most_bits: int, n_bits: int) -> SingleFlipRequirement:
    """At most `most_bits` of `n_bits` bits may break a limit alone. InputError for a number that nothing exceeds."""
    if most_bits >= n_bits:
        raise InputError(
            f"max_critical_bits={most_bits} could not fail: the memory has {n_bits:,} bits; allowed are 0 to "
            f"{n_bits - 1}"
        )
    return SingleFlipRequirement(limits, most_bits / n_bits, most_bits=most_bits)


def most_sensitive(limits: tuple[Limit, ...], share: float) -> SingleFlipRequirement:
    """At most a share of the bits may make the metric worse by more than a limit alone."""
    return SingleFlipRequirement(limits, share, kind="sensitive")
