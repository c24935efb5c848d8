"""The terminal report: one table per model, then what its numbers rest on, each fact once."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Sequence

from tabulate import tabulate

from fkeras.campaigns.blame import LEAST_FAILING
from fkeras.report.failure import golden_text, too_few_to_name
from fkeras.report.record import Assumptions, BudgetRecord, MetricRecord

_HEADERS = ("test", "flips", "protected", "mean", "limit", "over limit", "verdict")
_SHORTENED = ("test", "protected")
_DISPENSABLE = ("protected", "flips")
"""Columns that a narrow terminal does without, in this order: the lines below the table say it too. They also make
room where shortened names of tests would be alike."""

_SHORTEST = 10
"""A cell is not shortened below this many characters."""


def report_lines(records: Sequence[BudgetRecord], width: int) -> list[str]:
    """The report of a session, no line longer than `width` (but for words that are)."""
    groups: dict[tuple[str, str], list[BudgetRecord]] = {}
    for record in records:
        assumed = record.assumptions
        groups.setdefault(("", "") if assumed is None else (assumed.model, assumed.content_digest), []).append(record)
    return [line for group in groups.values() for line in _group_lines(group, width)]


def _group_lines(records: Sequence[BudgetRecord], width: int) -> Iterator[str]:
    measured = [(record, record.assumptions) for record in records if record.assumptions is not None]
    if not measured:
        for record in records:
            reason = record.text.removeprefix(f"{record.outcome}: ")
            yield from _wrapped(f"{record.outcome} {_test(record)}: {reason}", width)
        return
    assumed = measured[0][1]
    yield from _wrapped(
        f"model {assumed.model}  content {assumed.content_digest[:8]}  layout {assumed.layout_digest[:8]}  "
        f"{assumed.n_bits:,} bits  {assumed.n_samples:,} samples  engine {assumed.engine}",
        width,
    )
    yield from _table([row for record, assumed in measured for row in _rows(record, assumed)], width)
    for line in _notes(measured):
        yield from _wrapped(line, width)


def _table(rows: Sequence[Sequence[str]], width: int) -> list[str]:
    """The rows as a table: long cells shortened, then columns left out; where no table fits, a paragraph per row."""
    columns = [dict(zip(_HEADERS, row, strict=True)) for row in rows]
    fitting = []
    for n_dropped in range(len(_DISPENSABLE) + 1):
        headers = [name for name in _HEADERS if name not in _DISPENSABLE[:n_dropped]]
        lengths = _fitted({name: max(len(name), *(len(row[name]) for row in columns)) for name in headers}, width)
        if lengths is not None:
            fitting.append([[_shortened(row[name], lengths[name]) for name in headers] for row in columns])
            tests = [cells[0] for cells in fitting[-1]]
            if len(set(tests)) == len({row["test"] for row in columns}):
                return _laid_out(headers, fitting[-1])
    if fitting:
        return _laid_out(headers, fitting[-1])
    paragraphs = (
        "  ".join(
            f"{name} {row[name]}" if name in ("flips", "protected", "limit", "over limit") else row[name]
            for name in _HEADERS
            if row[name] not in ("", "-")
        )
        for row in columns
    )
    return [line for paragraph in paragraphs for line in _wrapped(paragraph, width)]


def _fitted(lengths: dict[str, int], width: int) -> dict[str, int] | None:
    """The columns' lengths, the long ones shortened until they fit; None if they cannot."""
    excess = sum(lengths.values()) + 2 * (len(lengths) - 1) - width
    while excess > 0:
        longest = max((name for name in _SHORTENED if name in lengths), key=lengths.__getitem__)
        if lengths[longest] <= _SHORTEST:
            return None
        lengths[longest] -= 1
        excess -= 1
    return lengths


def _laid_out(headers: Sequence[str], cells: Sequence[Sequence[str]]) -> list[str]:
    align = ["right" if name == "flips" else "left" for name in headers]
    # The headers as a row, because tabulate pads a header.
    made = tabulate([headers, *cells], tablefmt="plain", disable_numparse=True, colalign=align)
    return [line.rstrip() for line in made.splitlines()]


def _shortened(text: str, length: int) -> str:
    """`text` without its middle: the names of tests differ at their ends."""
    if len(text) <= length:
        return text
    tail = (length - 2) // 2
    return f"{text[: length - 2 - tail]}..{text[len(text) - tail :]}"


