"""How good a ranking is, judged by measured damage."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fkeras.errors import InputError, LayoutError
from fkeras.faults import RandomStream
from fkeras.sensitivity.ranking import Ranking
from fkeras.statistics import Estimate
from fkeras.statistics.ranks import average_ranks, spearman

TOP_SHARES = (0.01, 0.05, 0.1, 0.2)
CONFIDENCE = 0.95
Values = NDArray[np.float64]


class Damage(Protocol):
    """Measured damage of single flips: what an oracle is to a judge of rankings."""

    @property
    def bits(self) -> NDArray[np.int64]:
        """(n,) flat indices."""

    @property
    def positions(self) -> NDArray[np.int64]:
        """(n,) bit within the word, 0 = MSB."""

    @property
    def delta(self) -> Values:
        """(n,) metric under the flip minus golden."""

    @property
    def group_deltas(self) -> Values | None:
        """(n, n_groups) the same for each of several equally large groups of the samples; None when not kept."""

    @property
    def layout_digest(self) -> str:
        """The layout that the bits belong to."""


@dataclass(frozen=True, slots=True)
class PositionQuality:
    """Spearman's rho among the bits of one position (0 = MSB)."""

    position: int
    n_bits: int
    rho: Estimate


@dataclass(frozen=True, slots=True)
class TopQuality:
    """flips: the share of all judged bits that must be flipped in ranking order until the most damaging `share` of
    them has been met; share itself at best."""

    share: float
    flips: Estimate


@dataclass(frozen=True, slots=True, eq=False)
class RankingQuality:
    """A ranking against measured |delta|.

    Intervals: percentile bootstrap over groups of samples; from best to best without groups. They say how far the
    judge is uncertain, not the ranking. A bootstrap adds the judge's noise once more, so an interval may lie below
    the value; it is widened to hold it.

    Arguments:
        method: what made the ranking.
        n_bits: how many bits it was judged by.
        rho: Spearman over all bits.
        by_position: the same within each bit position.
        area: between the cumulative-damage curve and that of a random order, as a share of the oracle's: 1 is the
            oracle, 0 is chance.
        top: flips needed for the most damaging bits.
        curve, oracle_curve: (n + 1,) cumulative |delta| as a share of the total, after 0 to n flips.
        ceiling: rho between the deltas of two halves of the samples, stepped up to the whole by Spearman and Brown's
            formula; None without sample groups.
    """

    method: str
    n_bits: int
    rho: Estimate
    by_position: tuple[PositionQuality, ...]
    area: Estimate
    top: tuple[TopQuality, ...]
    curve: Values
    oracle_curve: Values
    ceiling: float | None

    def rows(self) -> list[tuple[str, Estimate]]:
        """Name and value of every number, for tables."""
        return [
            ("rho", self.rho),
            ("area", self.area),
            *((f"top {100 * quality.share:g} %", quality.flips) for quality in self.top),
            *((f"rho, bit {quality.position}", quality.rho) for quality in self.by_position),
        ]


def ranking_quality(ranking: Ranking, oracle: Damage, *, n_bootstrap: int = 200, seed: int = 0) -> RankingQuality:
    """Judge a ranking by an oracle, over the oracle's bits.

    Ties: bits of equal score stand in flat-index order in the curves and share their average rank in rho; among bits
    of equal damage, "the top 1 %" takes those that the ranking meets first.

    Arguments:
        ranking: of all bits of the memory.
        oracle: of all or some of its bits; with `sample_groups` there are intervals.
        n_bootstrap: draws of groups behind them.
        seed: of these draws.

    Raises:
        LayoutError: for another memory.
    """
    if ranking.layout_digest is not None and ranking.layout_digest != oracle.layout_digest:
        raise LayoutError(
            f"ranking '{ranking.method}' belongs to layout {ranking.layout_digest[:12]}, the oracle to "
            f"{oracle.layout_digest[:12]}; make both for one model"
        )
    if oracle.bits.size == 0 or oracle.bits.max() >= len(ranking):
        raise InputError(
            f"the oracle measured {oracle.bits.size} bits up to "
            f"{int(oracle.bits.max(initial=-1))}; the ranking has {len(ranking)} bits"
        )
    place = np.empty(len(ranking), np.int64)
    place[ranking.order] = np.arange(len(ranking))
    order = np.argsort(place[oracle.bits], kind="stable")
    scores = average_ranks(ranking.scores)[oracle.bits]
    numbers = _numbers(scores, order, np.abs(oracle.delta), oracle.positions)
    spread = [
        _numbers(scores, order, np.abs(delta), oracle.positions)
        for delta in _resampled(oracle.group_deltas, n_bootstrap, seed)
    ]
    estimates = [_estimate(best, [one[i] for one in spread]) for i, best in enumerate(numbers)]
    tops = tuple(TopQuality(share, estimate) for share, estimate in zip(TOP_SHARES, estimates[2:], strict=False))
    counts = np.bincount(oracle.positions)
    present = np.flatnonzero(counts)
    by_position = tuple(
        PositionQuality(int(position), int(counts[position]), estimate)
        for position, estimate in zip(present, estimates[2 + len(TOP_SHARES) :], strict=True)
    )
    damage = np.abs(oracle.delta)
    return RankingQuality(
        ranking.method,
        oracle.bits.size,
        estimates[0],
        by_position,
        estimates[1],
        tops,
        damage_curve(damage[order]),
        damage_curve(np.sort(damage)[::-1]),
        noise_ceiling(oracle.group_deltas, seed),
    )


