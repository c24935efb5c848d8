"""The merge gate: what a budget measured against what it measured before.

Reading happens where the test runs; files are written at the end of the session, by the process that the user looks
at (`pytest_fkeras.baseline_files`).
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest

from fkeras.campaigns.budget import CampaignResult
from fkeras.campaigns.comparing import compare
from fkeras.campaigns.comparison import PAIRED, Comparison
from fkeras.campaigns.measured_campaign import SCHEMA as BASELINE
from fkeras.campaigns.measured_campaign import BudgetIdentity, MeasuredCampaign
from fkeras.campaigns.verdict import AnyOutcome, Outcome
from fkeras.errors import InputError
from fkeras.files import require_regular_file
from fkeras.report.document import SCHEMA as REPORT
from fkeras.report.document import read_report
from fkeras.statistics.tolerance import Tolerance
from pytest_fkeras.budget_identity import budget_identity
from pytest_fkeras.rerun import rerun_command
from pytest_fkeras.session import ANCHOR, SESSION

if TYPE_CHECKING:
    from pytest_fkeras.campaign import FaultCampaign

GROWTH = 2
"""Each look at an undecided comparison has this many times the trials of the one before."""


class Against(NamedTuple):
    """What a budget measured, and how that compares with the baseline and with its anchor (None: not compared).

    unknown: why it is not known whether what computes is the same.
    """

    measured: MeasuredCampaign
    comparison: Comparison | None = None
    drift: Comparison | None = None
    unknown: tuple[str, ...] = ()


def against_baseline(item: pytest.Item, campaign: FaultCampaign) -> Against:
    """Compare a campaign with its baseline; it goes on where that decides, up to its own largest number of trials."""
    gate, identity = item.config.stash[SESSION].gate, budget_identity(item, campaign)
    identities, unknown = campaign.identities(campaign.longer())
    measured = _measured(campaign, campaign.longer(), identity, identities)
    if gate.folder is None:
        return Against(measured)
    judged = [tolerance for tolerance in gate.tolerances if tolerance.metric in measured.metrics]
    refused: AnyOutcome = Outcome.NOT_RUN if judged else ""
    confidence = campaign.budget.confidence
    try:
        old = find(gate.folder, identity, list(measured.metrics))
    except InputError as error:
        old, problem = None, str(error)
    else:
        problem = f"{gate.folder} has no baseline for this budget; make one{_how_to_update(item)}"
    if gate.update == "all" or (gate.update == "new" and old is None):
        # However few trials the verdict needed: what is compared later can be no longer than this.
        measured = _measured(campaign, campaign.longer(campaign.most_trials), identity, identities)
        return Against(measured, None if old is None else _quietly(measured, old, campaign))
    if old is None:
        # Without one nothing is compared, now or ever: that must not go unseen in CI.
        return Against(measured, Comparison(Outcome.NOT_RUN if gate.is_ci else refused, "", confidence, (), problem))
    try:
        measured, comparison = _decided(campaign, measured, old, judged)
    except InputError as error:
        comparison = Comparison(refused, "", confidence, (), str(error))
    else:
        if comparison.outcome == "NOT_RUN":
            reason = f"{comparison.reason}; if that is meant, overwrite the baseline{_how_to_update(item)}"
            comparison = replace(comparison, reason=reason)
    start = item.config.invocation_params.dir
    comparison = replace(comparison, baseline=_shown(gate.folder, measured, start))
    return Against(measured, comparison, _drift(gate.folder, measured, campaign, start), unknown)


def _measured(
    campaign: FaultCampaign, result: CampaignResult, identity: BudgetIdentity, identities: Mapping[str, str]
) -> MeasuredCampaign:
    return MeasuredCampaign.of(result, identity, campaign.study.data_summary, identities)


def _shown(folder: Path, measured: MeasuredCampaign, start: Path) -> str:
    """The baseline's file, or the reports that hold it."""
    path = folder / measured.file_name
    return os.path.relpath(path if os.path.lexists(path) else folder, start)


def _how_to_update(item: pytest.Item) -> str:
    where = " on your machine and commit it" if item.config.stash[SESSION].gate.is_ci else ""
    return f"{where}: {rerun_command(item)} --fkeras-baseline-update"


def _decided(
    campaign: FaultCampaign, measured: MeasuredCampaign, old: MeasuredCampaign, judged: list[Tolerance]
) -> tuple[MeasuredCampaign, Comparison]:
    """Look, draw more trials, look again: the bounds hold at every look."""
    identities = {name: metric.identity for name, metric in measured.metrics.items()}
    while True:
        comparison = compare(measured, old, judged, campaign.budget.confidence, campaign.max_failure_rate)
        most = campaign.most_trials
        if comparison.pairing == PAIRED:
            most = min(most, old.kept)
        if comparison.outcome != "INCONCLUSIVE" or measured.trials >= most:
            return measured, comparison
        longer = campaign.longer(min(most, GROWTH * measured.trials))
        measured = _measured(campaign, longer, measured.identity, identities)


def _drift(folder: Path, measured: MeasuredCampaign, campaign: FaultCampaign, start: Path) -> Comparison | None:
    """Against the anchor, for information."""
    if not (folder / ANCHOR).is_dir():
        return None
    shown = _shown(folder / ANCHOR, measured, start)
    try:
        anchor = find(folder / ANCHOR, measured.identity, list(measured.metrics))
    except InputError as error:
        return Comparison("", "", campaign.budget.confidence, (), str(error))
    return None if anchor is None else replace(_quietly(measured, anchor, campaign), baseline=shown)


