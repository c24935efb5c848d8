"""How soon a search for dangerous bits finds them: rankings, BinFI and StatFI on the same axes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fkeras.errors import InputError
from fkeras.memory import BitSpace
from fkeras.sensitivity.baselines import BinFI
from fkeras.sensitivity.ranking import Ranking

Bits = NDArray[np.int64]
Flags = NDArray[np.bool_]
Values = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Discovery:
    """When each judged bit is met.

    name: what searched; met_after: (n,) flips spent when each bit was flipped or implied, infinite for a bit that
    never is. The order of the bits is the judge's.
    """

    name: str
    met_after: Values

    def damage_curve(self, damage: Values) -> tuple[Values, Values]:
        """The paper's Figs. 7 and 8: (flips spent, damage known by then), a point whenever a bit is met, from (0, 0).

        damage: (n,) the size of each bit's damage, which the second array adds up; divide it by damage.sum() for
        shares. A search that never finds some bits ends early.
        """
        found = np.flatnonzero(np.isfinite(self.met_after))
        order = found[np.argsort(self.met_after[found], kind="stable")]
        return (
            np.concatenate([[0.0], self.met_after[order]]),
            np.concatenate([[0.0], np.cumsum(damage[order])]),
        )

    def flips_for_top_sensitive(self, damage: Values, sensitive: Flags, shares: Sequence[float]) -> Values:
        """The paper's Figs. 9 and 10: flips, as a share of all bits, until the top of the sensitive bits is known.

        shares: of the sensitive bits, most damaging first; at least one bit each. Infinite where the search misses
        one of them. Bits of equal damage count in the order in which they are met.
        """
        candidates = np.flatnonzero(sensitive)
        if candidates.size == 0:
            return np.zeros(len(shares))
        order = candidates[np.lexsort((self.met_after[candidates], -damage[candidates]))]
        worst: Values = np.maximum.accumulate(self.met_after[order])
        wanted = [max(1, round(share * candidates.size)) for share in shares]
        needed: Values = worst[np.array(wanted) - 1] / self.met_after.size
        return needed

    def missed(self, sensitive: Flags) -> Bits:
        """False negatives: places (in the judge's order) of sensitive bits that are never met."""
        return np.flatnonzero(sensitive & np.isinf(self.met_after))


def discovered_by_ranking(ranking: Ranking, bits: Bits) -> Discovery:
    """A ranking walked over the judged bits only, (n,) flat indices; the others are left out of the count."""
    place = np.empty(len(ranking), np.int64)
    place[ranking.order] = np.arange(len(ranking))
    met = np.empty(bits.size, np.float64)
    met[np.argsort(place[bits], kind="stable")] = np.arange(1.0, bits.size + 1)
    return Discovery(ranking.method, met)


def discovered_by_flips(name: str, flipped: Bits, n_bits: int) -> Discovery:
    """Bits flipped one after another, (m,) flat indices below n_bits: StatFI, or BinFI's actual flips."""
    if np.unique(flipped).size != flipped.size:
        raise InputError(f"'{name}' flips a bit twice; each bit is met once")
    met = np.full(n_bits, np.inf)
    met[flipped] = np.arange(1.0, flipped.size + 1)
    return Discovery(name, met)


def discovered_by_implication(name: str, found: BinFI, space: BitSpace) -> Discovery:
    """BinFI's flips and the bits above each boundary, which are known once their word is searched."""
    met = discovered_by_flips(name, found.probes, len(space)).met_after
    for spent, bits in found.implied_steps(space):
        met[bits] = np.minimum(met[bits], float(spent))
    return Discovery(name, met)
