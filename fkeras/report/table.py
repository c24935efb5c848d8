"""The terminal report: one table per model, then what its numbers rest on."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence

from tabulate import tabulate

from fkeras.report.failure import golden_text
from fkeras.report.record import Assumptions, BudgetRecord, MetricRecord

_HEADERS = ("test", "flips", "protected", "metric", "mean", "limit", "over limit", "verdict")
_ALIGN = ("left", "right", "left", "left", "right", "left", "left", "left")

_NAMED = 3
"""How many tensors outside the memory are named in a line; records have them all."""


def report_lines(records: Sequence[BudgetRecord], width: int) -> list[str]:
    """The report of a session, no line longer than `width` (but for words that are)."""
    groups: dict[tuple[str, str], list[BudgetRecord]] = {}
    for record in records:
        assumed = record.assumptions
        groups.setdefault(("", "") if assumed is None else (assumed.model, assumed.content_digest), []).append(record)
    return [line for group in groups.values() for line in _group_lines(group, width)]


def _group_lines(records: Sequence[BudgetRecord], width: int) -> Iterator[str]:
    assumed = records[0].assumptions
    if assumed is not None:
        yield from _wrapped(
            f"model {assumed.model}  content {assumed.content_digest[:12]}  layout "
            f"{assumed.layout_digest[:12]}  {assumed.n_bits:,} bits  {assumed.n_samples:,} samples  "
            f"engine {assumed.engine}",
            width,
        )
    rows = [row for record in records for row in _rows(record)]
    table = tabulate(rows, _HEADERS, tablefmt="plain", disable_numparse=True, colalign=_ALIGN).splitlines()
    if max(map(len, table)) <= width:
        yield from table
    else:
        for row in rows:
            yield from _wrapped(
                "  ".join(
                    f"{name} {cell}" if 0 < i < 7 else cell
                    for i, (name, cell) in enumerate(zip(_HEADERS, row, strict=True))
                    if cell and cell != "-"
                ),
                width,
            )
    for line in dict.fromkeys(line for record in records for line in _notes(record)):
        yield from _wrapped(line, width)


def _rows(record: BudgetRecord) -> Iterator[list[str]]:
    test = record.nodeid.rpartition("::")[2]
    assumed = record.assumptions
    if assumed is None:
        yield [test, "", "", "", "", "", "", record.outcome]
        return
    limited = [metric for metric in record.metrics if metric.limits] or list(record.metrics)
    for i, metric in enumerate(limited):
        head = [test, assumed.flips, assumed.protected] if i == 0 else ["", "", ""]
        tail = [_share(record), record.outcome] if i == 0 else ["", ""]
        yield [*head, metric.name, f"{metric.mean:.4g}", _limits(metric), *tail]


def _limits(metric: MetricRecord) -> str:
    return (
        " ".join(
            limit.replace(f"max_{metric.name}=", "<=")
            .replace(f"min_{metric.name}=", ">=")
            .replace(f"max_{metric.name}_", "")
            for limit in metric.limits
        )
        or "-"
    )


def _share(record: BudgetRecord) -> str:
    if record.outcome == "ASSERTED":
        return f"{record.trials} trials"
    return f"{record.failures} of {record.trials} [{record.share_low:.1%}, {record.share_high:.1%}]"


def _notes(record: BudgetRecord) -> Iterator[str]:
    assumed = record.assumptions
    if assumed is None:
        yield f"{record.nodeid.rpartition('::')[2]}: {record.text}"
        return
    yield f"not covered: {_abbreviated(assumed.not_covered)}"
    yield _assumption_line(assumed)
    for metric in record.metrics:
        undefined = f", {metric.undefined} undefined sample scores counted as the worst" if metric.undefined else ""
        yield f"golden {metric.name} {golden_text(metric.golden, metric.golden_standard_error)}{undefined}"
    if record.confidence and record.outcome != "ASSERTED":
        exact = "exact" if record.confidence == 1 else f"one-sided bounds, each at {record.confidence:.4g} confidence"
        yield f"over limit: {exact}, given this data set"
    if record.most_damaging:
        yield f"most damaging: {'; '.join(record.most_damaging)}"


def _abbreviated(names: Sequence[str]) -> str:
    more = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {more} more" if more > 0 else "") if names else "nothing"


def _assumption_line(assumed: Assumptions) -> str:
    return f"faults: {assumed.fault_model}  protection: {assumed.protection}  seed {assumed.seed}"


def _wrapped(text: str, width: int) -> list[str]:
    return textwrap.wrap(
        text,
        max(width, 20),
        subsequent_indent="    ",
        break_long_words=False,
        break_on_hyphens=False,
        drop_whitespace=True,
        replace_whitespace=False,
    ) or [""]
