"""Did it get worse? A campaign against an earlier one of the same budget, with the bounds that a gate acts on."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from fkeras.campaigns.measured_campaign import MeasuredCampaign, MeasuredMetric, Values, same_data
from fkeras.campaigns.verdict import AnyOutcome, Outcome, worst
from fkeras.errors import FkerasError
from fkeras.statistics import Estimate
from fkeras.statistics.estimate import check_confidence
from fkeras.statistics.means import asymptotic_mean
from fkeras.statistics.paired import paired_difference, unpaired_difference
from fkeras.statistics.tolerance import Tolerance

PAIRED = "paired"
EXACT = "exact"
_LOOK_AHEAD = 1_000_000
"""How many trials to decide are foreseen at most."""


class WorseThanBaseline(FkerasError, AssertionError):
    """A budget whose metric got worse than the baseline's by more than is tolerated."""


@dataclass(frozen=True, slots=True)
class MetricComparison:
    """One metric: new minus old, in the metric's unit.

    better: "lower" or "higher"; low, high: bounds on the difference; old_mean, new_mean: over the trials compared,
    n_old and n_new of them; tolerance: in the metric's unit, None where none was stated, and as stated in
    tolerance_text; outcome: "" without a tolerance; more_trials: about how many would decide, None when that is not to
    be expected.
    """

    metric: str
    better: str
    old_mean: float
    new_mean: float
    low: float
    difference: float
    high: float
    method: str
    n_old: int
    n_new: int
    tolerance: float | None = None
    tolerance_text: str = ""
    outcome: AnyOutcome = ""
    more_trials: int | None = None

    @property
    def change(self) -> str:
        """The difference with its bounds, in per cent of the old mean where that says something."""
        if self.old_mean and math.isfinite(self.old_mean):
            low, best, high = (100 * part / abs(self.old_mean) for part in (self.low, self.difference, self.high))
            return f"{_signed(best)} % [{_signed(low)}, {_signed(high)} %]"
        return f"{_signed(self.difference)} [{_signed(self.low)}, {_signed(self.high)}]"

    def __str__(self) -> str:
        text = f"{self.metric} {self.old_mean:.6g} -> {self.new_mean:.6g}, {self.change}"
        if not self.outcome:
            return text
        text += f", tolerance {self.tolerance_text}: {self.outcome}"
        if self.outcome is Outcome.INCONCLUSIVE and self.more_trials is not None:
            text += f", about {self.more_trials:,} more trials would decide"
        return text


@dataclass(frozen=True, slots=True)
class Comparison:
    """A campaign against an earlier one, as plain values.

    outcome: NOT_RUN where it could not be made (`reason` says why), "" where nothing was asked for; pairing: "paired"
    (on identical faults), "unpaired (why)" or "exact"; confidence: of each bound.
    """

    outcome: AnyOutcome
    pairing: str
    confidence: float
    metrics: tuple[MetricComparison, ...] = ()
    reason: str = ""

    def __str__(self) -> str:
        if self.reason:
            return f"{self.outcome or 'not compared'}: {self.reason}"
        return f"{'; '.join(map(str, self.metrics))}; {self.trials_text}"

    @property
    def trials_text(self) -> str:
        """Which trials were compared."""
        if self.pairing == EXACT:
            return "exact"
        sizes = dict.fromkeys((metric.n_new, metric.n_old) for metric in self.metrics)
        if self.pairing == PAIRED:
            return " and ".join(f"paired on {n:,} identical fault sets" for n, _ in sizes)
        return f"{self.pairing}, " + " and ".join(f"{new:,} trials against {old:,}" for new, old in sizes)


def compare(
    new: MeasuredCampaign, old: MeasuredCampaign, tolerances: Sequence[Tolerance] = (), confidence: float = 0.95
) -> Comparison:
    """Whether the metrics of a campaign got worse than those of an earlier one by more than is tolerated.

    The worsening of a metric is the difference of the true means over all faults that could be drawn, given the data
    set. PASS when its upper bound lies at or below the tolerance, FAIL when its lower bound lies above it, each at
    `confidence` whatever the number of metrics (PASS needs them all; for FAIL the risk is shared out among them), and
    at whatever trial either campaign stopped. Paired on the trials whose faults are identical in both; all trials,
    unpaired, where layout or seed differ. Metrics without a tolerance are compared too, and judge nothing. NOT_RUN
    where budget, data or metric are not the same; InputError for a tolerance relative to 0.
    """
    check_confidence(confidence)
    stated = {tolerance.metric: tolerance for tolerance in tolerances if tolerance.metric in new.metrics}
    reason = _incomparable(new, old, list(stated))
    if reason:
        return Comparison(Outcome.NOT_RUN if stated else "", "", confidence, (), reason)
    pairing = _pairing(new, old)
    comparisons = []
    for name, metric in new.metrics.items():
        if name not in old.metrics or _other_metric(metric, old.metrics[name]):
            continue
        judge = _Judge(metric, old.metrics[name], pairing, confidence, len(stated))
        comparisons.append(judge.compared(name, stated.get(name)))
    return Comparison(worst(metric.outcome for metric in comparisons), pairing, confidence, tuple(comparisons))


