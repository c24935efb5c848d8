"""The oracle: what each single flip does, measured; and, for less work, which flips break a prediction at all."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from fkeras.campaigns.limits import trial_limits
from fkeras.engine import GoldenScore, Run
from fkeras.errors import InputError
from fkeras.memory import BitSet
from fkeras.metrics.metric import Direction, SampleMetric
from fkeras.progress import Progress
from fkeras.runs.stored import Entries, single_flips

CHANGE_TOLERANCE = 1e-6
"""Differences up to this times max(1, |golden|) are zero: below it lie only roundings of a float tail."""


@dataclass(frozen=True, eq=False)
class Oracle:
    """Single-flip damage of chosen bits, in the order they were asked for.

    Arguments:
        metric, better: the metric's name and its direction.
        classification: whether a sample is right or wrong, and nothing between.
        bits: (n,) int64 flat indices.
        positions: (n,) int64, bit within its word, 0 = MSB.
        values: (n,) float64, the metric under each flip: a mean over samples, or the data set's number.
        undefined: (n,) int64, samples without a score.
        harmed: (n,) int64, samples that got worse.
        golden, golden_standard_error: the fault-free value, and how far the data set leaves it open.
        n_samples: of the data.
        n_bits, layout_digest, content_digest: of the memory.
        engine: what measured.
        group_deltas: (n, n_groups) value - golden within each of several groups of samples, None where not asked for.
        reused: how many of the bits were not measured now but read from a store.
    """

    metric: str
    better: Direction
    classification: bool
    bits: NDArray[np.int64]
    positions: NDArray[np.int64]
    values: NDArray[np.float64]
    undefined: NDArray[np.int64]
    harmed: NDArray[np.int64]
    golden: float
    golden_standard_error: float
    n_samples: int
    n_bits: int
    layout_digest: str
    content_digest: str
    engine: str
    group_deltas: NDArray[np.float64] | None = None
    reused: int = 0

    def __len__(self) -> int:
        return int(self.bits.size)

    def __repr__(self) -> str:
        return (
            f"<Oracle of {len(self):,} flips: {self.metric} golden {self.golden:.6g}, "
            f"{int(self.sensitive.sum()):,} sensitive, {self.n_samples:,} samples>"
        )

    @cached_property
    def delta(self) -> NDArray[np.float64]:
        """values - golden, (n,)."""
        with np.errstate(invalid="ignore"):
            return np.where(self.values == self.golden, 0.0, self.values - self.golden)

    @cached_property
    def changed(self) -> NDArray[np.bool_]:
        """The bits whose flip changes the metric at all (the paper's section 4.2.3), (n,)."""
        return np.abs(self.delta) > CHANGE_TOLERANCE * max(1.0, abs(self.golden))

    @cached_property
    def sensitive(self) -> NDArray[np.bool_]:
        """The paper's sensitive bits (section 4.1), (n,).

        Classification: at least one sample that was right is wrong. Otherwise: the mean is worse than golden.
        """
        if self.classification:
            return self.harmed > 0
        return self.changed & (self.delta > 0 if self.better == "lower" else self.delta < 0)

    @property
    def counts(self) -> NDArray[np.int64]:
        """Classification: the number of samples behind each value (right ones for accuracy, else wrong ones)."""
        if not self.classification:
            raise InputError(f"metric '{self.metric}' counts nothing; counts exist for accuracy and mispredictions")
        return np.rint(self.values * self.n_samples).astype(np.int64)

    @cached_property
    def order(self) -> NDArray[np.int64]:
        """The flat indices, largest |delta| first, ties by flat index."""
        return self.bits[np.lexsort((self.bits, -np.abs(self.delta)))]

    def critical(self, **limits: float) -> BitSet:
        """The bits whose flip alone breaks a limit, as in `oracle.critical(max_emd=1.25)`: exact, given the data set.

        limits: as in a budget, `max_NAME`, `min_NAME`, `max_NAME_increase`, `max_NAME_drop` of this oracle's metric.
        """
        if not limits:
            raise InputError(f"critical() needs a limit, as in critical(max_{self.metric}=...)")
        GoldenScore(self.golden, self.golden_standard_error, 0, None).require_finite(self.metric)
        parsed = trial_limits(limits, (self.metric,))
        broken = np.logical_or.reduce([limit.broken_by(self.values, self.golden) for limit in parsed])
        return BitSet(self.bits[broken], self.layout_digest, f"critical({', '.join(map(str, parsed))})")


def measure_oracle(
    run: Run,
    metric: str,
    bits: NDArray[np.int64],
    progress: Progress,
    entries: Entries = MappingProxyType({}),
    who: str = "",
) -> Oracle:
    """Flip each of `bits` alone and measure.

    entries: where the metric's flips are stored; who: processes with the same text here do not measure at once.
    """
    with progress(len(bits), "bit", f"oracle, {metric}") as advance:
        measured, reused = single_flips(run, [metric], bits, entries, advance, who)
    scores = measured[metric]
    kind = run.metrics[metric]
    golden = run.golden[metric]
    return Oracle(
        metric,
        kind.better,
        isinstance(kind, SampleMetric) and kind.per_sample_sensitivity,
        bits,
        run.space.bit_positions[bits],
        scores.values,
        scores.undefined,
        scores.harmed,
        golden.value,
        golden.standard_error,
        run.n_samples,
        len(run.space),
        run.space.layout_digest,
        run.space.content_digest,
        run.engine,
        reused=reused,
    )


def combined(parts: Sequence[Oracle]) -> Oracle:
    """The oracle over all samples from oracles over disjoint groups of them; it keeps each group's deltas.

    InputError unless all measured the same bits of the same words.
    """
    first = parts[0]
    if any(
        part.content_digest != first.content_digest
        or part.metric != first.metric
        or not np.array_equal(part.bits, first.bits)
        for part in parts
    ):
        raise InputError(
            "these oracles measured different bits, words or metrics; only groups of samples of one "
            "measurement can be combined"
        )
    weights = np.array([part.n_samples for part in parts], np.float64)
    shares = weights / weights.sum()
    golden = np.array([part.golden for part in parts])
    # Within groups from their standard errors, between groups from their means.
    squares = np.square([part.golden_standard_error for part in parts]) * weights * (weights - 1)
    spread = squares.sum() + (weights * np.square(golden - golden @ shares)).sum()
    total = weights.sum()
    return replace(
        first,
        values=np.stack([part.values for part in parts], axis=1) @ shares,
        undefined=np.sum([part.undefined for part in parts], axis=0),
        harmed=np.sum([part.harmed for part in parts], axis=0),
        golden=float(golden @ shares),
        golden_standard_error=float(np.sqrt(spread / (total * (total - 1)))) if total > 1 else np.nan,
        n_samples=int(total),
        group_deltas=np.stack([part.delta for part in parts], axis=1),
        reused=min(part.reused for part in parts),
    )


FIRST_SAMPLES = 16
"""Samples of the first look; each later look takes twice as many as the one before."""


def find_sensitive(
    start: Callable[[NDArray[np.int64]], Run],
    margins: NDArray[np.float64],
    bits: NDArray[np.int64],
    progress: Progress,
) -> NDArray[np.bool_]:
    """Whether each bit's flip makes a sample wrong that was right, (n,) bool in the order of `bits`; exact.

    start: a run over chosen samples, with one classification metric; margins: (n_samples,) how much a sample's class
    wins by, NaN for samples that are wrong anyway. A bit is done at its first broken sample, so samples with small
    margins are tried first and most sensitive bits cost a few samples each.
    """
    sensitive = np.zeros(bits.size, np.bool_)
    right = np.flatnonzero(~np.isnan(margins))
    by_margin = right[np.argsort(margins[right], kind="stable")]
    with progress(bits.size * right.size, "pair", "sensitive bits") as advance:
        for samples in _doubling(by_margin):
            open_bits = np.flatnonzero(~sensitive)
            if open_bits.size:
                run = start(np.sort(samples))
                for part in run.batches(bits[open_bits]):
                    (scores,) = run.flips(bits[open_bits[part]]).values()
                    sensitive[open_bits[part]] = scores.harmed > 0
            advance(bits.size * samples.size)
    return sensitive


def _doubling(samples: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
    start, size = 0, FIRST_SAMPLES
    while start < samples.size:
        yield samples[start : start + size]
        start, size = start + size, 2 * size