def _test(record: BudgetRecord) -> str:
    return record.nodeid.rpartition("::")[2]


def _rows(record: BudgetRecord, assumed: Assumptions) -> Iterator[list[str]]:
    """A row per limit, or per metric where the test judged by itself; the first one says what they share."""
    limited = [metric for metric in record.metrics if metric.limits] or list(record.metrics)
    pairs = [(metric, limit) for metric in limited for limit in metric.limits or ("",)]
    for i, (metric, limit) in enumerate(pairs):
        head = [_test(record), assumed.flips, assumed.protected] if i == 0 else ["", "", ""]
        tail = [_share(record), record.outcome] if i == 0 else ["", ""]
        yield [*head, f"{metric.name} {metric.mean:.4g}", _limit(metric, limit), *tail]


def _limit(metric: MetricRecord, limit: str) -> str:
    return (
        limit.replace(f"max_{metric.name}=", "<=")
        .replace(f"min_{metric.name}=", ">=")
        .replace(f"max_{metric.name}_increase=", "<=golden+")
        .replace(f"max_{metric.name}_drop=", ">=golden-")
    ) or "-"


def _share(record: BudgetRecord) -> str:
    if record.outcome == "ASSERTED":
        return f"{record.trials} trials"
    if record.confidence == 1:
        return f"{record.failures} of {record.trials} exact"
    low, high = (f"{100 * bound:.1f}".removesuffix(".0") for bound in (record.share_low, record.share_high))
    bound = {"PASS": f"<{high}", "FAIL": f">{low}"}.get(record.outcome, f"{low}, {high}")
    return f"{record.failures} of {record.trials} [{bound} %]"


def _notes(measured: Sequence[tuple[BudgetRecord, Assumptions]]) -> Iterator[str]:
    """What the table rests on; what several tests share is said once."""
    yield _once("not covered", (_not_covered(assumed) for _, assumed in measured))
    yield _once("faults", (f"{assumed.fault_model}, seed {assumed.seed}" for _, assumed in measured))
    yield _once("protection", (assumed.protection for _, assumed in measured))
    yield _once("golden", (_golden(metric) for record, _ in measured for metric in record.metrics))
    undefined = sum(metric.undefined for record, _ in measured for metric in record.metrics)
    if undefined:
        yield f"undefined: {undefined} sample scores, counted as the worst"
    judged = [record for record, _ in measured if record.confidence and record.outcome != "ASSERTED"]
    if judged:
        yield _once("over limit", (_bounds(record) for record in judged)) + ", given this data set"
    stopped = [record for record in judged if record.max_trials is not None and record.outcome != "INCONCLUSIVE"]
    if stopped:
        most = sum(record.max_trials or 0 for record in stopped)
        yield f"decided after {sum(record.trials for record in stopped):,} of up to {most:,} trials"
    yield from dict.fromkeys(filter(None, map(_most_damaging, judged)))


def _once(what: str, facts: Iterable[str]) -> str:
    return f"{what}: {'; '.join(dict.fromkeys(facts))}"


def _golden(metric: MetricRecord) -> str:
    return f"{metric.name} {golden_text(metric.golden, metric.golden_standard_error)}"


def _bounds(record: BudgetRecord) -> str:
    return "exact" if record.confidence == 1 else f"one-sided bounds, each at {record.confidence:.4g} confidence"


def _most_damaging(record: BudgetRecord) -> str:
    if record.most_damaging:
        return f"most damaging: {'; '.join(record.most_damaging)}"
    return f"most damaging: {too_few_to_name(record.failures)}" if 0 < record.failures < LEAST_FAILING else ""


def _not_covered(assumed: Assumptions) -> str:
    """The tensors outside the memory, summed up by reason; records have them all."""
    by_reason: dict[str, list[tuple[str, int]]] = {}
    for path, n_values, reason in assumed.not_covered:
        by_reason.setdefault(reason, []).append((path, n_values))
    parts = []
    for reason, tensors in by_reason.items():
        more = f" and {len(tensors) - 1} more" if len(tensors) > 1 else ""
        parts.append(f"{tensors[0][0]}{more} ({sum(n for _, n in tensors):,} values: {reason})")
    return ", ".join(parts) or "nothing"


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
