"""Why a budget was missed: which faults were enough, how many protected bits would do, how many flips are survived;
and for the pages, the damage that fewer faults do.

All of it costs further evaluations, a bounded number of them, and none of it touches the verdict.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from fkeras.campaigns import CampaignResult, FixedTrials, ProtectionCurve, Requirement, UntilDecided, minimal_faults
from fkeras.campaigns.accumulation import OneByOne, exposures_in
from fkeras.campaigns.endurance import EndurancePoint, EnduranceRecord, least_trials
from fkeras.campaigns.endurance_campaign import EnduranceCampaign, one_two_five
from fkeras.campaigns.exhaustive import ExhaustiveResult
from fkeras.campaigns.protection_curve import exhaustive_curve, protection_curve
from fkeras.engine import Run
from fkeras.faults import FlipCount, Protection
from fkeras.memory import BitSpace
from fkeras.report.failure import Explanation
from fkeras.report.record import BudgetRecord, protection_text
from fkeras.statistics.means import spread
from fkeras.statistics.proportions import clopper_pearson
from pytest_fkeras.marks import Budget
from pytest_fkeras.selection import Fraction, LazyRanking, Protected, Slice, parts_of

if TYPE_CHECKING:
    from pytest_fkeras.campaign import FaultCampaign
    from pytest_fkeras.resilience import Source

MOST_EVALUATIONS = 600
"""What the search for the smallest number of protected bits may cost, in evaluations of the data set."""
MOST_TRIALS = 200
"""A level that is not decided after so many trials is not followed further: it is close to the limit."""
DRAWS, LOOKS = 10, 6
"""Their product is what a damage curve costs in evaluations of the data set: less than a campaign."""


@dataclass(frozen=True, slots=True)
class Levels:
    """The first k bits of the ranking that a budget's `protected=` takes its bits from."""

    ranking: LazyRanking
    k: int
    most: int
    make: Callable[[Slice], Any]

    def at(self, k: int) -> Any:
        """What to write as `protected=` for the first k bits."""
        return self.make(Slice(self.ranking, None, k))


def levels_of(protected: Any, source: Source) -> Levels | None:
    """The levels of `protected=ranking[:k]`, `ranking.fraction(x)`, or either under a protection; None for others."""
    parts = parts_of(protected)
    if len(parts) > 1:
        levels = [(number, level) for number, part in enumerate(parts) if (level := levels_of(part, source))]
        if len(levels) != 1:
            return None
        number, level = levels[0]
        return replace(level, make=lambda part: [*parts[:number], level.make(part), *parts[number + 1 :]])
    protected = parts[0]
    selection = protected.selection if isinstance(protected, Protected) else protected
    make: Callable[[Slice], Any] = lambda part: part  # noqa: E731
    if isinstance(protected, Protected):
        whole = protected
        make = lambda part: replace(whole, selection=part)  # noqa: E731
    if isinstance(selection, Fraction):
        most = len(selection.ranking.order(source))
        return Levels(selection.ranking, round(selection.share * most), most, make)
    if isinstance(selection, Slice) and not selection.start and selection.stop is not None:
        return Levels(selection.ranking, selection.stop, len(selection.ranking.order(source)), make)
    return None


def explain(
    result: CampaignResult,
    requirement: Requirement,
    plan: FixedTrials | UntilDecided,
    run: Run,
    budget: Budget,
    source: Source,
    protect: Callable[[Any], Protection],
) -> Explanation:
    """Look for the reasons why `result` misses `requirement`.

    source, protect: what rankings and a `protected=` are for this model.
    """
    try:
        levels = levels_of(budget.protected, source)
        if budget.protected is None and budget.is_exhaustive:
            levels = _of_any_ranking(source)
        order = None if levels is None else source.ranking(levels.ranking.method).order
        minimal = minimal_faults(result, run, requirement.limits, order)
        if minimal is None:
            return Explanation()
        survived = _survived(result, requirement, run) if budget.counts_flips else None
        if levels is None or (budget.is_exhaustive and result.residual[result.setting.protection.bits.bits].any()):
            # A single flip of a covered bit that shows all the same (parity): more such bits need not help.
            return Explanation(minimal, survived=survived)
        curve = _curve(result, requirement, plan, run, levels, protect)
        would = None if curve.smallest is None else repr(levels.at(curve.smallest))
        below = next((point for point in curve.points if point.k == curve.largest_failing), None)
        not_yet = None
        if below is not None:
            not_yet = f"{levels.at(below.k)!r} is {below.verdict.outcome} after {below.verdict.trials:,} trials"
        return Explanation(minimal, curve, _stated(budget.protected), would, not_yet, survived)
    except Exception as error:
        # The verdict stands without its explanation.
        return Explanation(problem=f"{type(error).__name__}: {error}")


