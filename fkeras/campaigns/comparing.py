"""Did it get worse? A campaign against an earlier one of the same budget, with the bounds that a gate acts on."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from fkeras.campaigns.comparison import (
    EXACT,
    LEAST_SHOWN,
    PAIRED,
    Comparison,
    Histogram,
    MetricComparison,
    PairCounts,
    new_minus_old,
)
from fkeras.campaigns.measured_campaign import MeasuredCampaign, MeasuredMetric, Values, same_data
from fkeras.campaigns.verdict import HOPELESS, MAX_FAILURE_RATE, Outcome, worst
from fkeras.errors import Argument, InputError, is_number
from fkeras.statistics import Estimate
from fkeras.statistics.estimate import check_confidence
from fkeras.statistics.histograms import bin_edges
from fkeras.statistics.means import asymptotic_mean
from fkeras.statistics.paired import differences, paired_difference, unpaired_difference
from fkeras.statistics.sequential import (
    LEAST_CONFIDENCE,
    anytime_lower_bound,
    anytime_upper_bound,
    share_decision,
    trials_to_decide,
)
from fkeras.statistics.tolerance import Rule, Tolerance

BINS = 30
MOST_DRAWS = 0.5
"""An improvement in more than this share of draws is one that the baseline could be tightened by."""
_LOOK_AHEAD = 1_000_000
"""How many trials to decide are foreseen at most."""
_ROUNDING = 1e-9
"""A difference past the tolerance by no more than this share of the values is one of the arithmetic."""


def compare(
    new: MeasuredCampaign,
    old: MeasuredCampaign,
    tolerances: Sequence[Tolerance] = (),
    confidence: float = 0.95,
    max_failure_rate: float = MAX_FAILURE_RATE,
) -> Comparison:
    """Whether the metrics of a campaign got worse than those of an earlier one by more than is tolerated.

    What did not change passes: the identity of all that computes is the same, and so is every common trial. Else the
    tolerance's rule decides, at whatever trial either campaign stopped, each way at `confidence` whatever the number of
    metrics (PASS needs them all; for FAIL the risk is shared out among them). On draws: PASS when the metric is shown
    to be worse by more than the tolerance in less than `max_failure_rate` of all draws of faults, FAIL when in more; it
    needs trials with identical faults, and where layout or seed differ the rule on means takes its place. On means:
    PASS when the difference of the true means over all faults that could be drawn lies at or below the tolerance, FAIL
    when it lies above.

    Metrics without a tolerance are compared too, and judge nothing. NOT_RUN where budget, data or metric are not the
    same; InputError for a tolerance relative to 0.
    """
    check_confidence(confidence, least=LEAST_CONFIDENCE)
    if not (is_number(max_failure_rate) and 0 <= max_failure_rate < 1):
        raise InputError(
            Argument("max_failure_rate", max_failure_rate, " is "),
            ", a share of draws; allowed are 0 up to, not including, 1",
        )
    stated = {tolerance.metric: tolerance for tolerance in tolerances if tolerance.metric in new.metrics}
    reason = _incomparable(new, old, list(stated))
    if reason:
        return Comparison(Outcome.NOT_RUN if stated else "", "", confidence, (), reason)
    pairs = _Pairs(new, old)
    bar = _Bar(confidence, 1 - (1 - confidence) / max(1, len(stated)), max_failure_rate)
    comparisons = []
    for name, metric in new.metrics.items():
        if name not in old.metrics or _other_metric(metric, old.metrics[name]):
            continue
        judge = _Judge(metric, old.metrics[name], pairs, bar)
        comparisons.append(judge.compared(name, stated.get(name)))
    return Comparison(worst(metric.outcome for metric in comparisons), pairs.text, confidence, tuple(comparisons))


@dataclass(frozen=True)
class _Pairs:
    """Which trials of two campaigns drew the same faults."""

    new: MeasuredCampaign
    old: MeasuredCampaign

    @property
    def is_exact(self) -> bool:
        return self.new.is_exact

    @cached_property
    def n(self) -> int:
        """The first trials of both; 0 where they drew other faults."""
        return 0 if self.absent_because else min(self.new.kept, self.old.kept)

    @property
    def unseen(self) -> int:
        """Of a campaign that measured all there is, the trials that one of the two does not keep."""
        return max(one.trials - one.kept for one in (self.new, self.old)) if self.is_exact else 0

    @cached_property
    def absent_because(self) -> str:
        if self.new.layout_digest != self.old.layout_digest:
            return "layout changed"
        if self.new.seed != self.old.seed:
            return "another seed"
        n = min(self.new.kept, self.old.kept)
        if n == 0:
            return "the baseline keeps no trials one by one; write it again"
        return "" if np.array_equal(self.new.faults[:n], self.old.faults[:n]) else "other faults drawn"

    @property
    def text(self) -> str:
        if self.is_exact:
            return EXACT
        return f"unpaired ({self.absent_because})" if self.absent_because else PAIRED


@dataclass(frozen=True, slots=True)
class _Bar:
    """How sure PASS and FAIL must be, and in what share of draws a metric may be worse."""

    for_pass: float
    for_fail: float
    allowed: float


@dataclass(frozen=True)
class _Judge:
    """Compares one metric."""

    new: MeasuredMetric
    old: MeasuredMetric
    pairs: _Pairs
    bar: _Bar

    def compared(self, name: str, tolerance: Tolerance | None) -> MetricComparison:
        new, old = self._trials
        means = (self.old.mean, self.new.mean)
        if not self.pairs.is_exact:
            means = (asymptotic_mean(old).best, asymptotic_mean(new).best)
        difference = self._differences[0]
        comparison = MetricComparison(
            name,
            self.new.better,
            *means,
            difference.low,
            difference.best,
            difference.high,
            difference.method,
            *((0, 0) if self.pairs.is_exact else (old.size, new.size)),
            golden_before=self.old.golden,
            golden_now=self.new.golden,
            tolerance_text="" if tolerance is None else tolerance.amount,
            notice=self._notice,
        )
        if self._is_unchanged:
            return replace(
                comparison,
                low=0.0,
                difference=0.0,
                high=0.0,
                pairs=self._counts(0.0),
                is_unchanged=True,
                outcome="" if tolerance is None else Outcome.PASS,
            )
        comparison = replace(comparison, histogram=_histogram(old, new))
        limit = 0.0 if tolerance is None else tolerance.absolute(self.old.mean)
        counts = self._counts(limit) if self.pairs.n else None
        if tolerance is None:
            return replace(comparison, pairs=counts)
        comparison = replace(comparison, tolerance=limit, pairs=counts)
        if tolerance.rule == "draws" and counts is not None and self._shows(counts):
            return self._by_draws(comparison, counts)
        return self._by_means(comparison, limit, tolerance.rule)

    @cached_property
    def _trials(self) -> tuple[Values, Values]:
        new, old = self.new.values, self.old.values
        if self.new.bounds is not None:
            # Another machine may have computed the bounds with other last digits.
            old = np.clip(old, *self.new.bounds)
        n = self.pairs.n
        return (new[:n], old[:n]) if n else (new, old)

    @cached_property
    def _worsenings(self) -> Values:
        """Of each pair; 0 where both are infinite."""
        difference = differences(*self._trials)
        return difference if self.new.better == "lower" else -difference

    @property
    def _is_unchanged(self) -> bool:
        return self._is_one_identity and not self._n_other and self.new.golden == self.old.golden

    @property
    def _is_one_identity(self) -> bool:
        return bool(self.new.identity and self.new.identity == self.old.identity and self.pairs.n)

    @property
    def _n_other(self) -> int:
        """How many of the common trials, or of the means of all, are not the same."""
        n = self.pairs.n
        n_other = int(np.count_nonzero(self.new.values[:n] != self.old.values[:n]))
        # Of a constant, the means of other numbers of trials differ in the last digit.
        is_whole = self.pairs.is_exact and self.pairs.new.trials == self.pairs.old.trials
        return n_other or int(is_whole and self.new.mean != self.old.mean)

    @property
    def _notice(self) -> str:
        if not self._is_one_identity or self._is_unchanged:
            return ""
        what = f"{self._n_other:,} of {self.pairs.n:,} trials" if self._n_other else "the fault-free value"
        return (
            f"network, data and metric have the baseline's identity, yet {what} came out otherwise: another "
            "machine or library rounds otherwise, or an identity that the project states hides a change"
        )

    def _counts(self, limit: float) -> PairCounts:
        """How many pairs are worse, and better, by more than `limit`."""
        slack = _ROUNDING * np.maximum(*np.abs(self._trials))
        slack[np.isinf(slack)] = 0.0
        worse = int(np.count_nonzero(self._worsenings > limit + slack))
        better = int(np.count_nonzero(-self._worsenings > limit + slack))
        n = self.pairs.n
        if self.pairs.is_exact:
            total = n + self.pairs.unseen
            return PairCounts(n, worse, better, worse / total, (worse + self.pairs.unseen) / total, self.bar.allowed)
        low, high = anytime_lower_bound(worse, n, self.bar.for_fail), anytime_upper_bound(worse, n, self.bar.for_pass)
        return PairCounts(n, worse, better, low, high, self.bar.allowed)

    def _shows(self, counts: PairCounts) -> bool:
        """Whether these pairs, or more of them, decide: all there are do, unless the baseline leaves some out."""
        return not self.pairs.is_exact or counts.high <= counts.allowed or counts.low > counts.allowed

    def _by_draws(self, comparison: MetricComparison, counts: PairCounts) -> MetricComparison:
        is_shown = counts.better / (counts.n + self.pairs.unseen) > MOST_DRAWS
        if self.pairs.is_exact:
            decision = "below" if counts.high <= counts.allowed else "above"
        else:
            at = (counts.worse, counts.n, counts.allowed)
            decision = "above" if share_decision(*at, self.bar.for_fail) == "above" else ""
            decision = decision or ("below" if share_decision(*at, self.bar.for_pass) == "below" else "")
            is_shown = share_decision(counts.better, counts.n, MOST_DRAWS, self.bar.for_pass) == "above"
        outcome = {"below": Outcome.PASS, "above": Outcome.FAIL}.get(decision, Outcome.INCONCLUSIVE)
        more = None
        if outcome is Outcome.INCONCLUSIVE:
            is_better = counts.worse < counts.allowed * counts.n
            needed = trials_to_decide(
                counts.worse, counts.n, counts.allowed, self.bar.for_pass if is_better else self.bar.for_fail
            )
            more = needed if needed is not None and needed <= HOPELESS * counts.n else None
        can_tighten = is_shown and outcome is Outcome.PASS
        return replace(comparison, rule="draws", outcome=outcome, more_trials=more, can_tighten=can_tighten)

    def _by_means(self, comparison: MetricComparison, limit: float, asked: Rule) -> MetricComparison:
        most, least = self._bounds(self._differences)
        outcome = Outcome.PASS if most <= limit else Outcome.FAIL if least > limit else Outcome.INCONCLUSIVE
        reason = ""
        if asked == "draws":
            reason = (
                self.pairs.absent_because
                or f"only {self.pairs.n:,} of {self.pairs.new.trials:,} trials are in the baseline"
            )
        return replace(
            comparison,
            rule="mean",
            rule_reason=reason,
            outcome=outcome,
            more_trials=self._more_trials(limit) if outcome is Outcome.INCONCLUSIVE else None,
            can_tighten=most < -limit,
        )

    def _more_trials(self, limit: float) -> int | None:
        """About how many more trials would decide, if both campaigns went on like this: bounds draw near to the mean
        by a power of the number of trials, which twice as many of these trials show."""
        now, (new, old) = self._differences, self._trials
        later = self._estimated(np.resize(new, 2 * new.size), np.resize(old, 2 * old.size))
        is_better = self._worsening(now[0].best) <= limit
        gaps = [abs(self._bounds(pair)[0 if is_better else 1] - self._worsening(pair[0].best)) for pair in (now, later)]
        gap = abs(limit - self._worsening(now[0].best))
        if not (0 < gap < math.inf and 0 < gaps[1] < gaps[0] < math.inf):
            return None
        factor = (gaps[0] / gap) ** (math.log(2) / math.log(gaps[0] / gaps[1]))
        more = math.ceil((factor - 1) * new.size)
        return max(more, 1) if more < _LOOK_AHEAD else None

    @cached_property
    def _differences(self) -> tuple[Estimate, Estimate]:
        return self._estimated(*self._trials)

    def _estimated(self, new: Values, old: Values) -> tuple[Estimate, Estimate]:
        """The difference of the means with bounds for PASS, and with those for FAIL."""
        if self.pairs.is_exact:
            difference = new_minus_old(self.new.mean, self.old.mean)
            exact = Estimate(difference, difference, difference, 1.0, EXACT)
            return exact, exact
        function = paired_difference if self.pairs.n else unpaired_difference
        estimate = function(new, old, self.new.bounds, self.bar.for_pass)
        if self.bar.for_fail == self.bar.for_pass:
            return estimate, estimate
        return estimate, function(new, old, self.new.bounds, self.bar.for_fail)

    def _bounds(self, differences: tuple[Estimate, Estimate]) -> tuple[float, float]:
        """The most that the mean may have got worse, and the least."""
        for_pass, for_fail = differences
        if self.new.better == "lower":
            return for_pass.high, for_fail.low
        return -for_pass.low, -for_fail.high

    def _worsening(self, difference: float) -> float:
        return difference if self.new.better == "lower" else -difference


def _histogram(old: Values, new: Values) -> Histogram | None:
    finite = [values[np.isfinite(values)] for values in (old, new)]
    if min(part.size for part in finite) < LEAST_SHOWN:
        return None
    edges = bin_edges(np.concatenate(finite), BINS)
    before, now = (tuple(np.histogram(part, edges)[0].tolist()) for part in finite)
    return Histogram(tuple(edges.tolist()), before, now)


def _incomparable(new: MeasuredCampaign, old: MeasuredCampaign, judged: Sequence[str]) -> str:
    """Why the two say nothing about one another; "" where they do."""
    if new.identity != old.identity:
        return f"the baseline is of another budget: {old.identity}, not {new.identity}"
    if new.n_samples != old.n_samples or not same_data(new.data, old.data):
        return f"the data changed since the baseline ({_data(old)} then, {_data(new)} now)"
    if new.is_exact != old.is_exact:
        return "one campaign left nothing to chance and the other one did"
    if not new.is_exact and not (new.kept and old.kept):
        return "no trials were kept one by one"
    for name in judged:
        if name not in old.metrics:
            return f"the baseline has no metric '{name}', only {', '.join(old.metrics)}"
        if other := _other_metric(new.metrics[name], old.metrics[name]):
            return f"the metric '{name}' changed since the baseline: {other}"
    return ""


def _data(measured: MeasuredCampaign) -> str:
    names = ("mean", "deviation", "order")
    parts = "; ".join(
        ", ".join([text, *(f"{name} {number:.6g}" for name, number in zip(names, numbers, strict=False))])
        for text, *numbers in measured.data
    )
    return f"{measured.n_samples:,} samples" + (f": {parts}" if parts else "")


def _other_metric(new: MeasuredMetric, old: MeasuredMetric) -> str:
    if new.better != old.better:
        return f"{old.better} was better, {new.better} is now"
    return "" if _same_bounds(new.bounds, old.bounds) else f"its bounds were {old.bounds}, and are {new.bounds}"


def _same_bounds(a: tuple[float, float] | None, b: tuple[float, float] | None) -> bool:
    """Up to the last digits, in which machines differ."""
    if a is None or b is None:
        return a is b
    return all(math.isclose(one, other, rel_tol=1e-9) for one, other in zip(a, b, strict=True))
