"""Maps of a memory, the paper's Fig. 4 in small, from what was measured or predicted about its bits."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from fkeras.report.findings import BitMap, TensorMap

if TYPE_CHECKING:
    from fkeras.campaigns import CampaignResult, Oracle
    from fkeras.memory import BitSpace
    from fkeras.sensitivity import Ranking

COLUMNS = 240
"""Columns of a map's picture: with more words, a column is the mean over neighbouring ones."""


def map_of_oracle(oracle: Oracle, space: BitSpace) -> BitMap:
    """|change of the metric| under each single flip that the oracle measured."""
    values = np.full(len(space), np.nan)
    values[oracle.bits] = np.abs(oracle.delta)
    share = "every single flip" if len(oracle) == len(space) else f"{len(oracle):,} single flips"
    return map_of(values, space, f"{share} measured on {oracle.n_samples:,} samples", f"|change of {oracle.metric}|")


def map_of_flips(bits: NDArray[np.int64], delta: NDArray[np.float64], space: BitSpace, metric: str) -> BitMap:
    """|change of the metric| under single flips that were stored: `delta` of each of `bits`."""
    values = np.full(len(space), np.nan)
    values[bits] = np.abs(delta)
    n_known = int((~np.isnan(values)).sum())
    share = "every single flip" if n_known == len(space) else f"{n_known:,} of {len(space):,} single flips"
    return map_of(values, space, f"{share} measured, read from the cache", f"|change of {metric}|")


def map_of_exhaustive(result: CampaignResult, metric: str) -> BitMap:
    """|change of the metric| under each single flip of an exhaustive campaign; protected bits are unknown."""
    values = np.abs(result.by_metric[metric].values - result.by_metric[metric].golden.value)
    values[result.residual == 0] = np.nan
    source = f"every unprotected single flip measured on {result.setting.n_samples:,} samples"
    return map_of(values, result.setting.space, source, f"|change of {metric}|")


def map_of_ranking(ranking: Ranking, space: BitSpace) -> BitMap:
    """Each bit's place in a ranking, 1 for the first, 0 for the last: a prediction, not a measurement."""
    place = np.empty(len(space))
    place[ranking.order] = np.linspace(1, 0, len(space)) if len(space) > 1 else 1.0
    return map_of(place, space, f"predicted by the ranking {ranking.method}", "place in the ranking, 1 = first")


def map_of(values: NDArray[np.float64], space: BitSpace, source: str, quantity: str) -> BitMap:
    """The map of (n_bits,) values, NaN where unknown."""
    widths = np.concatenate([np.full(one.size, one.codec.width) for one in space.tensors])
    place = space.locate(np.arange(len(space)))
    first_words = np.cumsum([0, *(one.size for one in space.tensors)])
    grid = np.full((int(widths.max()), widths.size), np.nan)
    grid[place.bit, first_words[place.tensor] + place.element] = values
    tensors = []
    for start, end, one in zip(first_words[:-1], first_words[1:], space.tensors, strict=True):
        part = grid[: one.codec.width, start:end]
        tensors.append(TensorMap(one.path, int(one.size), _over_words(part, "mean"), _over_words(part, "max")))
    per_column = -(-widths.size // COLUMNS)
    columns = [grid[:, i : i + per_column] for i in range(0, widths.size, per_column)]
    picture = np.array([_over_words(column, "mean") for column in columns]).T
    return BitMap(source, quantity, tuple(tensors), tuple(tuple(row) for row in picture.tolist()), per_column)


def _over_words(part: NDArray[np.float64], how: str) -> tuple[float, ...]:
    """Mean or maximum of each row over what is known, to four digits: they are to be looked at."""
    known = (row[~np.isnan(row)] for row in part)
    numbers = ((row.mean() if how == "mean" else row.max()) if row.size else np.nan for row in known)
    return tuple(float(f"{number:.4g}") for number in numbers)
