"""The protection curve: what becomes of a campaign when the first k bits of a ranking are protected."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from fkeras.campaigns.budget import CampaignResult, FixedTrials, Setting, UntilDecided, run_campaign
from fkeras.campaigns.exhaustive import ExhaustiveResult
from fkeras.campaigns.verdict import Outcome, Requirement, VerdictRecord, judge
from fkeras.engine import Run
from fkeras.faults import Protection
from fkeras.plain import FLAT
from fkeras.progress import Progress, silent
from fkeras.runs.remembering import OutOfEvaluations, RememberingRun

MOST_EVALUATIONS = 1000


@dataclass(frozen=True, slots=True)
class ProtectionPoint:
    """The campaign with the first `k` bits protected: its verdict, and the mean of a metric."""

    k: int
    verdict: VerdictRecord = field(metadata=FLAT)
    mean: float


@dataclass(frozen=True, slots=True)
class ProtectionCurve:
    """A campaign at several numbers of protected bits, with the same faults at each.

    That the campaign passes with `smallest` is a fact about this seed's faults, reproduced by running it. It was
    searched for, so its confidence is not the verdict's: a run with another seed has that. k between the two was not
    tried (then the evaluations ran out), and where damage is not monotone in k a smaller k may pass too.

    Arguments:
        metric: whose mean the points hold.
        points: by ascending k.
        smallest: the least k found to pass, None if none was.
        largest_failing: the greatest k below it that was tried and does not pass, None where nothing less was tried.
    """

    metric: str
    points: tuple[ProtectionPoint, ...]
    smallest: int | None = None
    largest_failing: int | None = None

    @property
    def undecided(self) -> tuple[int | None, int | None]:
        """Between which k nobody knows: the greatest shown to fail below `smallest`, and `smallest`; None for none."""
        failing = (p.k for p in self.points if p.verdict.outcome is Outcome.FAIL)
        return max((k for k in failing if self.smallest is None or k < self.smallest), default=None), self.smallest


def protection_curve(
    run: Run,
    setting: Setting,
    plan: FixedTrials | UntilDecided,
    requirement: Requirement,
    protect: Callable[[int], Protection],
    most: int,
    start: int = 0,
    max_evaluations: int = MOST_EVALUATIONS,
    progress: Progress = silent,
) -> ProtectionCurve:
    """Search for the smallest number of protected bits with which a campaign passes: doubling, then bisection.

    protect: k -> the protection of the first k bits; most: the largest k; start: a k known not to pass, or 0, which
    is then tried first. A k costs a campaign, less what was measured before; the search ends after `max_evaluations`
    fault sets.
    """
    remembering = RememberingRun(run, max_evaluations)
    points: dict[int, ProtectionPoint] = {}

    def passes(k: int) -> bool:
        if k not in points:
            level = replace(setting, protection=protect(k))
            points[k] = _point(k, run_campaign(remembering, level, plan, progress), requirement)
        return points[k].verdict.outcome is Outcome.PASS

    low, high, step = start, None, max(start, most // 64, 1)
    try:
        if start == 0 and passes(0):
            high = 0
        while high is None and low < most:
            k = min(start + step, most)
            low, high = (low, k) if passes(k) else (k, None)
            step *= 2
        while high is not None and high - low > 1:
            middle = (low + high) // 2
            low, high = (low, middle) if passes(middle) else (middle, high)
    except OutOfEvaluations:
        pass
    return _curve(requirement.limits[0].metric, points)


def exhaustive_curve(
    result: ExhaustiveResult, requirement: Requirement, protect: Callable[[int], Protection], most: int, start: int = 0
) -> ProtectionCurve:
    """The same for a campaign that has flipped every bit alone with the first `start` bits protected.

    Nothing is measured again, and `smallest` is exact: more protected bits can only leave fewer that break a limit.
    """
    broken, mean_of = result.broken(requirement.limits), result.by_metric[requirement.limits[0].metric]
    points: dict[int, ProtectionPoint] = {}

    def passes(k: int) -> bool:
        covered = protect(k).bits.bits
        left, values = broken.copy(), mean_of.values.copy()
        left[covered], values[covered] = False, mean_of.golden.value
        verdict = judge(requirement, int(left.sum()), len(result), max_trials=None, exact=result.exact_because)
        points[k] = ProtectionPoint(k, verdict.record, float(values.mean()))
        return verdict.outcome is Outcome.PASS

    if not passes(start) and passes(most):
        low, high = start, most
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (low, middle) if passes(middle) else (middle, high)
    return _curve(mean_of.metric, points)


def _curve(metric: str, points: dict[int, ProtectionPoint]) -> ProtectionCurve:
    passing = [k for k, point in points.items() if point.verdict.outcome is Outcome.PASS]
    smallest = min(passing, default=None)
    failing = [k for k in points if k not in passing and (smallest is None or k < smallest)]
    return ProtectionCurve(metric, tuple(points[k] for k in sorted(points)), smallest, max(failing, default=None))


def _point(k: int, result: CampaignResult, requirement: Requirement) -> ProtectionPoint:
    mean = float(result.by_metric[requirement.limits[0].metric].values.mean())
    return ProtectionPoint(k, result.judge(requirement).record, mean)