def damage_curve(damage: ArrayLike) -> Values:
    """Cumulative share of the total damage after 0, 1, ... flips, (n + 1,); 0 throughout when there is none."""
    values = np.asarray(damage, np.float64)
    infinite = np.isinf(values)
    if infinite.any():  # an infinite damage outweighs every finite one
        values = infinite.astype(np.float64)
    total = np.concatenate([[0.0], np.cumsum(values)])
    return total / total[-1] if total[-1] > 0 else total


def area_share(damage_in_order: Values) -> float:
    """Area between the damage curve and a random order's, as a share of the best order's; 1 when all are alike."""
    best = damage_curve(np.sort(damage_in_order)[::-1]).mean() - 0.5
    return float((damage_curve(damage_in_order).mean() - 0.5) / best) if best > 1e-12 else 1.0


def flips_for_top(damage_in_order: Values, share: float) -> float:
    """Share of all flips after which the most damaging `share` of the bits (at least one) has been met."""
    n = damage_in_order.size
    wanted = max(1, round(share * n))
    threshold = np.partition(damage_in_order, n - wanted)[n - wanted]
    above = np.flatnonzero(damage_in_order > threshold)
    equal = np.flatnonzero(damage_in_order == threshold)[: wanted - above.size]
    return float(max(above.max(initial=-1), equal.max(initial=-1)) + 1) / n


def noise_ceiling(group_deltas: Values | None, seed: int = 0, n_splits: int = 20) -> float | None:
    """How well the whole data would predict as many other samples: split-half rho, stepped up.

    Spearman and Brown: 2 r / (1 + r), with r the mean over random halves of the groups. None with fewer than two.
    """
    if group_deltas is None or group_deltas.shape[1] < 2:
        return None
    n_groups = group_deltas.shape[1]
    stream = RandomStream("fkeras-ceiling/1", seed, n_groups)
    rhos = []
    for _ in range(n_splits):
        half = stream.distinct(n_groups // 2, n_groups)
        other = np.setdiff1d(np.arange(n_groups), half)[: half.size]
        rhos.append(spearman(np.abs(group_deltas[:, half].mean(axis=1)), np.abs(group_deltas[:, other].mean(axis=1))))
    r = float(np.mean(rhos))
    return 2 * r / (1 + r) if r > -1 else -1.0


def _numbers(scores: Values, order: NDArray[np.int64], damage: Values, positions: NDArray[np.int64]) -> list[float]:
    """rho, area, flips for the tops, rho of each position that occurs."""
    ranked = damage[order]
    by_position = [
        spearman(scores[positions == position], damage[positions == position]) for position in np.unique(positions)
    ]
    return [
        spearman(scores, damage),
        area_share(ranked),
        *(flips_for_top(ranked, share) for share in TOP_SHARES),
        *by_position,
    ]


def _resampled(group_deltas: Values | None, n_bootstrap: int, seed: int) -> Sequence[Values]:
    if group_deltas is None or group_deltas.shape[1] < 2:
        return []
    n_groups = group_deltas.shape[1]
    stream = RandomStream("fkeras-quality/1", seed, n_groups)
    weights = [
        np.bincount(stream.integers(n_groups, n_groups), minlength=n_groups) / n_groups for _ in range(n_bootstrap)
    ]
    return [group_deltas @ weight for weight in weights]


def _estimate(best: float, draws: Sequence[float]) -> Estimate:
    if not draws:
        return Estimate(best, best, best, CONFIDENCE, "no sample groups: the judge's own noise is unknown")
    low, high = np.quantile(draws, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return Estimate(min(low, best), best, max(high, best), CONFIDENCE, f"bootstrap over samples, {len(draws)} draws")