@dataclass(frozen=True, slots=True)
class _Judge:
    """Compares one metric."""

    new: MeasuredMetric
    old: MeasuredMetric
    pairing: str
    confidence: float
    n_judged: int

    def compared(self, name: str, tolerance: Tolerance | None) -> MetricComparison:
        new, old = self._trials()
        plain = self._estimated(new, old)
        difference = plain[0]
        if self.pairing == EXACT:
            means, sizes = (self.old.mean, self.new.mean), (0, 0)
        else:
            means, sizes = (asymptotic_mean(old).best, asymptotic_mean(new).best), (old.size, new.size)
        comparison = MetricComparison(
            name,
            self.new.better,
            *means,
            difference.low,
            difference.best,
            difference.high,
            difference.method,
            *sizes,
        )
        if tolerance is None:
            return comparison
        limit = tolerance.absolute(self.old.mean)
        outcome = self._outcome(plain, limit)
        more = self._more_trials(new, old, plain, limit) if outcome is Outcome.INCONCLUSIVE else None
        return replace(comparison, tolerance=limit, tolerance_text=str(tolerance), outcome=outcome, more_trials=more)

    def _more_trials(self, new: Values, old: Values, now: tuple[Estimate, Estimate], limit: float) -> int | None:
        """About how many more trials would decide, if both campaigns went on like this: bounds draw near to the mean
        by a power of the number of trials, which twice as many of these trials show."""
        later = self._estimated(np.resize(new, 2 * new.size), np.resize(old, 2 * old.size))
        is_better = self._worsening(now[0].best) <= limit
        gaps = [abs(self._bounds(pair)[0 if is_better else 1] - self._worsening(pair[0].best)) for pair in (now, later)]
        gap = abs(limit - self._worsening(now[0].best))
        if not (0 < gap < math.inf and 0 < gaps[1] < gaps[0] < math.inf):
            return None
        factor = (gaps[0] / gap) ** (math.log(2) / math.log(gaps[0] / gaps[1]))
        more = math.ceil((factor - 1) * new.size)
        return max(more, 1) if more < _LOOK_AHEAD else None

    def _trials(self) -> tuple[Values, Values]:
        new, old = self.new.values, self.old.values
        if self.new.bounds is not None:
            # Another machine may have computed the bounds with other last digits.
            old = np.clip(old, *self.new.bounds)
        n = min(new.size, old.size)
        return (new[:n], old[:n]) if self.pairing == PAIRED else (new, old)

    def _estimated(self, new: Values, old: Values) -> tuple[Estimate, Estimate]:
        """The difference with bounds for PASS, and with those for FAIL, whose risk all judged metrics share."""
        if self.pairing == EXACT:
            difference = 0.0 if self.new.mean == self.old.mean else self.new.mean - self.old.mean
            exact = Estimate(difference, difference, difference, 1.0, "exact")
            return exact, exact
        function = paired_difference if self.pairing == PAIRED else unpaired_difference
        estimate = function(new, old, self.new.bounds, self.confidence)
        if self.n_judged < 2:
            return estimate, estimate
        strict = 1 - (1 - self.confidence) / self.n_judged
        return estimate, function(new, old, self.new.bounds, strict)

    def _outcome(self, differences: tuple[Estimate, Estimate], limit: float) -> Outcome:
        most, least = self._bounds(differences)
        return Outcome.PASS if most <= limit else Outcome.FAIL if least > limit else Outcome.INCONCLUSIVE

    def _bounds(self, differences: tuple[Estimate, Estimate]) -> tuple[float, float]:
        """The most that the metric may have got worse, and the least."""
        for_pass, for_fail = differences
        if self.new.better == "lower":
            return for_pass.high, for_fail.low
        return -for_pass.low, -for_fail.high

    def _worsening(self, difference: float) -> float:
        return difference if self.new.better == "lower" else -difference


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


def _pairing(new: MeasuredCampaign, old: MeasuredCampaign) -> str:
    if new.is_exact:
        return EXACT
    if new.layout_digest != old.layout_digest:
        return "unpaired (layout changed)"
    if new.seed != old.seed:
        return "unpaired (another seed)"
    n = min(new.kept, old.kept)
    return PAIRED if np.array_equal(new.faults[:n], old.faults[:n]) else "unpaired (other faults drawn)"


def _signed(value: float) -> str:
    return f"{value:+.0f}" if 10 <= abs(value) < math.inf else f"{value:+.2g}"
