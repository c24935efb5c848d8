"""The merge gate: what a budget measured against what it measured before.

Reading happens where the test runs; files are written at the end of the session, by the process that the user looks
at (`pytest_fkeras.baseline_files`).
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import pytest

from pytest_fkeras.origin import model_origin
from pytest_fkeras.places import ini_folder
from pytest_fkeras.rerun import rerun_command

if TYPE_CHECKING:
    from fkeras.campaigns.comparison import Comparison
    from fkeras.campaigns.measured import BudgetIdentity, Measured
    from fkeras.campaigns.verdict import AnyOutcome
    from fkeras.statistics.tolerance import Tolerance
    from pytest_fkeras.campaign import FaultCampaign

ANCHOR = "anchor"
"""The folder in a baseline folder with the files of a release, which updates leave alone."""
GROWTH = 2
"""Each look at an undecided comparison has this many times the trials of the one before."""

_CI_VARIABLES = ("CI", "BUILD_NUMBER")
"""Those by which pytest itself tells that it runs in CI."""

_HELP = {
    "baseline": ("DIR", "compare every budget with its file in DIR (or with an earlier --fkeras-json report)"),
    "compare_fail": (
        "METRIC:AMOUNT",
        "fail where a mean got worse than the baseline's by more than this, as in emd:5%%,accuracy:0.01",
    ),
}
_FLAGS = {
    "baseline_update": "write what was measured as the new baseline; refused in CI (CI or BUILD_NUMBER is set)",
    "baseline_update_new_only": "the same for budgets that have no baseline yet; all others are compared",
    "baseline_update_in_ci": "the same as --fkeras-baseline-update, also in CI",
}
KEYS = (*_HELP, "inconclusive")
"""The ini keys, without their prefix."""
_INCONCLUSIVE = "what an INCONCLUSIVE budget does to its test: fail or pass (default fail)"


class Gate(NamedTuple):
    """What was asked for. folder: None without a baseline; update: which files to write at the end.

    inconclusive_passes: what was not decided, by limits or against the baseline, does not fail its test.
    """

    folder: Path | None = None
    tolerances: tuple[Tolerance, ...] = ()
    update: Literal["", "all", "new"] = ""
    is_ci: bool = False
    inconclusive_passes: bool = False


GATE = pytest.StashKey[Gate]()


def add_options(group: pytest.OptionGroup, parser: pytest.Parser) -> None:
    """Options and ini keys."""
    for name, (metavar, text) in _HELP.items():
        group.addoption(_option(name), dest=f"fkeras_{name}", default=None, metavar=metavar, help=text)
        parser.addini(f"fkeras_{name}", text.replace("%%", "%"), default=None)
    parser.addini("fkeras_inconclusive", _INCONCLUSIVE, default=None)
    for name, text in _FLAGS.items():
        group.addoption(_option(name), dest=f"fkeras_{name}", action="store_true", help=text)


def gate_of(config: pytest.Config) -> Gate:
    """What the command line and the ini file ask for. UsageError for what contradicts itself."""
    folder, text = _folder(config), config.option.fkeras_compare_fail or config.getini("fkeras_compare_fail")
    if folder is not None and os.path.lexists(folder) and not (folder.is_dir() or folder.is_file()):
        raise pytest.UsageError(f"{folder} is no folder and no report (a pipe, a link to nothing?); name a folder")
    chosen = [name for name in _FLAGS if getattr(config.option, f"fkeras_{name}")]
    is_ci = any(os.environ.get(name) for name in _CI_VARIABLES)
    if len(chosen) > 1:
        raise pytest.UsageError(f"{' and '.join(map(_option, chosen))} contradict one another; keep one of them")
    if folder is None and (chosen or text):
        asked = _option(chosen[0] if chosen else "compare_fail")
        raise pytest.UsageError(
            f"{asked} needs a baseline: add --fkeras-baseline=DIR, or the ini option fkeras_baseline"
        )
    if is_ci and chosen and chosen != ["baseline_update_in_ci"]:
        raise pytest.UsageError(
            f"{_option(chosen[0])} is refused where the environment variable CI or BUILD_NUMBER is set, because a "
            "gate that moves itself gates nothing; update on your machine and commit the files, or say "
            "--fkeras-baseline-update-in-ci"
        )
    if chosen and folder is not None and folder.is_file():
        raise pytest.UsageError(f"{folder} is a report and is only read; name a folder to write baselines into")
    update: Literal["", "all", "new"] = "" if not chosen else "new" if chosen == ["baseline_update_new_only"] else "all"
    inconclusive = config.getini("fkeras_inconclusive") or "fail"
    if inconclusive not in ("fail", "pass"):
        raise pytest.UsageError(f"the ini option fkeras_inconclusive is {inconclusive!r}; allowed are fail and pass")
    return Gate(folder, _tolerances(text), update, is_ci, inconclusive == "pass")


def refuse_to_overwrite(gate: Gate, reports: Sequence[Path]) -> None:
    """UsageError for a report that is the baseline too, or would be the next run's."""
    if gate.folder is None:
        return
    baseline = os.path.realpath(gate.folder)
    for path in map(os.path.realpath, reports):
        if path == baseline:
            raise pytest.UsageError(
                f"{path} is both the baseline and this run's report, which would replace it; write the report elsewhere"
            )
        if path.endswith(".json") and os.path.dirname(path) in (baseline, os.path.join(baseline, ANCHOR)):
            raise pytest.UsageError(
                f"{path} lies in the baseline folder: the next run would be compared with this one's report; write it "
                "elsewhere"
            )


