"""Maps of a memory, the paper's Fig. 4 in small, from what was measured or predicted about its bits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fkeras.campaigns.budget import CampaignResult
from fkeras.campaigns.oracle import Oracle
from fkeras.faults.joined import mended_bits
from fkeras.faults.protections import Protection
from fkeras.memory import BitSpace

_PROTECTED, _PLACE = "share of bits protected", "place in the ranking, 1 = first"
_SHARES = (_PROTECTED, _PLACE)

MOST_CRITICAL = 10
"""Bits that are named."""
COLUMNS = 240
"""Columns of a map's picture: with more words, a column is the mean over neighbouring ones."""


@dataclass(frozen=True, slots=True)
class TensorMap:
    """One tensor of a map: for each bit position (0 = MSB) the mean over its words; NaN where nothing is known."""

    path: str
    n_words: int
    mean: tuple[float, ...]
    largest: tuple[float, ...]

    @property
    def overall(self) -> float:
        """The mean over its bit positions that are known: how vulnerable the tensor is; NaN for none."""
        known = [value for value in self.mean if not np.isnan(value)]
        return float(np.mean(known)) if known else float("nan")


@dataclass(frozen=True, slots=True)
class MappedBit:
    """A bit by its address."""

    address: str
    value: float


@dataclass(frozen=True, slots=True)
class BitMap:
    """The paper's Fig. 4 in small: how much each bit position of each tensor matters.

    source: where the numbers come from; quantity: what they are; picture: a row per bit position, a column per word
    (or per `words_per_column` words, then means), NaN where a word lacks the position; critical: the bits of the
    largest values, where these are measured.
    """

    source: str
    quantity: str
    tensors: tuple[TensorMap, ...]
    picture: tuple[tuple[float, ...], ...]
    words_per_column: int
    critical: tuple[MappedBit, ...] = ()

    @property
    def bounds(self) -> tuple[float, float] | None:
        """What the quantity lies between whatever the memory, so that maps of it compare; None for no such bounds."""
        return (0.0, 1.0) if self.quantity in _SHARES else None

    @property
    def shown(self) -> str:
        """What a point of the picture is."""
        per_column = self.words_per_column
        return self.quantity if per_column == 1 else f"{self.quantity}, mean over {per_column} words"


def map_of_oracle(oracle: Oracle, space: BitSpace) -> BitMap:
    """|change of the metric| under each single flip that the oracle measured."""
    how = f"measured on {oracle.n_samples:,} samples"
    return _of_flips(oracle.bits, oracle.delta, space, oracle.metric, f"{len(oracle):,}", how)


def map_of_flips(bits: NDArray[np.int64], delta: NDArray[np.float64], space: BitSpace, metric: str) -> BitMap:
    """|change of the metric| under single flips that were stored: `delta` of each of `bits`."""
    part = f"{np.unique(bits).size:,} of {len(space):,}"
    return _of_flips(bits, delta, space, metric, part, "measured, read from the cache")


def _of_flips(
    bits: NDArray[np.int64], delta: NDArray[np.float64], space: BitSpace, metric: str, part: str, how: str
) -> BitMap:
    values = np.full(len(space), np.nan)
    values[bits] = np.abs(delta)
    share = f"{part} single flips" if np.isnan(values).any() else "every single flip"
    return map_of(values, space, f"{share} {how}", f"|change of {metric}|")


def map_of_exhaustive(result: CampaignResult, metric: str) -> BitMap:
    """|change of the metric| under each single flip of an exhaustive campaign; protected bits are unknown."""
    trials = result.by_metric[metric]
    values = np.where(result.residual == 0, np.nan, np.abs(trials.values - trials.golden.value))
    source = f"every unprotected single flip measured on {result.setting.n_samples:,} samples"
    return map_of(values, result.setting.space, source, f"|change of {metric}|")


def map_of_ranking(order: NDArray[np.int64], method: str, space: BitSpace) -> BitMap:
    """Each bit's place in the order of a ranking, 1 for the first, 0 for the last: a prediction, no measurement."""
    place = np.empty(len(space))
    place[order] = np.linspace(1, 0, len(space)) if len(space) > 1 else 1.0
    return map_of(place, space, f"predicted by the ranking {method}", _PLACE)


def map_of_protection(protection: Protection, space: BitSpace) -> BitMap | None:
    """Which bits are protected: all there is to show where nothing is known of what they do, as under a mask; None
    where that tells no bit from another, as under a check, which only reads words differently."""
    bits = mended_bits(protection)
    if not 0 < len(bits) < len(space):
        return None
    values = np.zeros(len(space))
    values[bits.bits] = 1.0
    what = f"the {len(bits):,} bits protected by {bits.label or 'the budget'}"
    return map_of(values, space, f"{what}; how sensitive they are is not known here", _PROTECTED)


def map_of(values: NDArray[np.float64], space: BitSpace, source: str, quantity: str) -> BitMap:
    """The map of (n_bits,) values, NaN where unknown."""
    ends = np.cumsum([0, *(tensor.size for tensor in space.arrays)])
    n_words, place = int(ends[-1]), space.locate(np.arange(len(space)))
    grid = np.full((max(tensor.layout.widest for tensor in space.arrays), n_words), np.nan)
    grid[place.bit, ends[place.tensor] + place.element] = values
    tensors = []
    for tensor, part in zip(space.arrays, np.split(grid, ends[1:-1], axis=1), strict=True):
        rows = part[: tensor.layout.widest]
        tensors.append(TensorMap(tensor.path, int(tensor.size), _over_words(rows, np.mean), _over_words(rows, np.max)))
    per_column = -(-n_words // COLUMNS)
    columns = [_over_words(grid[:, i : i + per_column], np.mean) for i in range(0, n_words, per_column)]
    critical = () if quantity in _SHARES else _largest(values, space)
    return BitMap(source, quantity, tuple(tensors), tuple(zip(*columns, strict=True)), per_column, critical)


def _largest(values: NDArray[np.float64], space: BitSpace) -> tuple[MappedBit, ...]:
    known = np.nan_to_num(values, nan=0.0, posinf=np.inf)
    first = np.argsort(-known, kind="stable")[:MOST_CRITICAL]
    return tuple(
        MappedBit(str(space.address(bit)), float(f"{known[bit]:.4g}")) for bit in first.tolist() if known[bit] > 0
    )


def _over_words(part: NDArray[np.float64], combined: Callable[[NDArray[np.float64]], float]) -> tuple[float, ...]:
    """Mean or maximum of each row over what is known, to four digits: they are to be looked at."""
    known = (row[~np.isnan(row)] for row in part)
    return tuple(float(f"{combined(row) if row.size else np.nan:.4g}") for row in known)