def _of_any_ranking(source: Source) -> Levels | None:
    """All flips are measured, so it costs no more than a ranking, where there is one, to say how much would do."""
    with suppress(Exception):
        source.ranking(None)
        return Levels(LazyRanking(), 0, len(source.space), lambda part: part)
    return None


def _stated(protected: Any) -> str:
    return "nothing protected" if protected is None else repr(protected)


def with_explanation(record: BudgetRecord, found: Explanation, space: BitSpace) -> BudgetRecord:
    """The record with what was found out."""
    minimal = None if found.minimal is None else found.minimal.record(space)
    return replace(record, minimal_faults=minimal, protection_curve=found.curve)


def _curve(
    result: CampaignResult,
    requirement: Requirement,
    plan: FixedTrials | UntilDecided,
    run: Run,
    levels: Levels,
    protect: Callable[[Any], Protection],
) -> ProtectionCurve:
    if isinstance(plan, UntilDecided):
        plan = UntilDecided(plan.requirement, min(plan.max_trials, MOST_TRIALS))
    if isinstance(result, ExhaustiveResult):
        return exhaustive_curve(result, requirement, lambda k: protect(levels.at(k)), levels.most, levels.k)
    return protection_curve(
        run,
        result.setting,
        plan,
        requirement,
        lambda k: protect(levels.at(k)),
        levels.most,
        levels.k,
        MOST_EVALUATIONS,
    )


def _survived(result: CampaignResult, requirement: Requirement, run: Run) -> tuple[int, int, int]:
    setting = result.setting
    assert isinstance(setting.fault_model, FlipCount)
    n_faults = setting.fault_model.n_faults
    looks = one_two_five(max(1, n_faults // 100), n_faults)[:-1]
    faults = EnduranceCampaign(run, OneByOne(), setting.protection, setting.seed)
    survived = faults.survived(requirement, looks) if looks.size else None
    return int(survived or 0), n_faults, least_trials(requirement.max_failure_rate, requirement.confidence)


def damage_curve(campaign: FaultCampaign) -> EnduranceRecord | None:
    """The metric under 1 fault, and more and more, up to the budget's number or time; None for other fault models."""
    setting, limits = campaign.result.setting, () if campaign.requirement is None else campaign.requirement.limits
    n_bits = len(setting.space)
    model: Any = setting.fault_model
    upsets = sum(part.mean_upsets(size) for part, size in exposures_in(model, n_bits))
    if isinstance(model, FlipCount) and model.n_faults:
        unit, shares = "flips", np.rint(np.geomspace(1, model.n_faults, LOOKS)) / model.n_faults
    elif upsets >= 1 and model.exposure_seconds is not None:
        unit, shares = "seconds", np.geomspace(1 / upsets, 1, LOOKS)
    else:
        return None
    name, curve = next(iter(campaign.result.by_metric)), []
    for share in np.unique(shares).tolist():
        fewer = model.scaled(share)
        look = float(fewer.n_faults if isinstance(fewer, FlipCount) else fewer.exposure_seconds)
        result = campaign.under(fewer, DRAWS)
        failed = int(result.broken(limits).sum())
        mean, failing = result[name].estimate, clopper_pearson(failed, DRAWS)
        means, failures = (mean.best, mean.low, mean.high), (failed, failing.low, failing.high)
        curve.append(EndurancePoint(look, DRAWS, *means, *failures, *spread(result[name].values)))
    return EnduranceRecord(
        name,
        unit,
        float(campaign.result.by_metric[name].golden.value),
        f"the mean of {DRAWS} draws at each of {len(curve)} numbers of {unit}",
        tuple(curve),
        faults=model.describe(n_bits),
        protection=protection_text(setting),
        seed=int(setting.seed),
    )