def _option(name: str) -> str:
    return f"--fkeras-{name.replace('_', '-')}"


def _folder(config: pytest.Config) -> Path | None:
    given, stated = config.option.fkeras_baseline, config.getini("fkeras_baseline")
    if given == "":
        raise pytest.UsageError("--fkeras-baseline names no folder; write --fkeras-baseline=baselines")
    if given is not None:
        return Path(config.invocation_params.dir, os.path.expanduser(given))
    return ini_folder(config) / stated if stated else None


def _tolerances(text: str | None) -> tuple[Tolerance, ...]:
    if not text:
        return ()
    from fkeras.errors import InputError
    from fkeras.statistics.tolerance import parse_tolerances

    try:
        return parse_tolerances(text)
    except InputError as error:
        raise pytest.UsageError(f"--fkeras-compare-fail: {error}") from None


class Against(NamedTuple):
    """What a budget measured, and how that compares with the baseline and with its anchor (None: not compared)."""

    measured: Measured
    comparison: Comparison | None = None
    drift: Comparison | None = None


def against_baseline(item: pytest.Item, campaign: FaultCampaign) -> Against:
    """Compare a campaign with its baseline; it goes on where that decides, up to its own largest number of trials."""
    from fkeras.campaigns.comparison import Comparison
    from fkeras.campaigns.measured import Measured
    from fkeras.campaigns.verdict import Outcome
    from fkeras.errors import InputError

    gate, identity, data = item.config.stash[GATE], budget_identity(item, campaign), campaign.data_summary
    measured = Measured.of(campaign.longer(), identity, data)
    if gate.folder is None:
        return Against(measured)
    judged = [one for one in gate.tolerances if one.metric in measured.metrics]
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
        measured = Measured.of(campaign.longer(campaign.most_trials), identity, data)
        return Against(measured, None if old is None else _quietly(measured, old, confidence))
    if old is None:
        # Without one nothing is compared, now or ever: that must not go unseen in CI.
        return Against(measured, Comparison(Outcome.NOT_RUN if gate.is_ci else refused, "", confidence, (), problem))
    try:
        measured, comparison = _decided(campaign, measured, old, judged)
    except InputError as error:
        comparison = Comparison(refused, "", confidence, (), str(error))
    else:
        if comparison.outcome == "NOT_RUN":
            reason = f"{comparison.reason}; if that is meant, write a new one{_how_to_update(item)}"
            comparison = replace(comparison, reason=reason)
    return Against(measured, comparison, _drift(gate.folder, measured, confidence))


def _how_to_update(item: pytest.Item) -> str:
    where = " on your machine and commit it" if item.config.stash[GATE].is_ci else ""
    return f"{where}: {rerun_command(item)} --fkeras-baseline-update"


def _decided(
    campaign: FaultCampaign, measured: Measured, old: Measured, judged: list[Tolerance]
) -> tuple[Measured, Comparison]:
    """Look, draw more trials, look again: the bounds hold at every look."""
    from fkeras.campaigns.comparison import PAIRED, compare
    from fkeras.campaigns.measured import Measured

    while True:
        comparison = compare(measured, old, judged, campaign.budget.confidence)
        most = campaign.most_trials
        if comparison.pairing == PAIRED:
            most = min(most, old.kept)
        if comparison.outcome != "INCONCLUSIVE" or measured.trials >= most:
            return measured, comparison
        longer = campaign.longer(min(most, GROWTH * measured.trials))
        measured = Measured.of(longer, measured.identity, measured.data)


def _drift(folder: Path, measured: Measured, confidence: float) -> Comparison | None:
    """Against the anchor, for information."""
    from fkeras.campaigns.comparison import Comparison
    from fkeras.errors import InputError

    if not (folder / ANCHOR).is_dir():
        return None
    try:
        anchor = find(folder / ANCHOR, measured.identity, list(measured.metrics))
    except InputError as error:
        return Comparison("", "", confidence, (), str(error))
    return None if anchor is None else _quietly(measured, anchor, confidence)


def _quietly(measured: Measured, old: Measured, confidence: float) -> Comparison:
    from fkeras.campaigns.comparison import compare

    return compare(measured, old, (), confidence)