def _quietly(measured: MeasuredCampaign, old: MeasuredCampaign, campaign: FaultCampaign) -> Comparison:
    return compare(measured, old, (), campaign.budget.confidence, campaign.max_failure_rate)


def find(folder: Path, identity: BudgetIdentity, metrics: list[str]) -> MeasuredCampaign | None:
    """The baseline of a budget, from its file or a report; None if there is none, InputError for a damaged one."""
    name = identity.file_name(metrics)
    if os.path.lexists(folder / name):
        return _read(folder / name)
    return _longest(campaign for campaign in _in_reports(folder) if campaign.file_name == name)


def find_any(folder: Path, identity: BudgetIdentity) -> MeasuredCampaign | None:
    """The baseline of a budget whatever it measured; UsageError where there are several."""
    paths = sorted(folder.glob(f"*-{identity.digest}.*.json")) if folder.is_dir() else []
    if len(paths) > 1:
        raise pytest.UsageError(
            f"{folder} has several baselines of this budget: {', '.join(path.name for path in paths)}; state a limit, "
            "so that it is known which metric is meant"
        )
    if paths:
        return _read(paths[0])
    return _longest(campaign for campaign in _in_reports(folder) if campaign.identity == identity)


def _longest(campaigns: Iterable[MeasuredCampaign]) -> MeasuredCampaign | None:
    return max(campaigns, key=lambda campaign: campaign.kept, default=None)


def _read(path: Path) -> MeasuredCampaign:
    try:
        require_regular_file(path, "baseline")
        text = path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read: {error}; remove it, and write a new one") from None
    return MeasuredCampaign.from_json(text, str(path))


def _in_reports(folder: Path) -> list[MeasuredCampaign]:
    reports = [folder] if folder.is_file() else files_of(folder, REPORT)
    return [
        MeasuredCampaign.from_plain(record.measured, f"{record.nodeid} in {path}")
        for path in reports
        for record in read_report(path).tests
        if record.measured is not None
    ]


def metrics_in(folder: Path) -> set[str]:
    """The metrics that any baseline here measured; files that cannot be read have none."""
    metrics: set[str] = set()
    with suppress(InputError):
        metrics.update(*(campaign.metrics for campaign in _in_reports(folder)))
    for path in files_of(folder, BASELINE):
        with suppress(InputError):
            metrics.update(_read(path).metrics)
    return metrics


def files_of(folder: Path, schema: str) -> list[Path]:
    """The JSON files in a folder that say they have this schema; what cannot be opened (a folder, a pipe, a loop of
    links) has none."""
    paths = []
    for path in sorted(folder.glob("*.json")) if folder.is_dir() else []:
        if path.is_file():
            with suppress(OSError), path.open(encoding="utf-8", errors="replace") as file:
                if schema in file.read(200):
                    paths.append(path)
    return paths


def baseline_text(against: Against, comparison: Comparison, item: pytest.Item, after: str = "") -> str:
    """What a test prints when it is worse than its baseline, or nobody knows; `after`: what it prints anyway.

    The first line is what pytest's summary shows; what gives up the baseline comes last.
    """
    name = comparison.baseline or "the baseline"
    if comparison.outcome == "NOT_RUN":
        return "\n".join(filter(None, (f"NOT_RUN against {name}: {comparison.reason}", after)))
    decisive = [metric for metric in comparison.metrics if metric.outcome == comparison.outcome]
    others = [metric for metric in comparison.metrics if metric not in decisive]
    lines = [f"{comparison.outcome} against {name}: {'; '.join(map(str, decisive))}"]
    lines += [f"  also        {metric}" for metric in others]
    methods = "; ".join(dict.fromkeys("" if metric.rule == "draws" else f", {metric.method}" for metric in decisive))
    bounds = f"one-sided bounds, each at {comparison.confidence:.4g} confidence{methods}"
    lines.append(f"  compared    {comparison.trials_text}; {bounds}")
    lines += [f"  loss        {metric.metric} is {metric.where_worse}" for metric in decisive if metric.where_worse]
    rerun = rerun_command(item)
    accept = ""
    if comparison.outcome == "INCONCLUSIVE":
        if against.unknown and all(metric.difference == 0 for metric in decisive):
            lines.append(f"  unchanged?  that cannot be told: {'; '.join(against.unknown)}")
        for metric in decisive:
            if metric.more_trials is None:
                by_draws = metric.rule == "mean" and metric.pairs is not None
                other = f", or by draws: {metric.metric}:{metric.tolerance_text.replace(' ', '')}" if by_draws else ""
                lines.append(f"  decide it   by a larger tolerance{other}")
        if any(metric.more_trials is not None for metric in decisive):
            where = "in the budget, or --fkeras-max-trials=N; in the baseline too, by --fkeras-baseline-update"
            lines.append(f"  more trials max_trials= (or trials=) {where}")
    elif not item.config.stash[SESSION].gate.is_ci:
        accept = f"  accept it   overwrites the baseline: {rerun} --fkeras-baseline-update"
    return "\n".join(filter(None, [*lines, after or f"  again       {rerun}", accept]))


def tightening_text(comparison: Comparison, item: pytest.Item) -> str:
    """What to do about an improvement by more than the tolerance; "" without one."""
    if not comparison.tightening:
        return ""
    places = {"draws": "in most draws", "mean": "in the mean", "": ""}
    better = " and ".join(
        f"{metric.metric} is better by more than {metric.tolerance_text} {places[metric.rule]}"
        for metric in comparison.metrics
        if metric.can_tighten
    )
    return f"{better}; tighten {comparison.baseline or 'the baseline'}{_how_to_update(item)}"
