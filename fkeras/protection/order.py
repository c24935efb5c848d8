"""What to protect first: bits, words or layers, by one ranking or by several of one layout."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from fkeras.errors import Argument, InputError
from fkeras.memory import BitSet, BitSpace
from fkeras.sensitivity import Ranking

Granularity = Literal["bit", "word", "layer"]
Aggregate = Literal["mean", "max"]
Bits = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Order:
    """Units of a memory, those most worth protecting first.

    bits: (n_bits,) the flat bits, unit after unit; ends: (n_units,) how many bits the first units have together.
    """

    bits: Bits
    ends: Bits
    layout_digest: str
    label: str

    def __len__(self) -> int:
        """Number of units."""
        return int(self.ends.size)

    def first(self, n_units: int) -> BitSet:
        """The bits of the first units."""
        n_bits = int(self.ends[n_units - 1]) if n_units else 0
        return BitSet(self.bits[:n_bits], self.layout_digest, f"{self.label}[:{n_units}]")

    def within(self, n_bits: int) -> int:
        """How many of the first units have at most `n_bits` bits together."""
        return int(np.searchsorted(self.ends, n_bits, side="right"))


def normalised_ranks(ranking: Ranking) -> NDArray[np.float64]:
    """1 for the most sensitive bit, down in equal steps to 1/n for the least, by flat index; (n,)."""
    n = len(ranking)
    ranks = np.empty(n)
    ranks[ranking.order] = (n - np.arange(n)) / n
    return ranks


def common_order(
    rankings: Sequence[Ranking], space: BitSpace, granularity: Granularity = "bit", aggregate: Aggregate = "mean"
) -> Order:
    """The order of units by all rankings together.

    A bit's score is the mean (or the largest) of its normalised ranks over the rankings; a word's or a layer's is the
    mean of its bits'. Ties by position in the memory. InputError for rankings of another layout, and for words or
    layers that all score alike, as those of "msb" do.
    """
    if granularity not in get_args(Granularity):
        raise InputError(Argument("granularity", granularity), "; allowed are 'bit', 'word' and 'layer'")
    if aggregate not in get_args(Aggregate):
        raise InputError(Argument("aggregate", aggregate), "; allowed are 'mean' and 'max'")
    if not rankings:
        raise InputError("no ranking to choose bits by; give at least one")
    for ranking in rankings:
        space.require_layout(ranking.layout_digest, f"{ranking!r}")
    ranks = np.stack([normalised_ranks(ranking) for ranking in rankings])
    score = ranks.max(axis=0) if aggregate == "max" else ranks.mean(axis=0)
    unit = _units(space, granularity)
    sizes = np.bincount(unit)
    if granularity != "bit" and sizes.size > 1 and all(_all_alike(ranking, unit, sizes) for ranking in rankings):
        raise InputError(
            f"ranking {rankings[0].method!r} scores all {granularity}s alike, so the first in the memory would be "
            f"protected; give data and a metric, or another method, which tell {granularity}s apart"
        )
    best_first = np.argsort(-(np.bincount(unit, weights=score) / sizes), kind="stable")
    place = np.empty_like(best_first)
    place[best_first] = np.arange(best_first.size)
    # Within a unit the bits keep their own order, which bits as units leave as it is.
    bits = np.lexsort((np.arange(unit.size), place[unit]))
    label = f"{granularity}s by {rankings[0].method!r}" + (f" of {len(rankings)} models" if len(rankings) > 1 else "")
    return Order(bits.astype(np.int64), np.cumsum(sizes[best_first]), space.layout_digest, label)


def _all_alike(ranking: Ranking, unit: Bits, sizes: Bits) -> bool:
    means = np.bincount(unit, weights=ranking.scores) / sizes
    return bool(np.allclose(means, means[0], rtol=1e-12, atol=0))


def _units(space: BitSpace, granularity: Granularity) -> Bits:
    """The number of the unit of each bit, (n_bits,); numbers without gaps, in the order of the memory."""
    n_bits = len(space)
    if granularity == "bit":
        return np.arange(n_bits)
    if granularity == "word":
        return np.cumsum(space.bit_positions == 0) - 1
    layers = [tensor.path.rpartition("/")[0] or tensor.path for tensor in space.arrays]
    numbers = {layer: number for number, layer in enumerate(dict.fromkeys(layers))}
    units = np.repeat([numbers[layer] for layer in layers], [tensor.n_bits for tensor in space.arrays])
    return np.unique(units, return_inverse=True)[1].astype(np.int64)
