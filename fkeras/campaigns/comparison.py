"""What a comparison with a baseline says, as plain values and as text."""

from __future__ import annotations

import math
import operator
from dataclasses import dataclass
from typing import Literal

from fkeras.campaigns.verdict import AnyOutcome, Outcome
from fkeras.errors import FkerasError, InputError

UNCHANGED = "unchanged"
PAIRED = "paired"
EXACT = "exact"
MOST_OF_IT = 0.9
"""The share of a loss that counts as about all of it."""
LEAST_SHOWN = 10
"""With fewer trials, how they are spread is chance."""


class WorseThanBaseline(FkerasError, AssertionError):
    """A budget whose metric got worse than the baseline's by more than is tolerated."""


@dataclass(frozen=True, slots=True)
class PairCounts:
    """Pairs of trials that drew identical faults, counted where they differ by more than the tolerance (0 without one).

    low, high: one-sided bounds on the share of worse pairs among all draws; allowed: the share that may be worse.
    """

    n: int
    worse: int
    better: int
    low: float
    high: float
    allowed: float


@dataclass(frozen=True, slots=True)
class Histogram:
    """How many trials lie in each bin, before and now; edges: one more than bins. Infinite values are in none."""

    edges: tuple[float, ...]
    before: tuple[int, ...]
    now: tuple[int, ...]

    def __post_init__(self) -> None:
        if not len(self.edges) - 1 == len(self.before) == len(self.now) > 0:
            sizes = f"{len(self.edges)} edges, {len(self.before)} and {len(self.now)} counts"
            raise InputError(f"a histogram has one edge more than bins, and as many counts before as now; got {sizes}")
        if not all(map(operator.lt, self.edges, self.edges[1:])):
            raise InputError("a histogram's edges ascend")


@dataclass(frozen=True, slots=True)
class MetricComparison:
    """One metric: new minus old, in the metric's unit.

    better: "lower" or "higher"; low, high: bounds on the difference of the means; old_mean, new_mean: over the trials
    compared, n_old and n_new of them; tolerance: in the metric's unit, None where none was stated or needed, and as
    stated in tolerance_text; outcome: "" without a tolerance; more_trials: about how many would decide, None when that
    is not to be expected; golden_before, golden_now: without faults, None in reports of earlier versions;
    is_unchanged: what computes is the same and so is every common trial; rule: what decided, "" where nothing was
    asked or nothing changed; rule_reason: why it is the rule on means where the one on draws was asked for; pairs: None
    where the trials cannot be paired; can_tighten: better than the baseline by more than the tolerance, in most draws
    or in the mean, as the rule says; notice: what a reader must know of the values; histogram: of the trials compared,
    None where nothing changed or few were kept.
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
    golden_before: float | None = None
    golden_now: float | None = None
    is_unchanged: bool = False
    rule: Literal["draws", "mean", ""] = ""
    rule_reason: str = ""
    pairs: PairCounts | None = None
    can_tighten: bool = False
    notice: str = ""
    histogram: Histogram | None = None

    @property
    def change(self) -> str:
        """How much the mean under faults changed, in the tolerance's unit; with its bounds where they decide."""
        best, low, high = self.moved, self._amount(self.low), self._amount(self.high)
        if self.is_unchanged or self.method == EXACT or self.rule == "draws" or (self.pairs and not self.rule):
            return best
        return f"{best.removesuffix(' %')} [{low.removesuffix(' %')}, {high}]"

    @property
    def moved(self) -> str:
        """How much the mean under faults changed, in the tolerance's unit."""
        return UNCHANGED if self.is_unchanged else self._amount(self.difference)

    @property
    def golden_change(self) -> str:
        """How much the fault-free value changed, in the same unit; "" where it is not known."""
        if self.golden_before is None or self.golden_now is None:
            return ""
        return UNCHANGED if self.is_unchanged else self._amount(new_minus_old(self.golden_now, self.golden_before))

    @property
    def evidence(self) -> str:
        """What decides; "" where nothing needs to, or nothing can be counted."""
        pairs = None if self.is_unchanged else self.pairs
        if self.rule == "mean":
            why = f", for want of pairs: {self.rule_reason}" if self.rule_reason else ""
            return f"at most {self.tolerance_text} worse in the mean{why}"
        if pairs is None:
            return ""
        if not self.rule:
            return f"worse in {pairs.worse:,}, better in {pairs.better:,} of {pairs.n:,} pairs"
        share = f"{100 * pairs.low:.2g} to {100 * pairs.high:.2g} %"
        if pairs.high <= pairs.allowed:
            share = f"at most {100 * pairs.high:.2g} %"
        elif pairs.low > pairs.allowed:
            share = f"at least {100 * pairs.low:.2g} %"
        counted = f"worse by more than {self.tolerance_text} in {pairs.worse:,} of {pairs.n:,} pairs"
        return f"{counted}, {share} of draws ({100 * pairs.allowed:.4g} % allowed)"

    @property
    def where_worse(self) -> str:
        """Whether a FAIL is there without faults already or only under them; "" where the numbers do not say so."""
        before, now = self.golden_before, self.golden_now
        if self.outcome != Outcome.FAIL or self.tolerance is None or before is None or now is None:
            return ""
        sign = 1 if self.better == "lower" else -1
        golden, faulty = sign * new_minus_old(now, before), sign * self.difference
        if golden > self.tolerance:
            return "worse by more than the tolerance without faults already"
        if faulty > self.tolerance and golden >= MOST_OF_IT * faulty:
            return "worse by about as much without faults already"
        if golden <= 0:
            return "worse only under faults"
        return "worse almost only under faults" if golden <= (1 - MOST_OF_IT) * faulty else ""

    def __str__(self) -> str:
        before, now = self.golden_before, self.golden_now
        golden = "" if before is None else f"fault-free {_moved(before, now, self.golden_change)}, under faults "
        unchanged = f"{UNCHANGED}, " if self.is_unchanged else ""
        text = f"{self.metric} {unchanged}{golden}{_moved(self.old_mean, self.new_mean, self.change)}"
        text += f"; {self.evidence}" if self.evidence else ""
        text += f": {self.outcome}" if self.outcome else ""
        return text + (f", {self.outlook}" if self.outlook else "")

    @property
    def outlook(self) -> str:
        """What more trials would do; "" where it is decided."""
        if self.outcome is not Outcome.INCONCLUSIVE:
            return ""
        if self.more_trials is not None:
            return f"about {self.more_trials:,} more trials would decide"
        if self.rule == "draws":
            return "the share lies at the one allowed, more trials will not decide"
        return "more trials are not expected to decide"

    def _amount(self, difference: float) -> str:
        """In per cent of the baseline's mean where the tolerance is, or says nothing and the mean can be divided by."""
        is_share = self.tolerance_text.endswith("%") or not self.tolerance_text
        if is_share and self.old_mean and math.isfinite(self.old_mean):
            return f"{_signed(100 * difference / abs(self.old_mean))} %"
        return _signed(difference)