def find(folder: Path, identity: BudgetIdentity, metrics: list[str]) -> Measured | None:
    """The baseline of a budget, from its file or a report; None if there is none, InputError for a damaged one."""
    name = identity.file_name(metrics)
    if os.path.lexists(folder / name):
        return _read(folder / name)
    return max((one for one in _in_reports(folder) if one.file_name == name), key=lambda one: one.kept, default=None)


def find_any(folder: Path, identity: BudgetIdentity) -> Measured | None:
    """The baseline of a budget whatever it measured; UsageError where there are several."""
    paths = sorted(folder.glob(f"*-{identity.digest}.*.json")) if folder.is_dir() else []
    if len(paths) > 1:
        raise pytest.UsageError(
            f"{folder} has several baselines of this budget: {', '.join(path.name for path in paths)}; state a limit, "
            "so that it is known which metric is meant"
        )
    if paths:
        return _read(paths[0])
    return max((one for one in _in_reports(folder) if one.identity == identity), key=lambda one: one.kept, default=None)


def _read(path: Path) -> Measured:
    from fkeras.campaigns.measured import Measured
    from fkeras.errors import InputError
    from fkeras.files import require_regular_file

    try:
        require_regular_file(path, "baseline")
        text = path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read: {error}; remove it, and write a new one") from None
    return Measured.from_json(text, str(path))


def _in_reports(folder: Path) -> list[Measured]:
    from fkeras.campaigns.measured import Measured
    from fkeras.report.document import SCHEMA, read_report

    reports = [folder] if folder.is_file() else files_of(folder, SCHEMA)
    return [
        Measured.from_plain(record.measured, f"{record.nodeid} in {path}")
        for path in reports
        for record in read_report(path).tests
        if record.measured is not None
    ]


def metrics_in(folder: Path) -> set[str]:
    """The metrics that any baseline here measured; files that cannot be read have none."""
    from fkeras.campaigns.measured import SCHEMA
    from fkeras.errors import InputError

    found: set[str] = set()
    with suppress(InputError):
        found.update(*(one.metrics for one in _in_reports(folder)))
    for path in files_of(folder, SCHEMA):
        with suppress(InputError):
            found.update(_read(path).metrics)
    return found


def files_of(folder: Path, schema: str) -> list[Path]:
    """The JSON files in a folder that say they have this schema; what cannot be opened (a folder, a pipe, a loop of
    links) has none."""
    found = []
    for path in sorted(folder.glob("*.json")) if folder.is_dir() else []:
        if path.is_file():
            with suppress(OSError), path.open(encoding="utf-8", errors="replace") as file:
                if schema in file.read(200):
                    found.append(path)
    return found


def budget_identity(item: pytest.Item, campaign: FaultCampaign) -> BudgetIdentity:
    """What a budget asks, apart from the weights."""
    from fkeras.campaigns.measured import BudgetIdentity

    budget = campaign.budget
    layers = budget.layers if isinstance(budget.layers, str) else ",".join(budget.layers)
    return BudgetIdentity(
        model_origin(item),
        campaign.faults_text,
        _protected_text(campaign),
        f"{layers} with biases" if budget.biases else layers,
        budget.seed,
    )


def _protected_text(campaign: FaultCampaign) -> str:
    """The protection as it is stated; of bits without a name, only their number, because retraining may move them."""
    from pytest_fkeras.selection import Protected, Selection

    stated: Any = campaign.budget.protected
    bits = campaign.protection.bits
    if stated is None:
        return ""
    if isinstance(stated, Selection | Protected):
        method = campaign.budget.method
        text = repr(stated)
        return text if method is None else f"{text} by {getattr(method, '__name__', method)}"
    kind = type(stated).__name__ if hasattr(stated, "residual") else "bits"
    return f"{kind} {bits.label or f'{len(bits)} of them'}"


def baseline_text(comparison: Comparison, item: pytest.Item, before: str = "") -> str:
    """What a test prints when it is worse than its baseline, or nobody knows; `before`: what it prints anyway."""
    if comparison.outcome == "NOT_RUN":
        return f"{before}NOT_RUN against the baseline: {comparison.reason}"
    decisive = [one for one in comparison.metrics if one.outcome == comparison.outcome]
    others = [one for one in comparison.metrics if one not in decisive]
    lines = [f"{before}{comparison.outcome} against the baseline: {'; '.join(map(str, decisive))}"]
    lines += [f"  also        {one}" for one in others]
    bounds = f"one-sided bounds, each at {comparison.confidence:.4g} confidence, {decisive[0].method}"
    lines.append(f"  compared    {comparison.trials_text}; {bounds}")
    if comparison.outcome == "INCONCLUSIVE":
        lines.append(
            "  more trials max_trials= (or trials=) in the budget, or --fkeras-max-trials=N; in the baseline too, by "
            "--fkeras-baseline-update"
        )
    elif not item.config.stash[GATE].is_ci:
        lines.append(f"  accept it   {rerun_command(item)} --fkeras-baseline-update")
    return "\n".join(lines)
