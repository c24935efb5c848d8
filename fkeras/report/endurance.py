"""An endurance campaign as text: what is survived, and the metric at every look."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tabulate import tabulate

from fkeras.campaigns.endurance import look_text
from fkeras.report.failure import golden_text

if TYPE_CHECKING:
    from fkeras.campaigns import Endurance


def endurance_text(result: Endurance) -> str:
    """The claim, the table and what both rest on."""
    unit, required = result.accumulation.unit, result.requirement
    rows = []
    for point in result.curve():
        row = [look_text(point.look), f"{point.trials}"]
        row += [f"{point.mean:.4g} [{point.mean_low:.4g}, {point.mean_high:.4g}]"]
        if required is not None:
            row.append(f"{point.failed} [{100 * point.share_low:.3g}, {100 * point.share_high:.3g} %]")
        rows.append(row)
    headers = [unit, "trials", f"{result.metric} mean [95 %]", "failed by then [95 %]"][: len(rows[0])]
    table = tabulate(
        rows,
        headers,
        tablefmt="plain",
        disable_numparse=True,
        colalign=["right", "right", "left", "left"][: len(headers)],
    )
    covered, n_bits = result.protection.bits, len(result.space)
    notes = [
        f"{n_bits:,} bits, {result.n_samples:,} samples, {result.accumulation.describe()}, seed {result.seed}",
        f"protection {result.protection.describe(n_bits) if len(covered) else 'none'}",
        f"golden {result.metric} {golden_text(result.golden.value, result.golden.standard_error)}",
        f"average of {result.metric} from 0 to {result.text_of(result.survey.looks[-1])}: {result.time_average}",
    ]
    if required is not None and result.proof is not None:
        notes.append(
            f"the claim rests on one-sided bounds at {required.confidence:.4g} of the rows with "
            f"{len(result.proof):,} trials; intervals in the table are two-sided"
        )
        if result.proof is not result.survey:
            notes.append(
                f"rows with {len(result.survey):,} trials are a first survey: other trials, whose failures between its "
                "own looks are not seen"
            )
    for limit in () if required is None else required.limits:
        if limit.is_broken_without_faults(result.golden.value):
            notes.append(f"the golden model breaks {limit} already")
    if required is not None and result.proof is not None and result.proof.recovered:
        recovered = result.proof.recovered
        notes.append(f"{recovered} of the trials broke a limit and kept it at a later look: failed all the same")
    return "\n".join([str(result), "", table, "", *notes])