@dataclass(frozen=True, slots=True)
class Comparison:
    """A campaign against an earlier one, as plain values.

    outcome: NOT_RUN where it could not be made (`reason` says why), "" where nothing was asked for; pairing: "paired"
    (on identical faults), "unpaired (why)" or "exact"; confidence: of each bound; baseline: the file compared with,
    "" where there is none.
    """

    outcome: AnyOutcome
    pairing: str
    confidence: float
    metrics: tuple[MetricComparison, ...] = ()
    reason: str = ""
    baseline: str = ""

    def __str__(self) -> str:
        if self.reason:
            return f"{self.outcome or 'not compared'}: {self.reason}"
        return f"{'; '.join(map(str, self.metrics))}; {self.trials_text}"

    @property
    def is_unchanged(self) -> bool:
        """Whether nothing that computes changed, for any of the metrics."""
        return bool(self.metrics) and all(metric.is_unchanged for metric in self.metrics)

    @property
    def notices(self) -> tuple[str, ...]:
        """What a reader must know of the values, each once."""
        return tuple(dict.fromkeys(metric.notice for metric in self.metrics if metric.notice))

    @property
    def tightening(self) -> tuple[str, ...]:
        """The metrics that are so much better that the baseline could be tightened."""
        return tuple(metric.metric for metric in self.metrics if metric.can_tighten)

    @property
    def trials_text(self) -> str:
        """Which trials were compared."""
        if self.pairing == EXACT:
            return "exact"
        sizes = dict.fromkeys((metric.n_new, metric.n_old) for metric in self.metrics)
        if self.pairing == PAIRED:
            return " and ".join(f"paired on {n:,} identical fault sets" for n, _ in sizes)
        return f"{self.pairing}, " + " and ".join(f"{new:,} trials against {old:,}" for new, old in sizes)


def new_minus_old(new: float, old: float) -> float:
    """The difference; 0 for equal values, infinite ones too."""
    return 0.0 if new == old else new - old


def _moved(before: float | None, now: float | None, change: str) -> str:
    return f"{before:.6g}" if change == UNCHANGED else f"{before:.6g} -> {now:.6g} ({change})"


def _signed(value: float) -> str:
    if value == 0 or math.isinf(value):
        return f"{value:+.0f}"
    return f"{value:+.0f}" if abs(value) >= 10 else f"{value:+#.2g}"
