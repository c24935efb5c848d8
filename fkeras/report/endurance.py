"""An endurance campaign as text: what is survived, and the metric at every look."""

from __future__ import annotations

from collections.abc import Sequence

from tabulate import tabulate

from fkeras.campaigns import Endurance
from fkeras.campaigns.endurance import EndurancePoint, look_text, trials_apart
from fkeras.faults.protections import account
from fkeras.report.failure import golden_text


def endurance_text(result: Endurance) -> str:
    """The claim, the table and what both rest on."""
    required = result.requirement
    parts = trials_apart(result.curve())
    tables = [f"{_title(part, len(parts))}{_table(part, result)}" for part in parts]
    n_bits = len(result.space)
    notes = [
        f"{n_bits:,} bits, {result.n_samples:,} samples, {result.accumulation.describe()}, seed {result.seed}",
        f"protection {account(result.protection, result.space)}",
        f"golden {result.metric} {golden_text(result.golden.value, result.golden.standard_error)}",
        f"average of {result.metric} from 0 to {result.text_of(result.survey.looks[-1])}: {result.time_average}",
    ]
    if required is not None and result.proof is not None:
        notes.append(
            f"the claim rests on one-sided bounds at {required.confidence:.4g} of these {len(result.proof):,} trials; "
            "intervals in the table are two-sided"
        )
    for limit in () if required is None else required.limits:
        if limit.is_broken_without_faults(result.golden.value):
            notes.append(f"the golden model breaks {limit} already")
    if required is not None and result.proof is not None and result.proof.recovered:
        recovered = result.proof.recovered
        notes.append(f"{recovered} of the trials broke a limit and kept it at a later look: failed all the same")
    return "\n".join([str(result), "", "\n\n".join(tables), "", *notes])


def _title(part: Sequence[EndurancePoint], parts: int) -> str:
    """Which trials a table is of, where there are several tables."""
    if parts == 1:
        return ""
    if part[0].is_survey:
        return "a first survey, other trials, whose failures between its own looks are not seen:\n"
    return "closer looks, on which the claim rests:\n"


def _table(part: Sequence[EndurancePoint], result: Endurance) -> str:
    headers = [result.accumulation.unit, "trials", f"{result.metric} mean [95 %]", "middle 80 % of trials"]
    rows = []
    for point in part:
        mean = f"{point.mean:.4g} [{point.mean_low:.4g}, {point.mean_high:.4g}]"
        row = [look_text(point.look), f"{point.trials}", mean, f"{point.low:.4g} to {point.high:.4g}"]
        if result.requirement is not None:
            row.append(f"{point.failed} [{100 * point.share_low:.3g}, {100 * point.share_high:.3g} %]")
        rows.append(row)
    if result.requirement is not None:
        headers.append("failed by then [95 %]")
    colalign = ["right", "right", *["left"] * (len(headers) - 2)]
    return str(tabulate(rows, headers, tablefmt="plain", disable_numparse=True, colalign=colalign))
