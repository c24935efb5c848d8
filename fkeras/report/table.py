"""The terminal report: one table per model, what its numbers rest on, and a line for each test that needs one."""

from __future__ import annotations

import math
import os
import sys
import textwrap
from collections.abc import Callable, Iterable, Iterator, Sequence

from tabulate import tabulate

from fkeras.campaigns.comparison import PAIRED, Comparison, MetricComparison
from fkeras.campaigns.limits import Limit
from fkeras.campaigns.verdict import MAX_FAILURE_RATE, WORST_FIRST, AnyOutcome, Outcome
from fkeras.printable import in_one_line
from fkeras.report.document import Report
from fkeras.report.record import Assumptions, BudgetRecord, MetricRecord
from fkeras.report.why import why

Paint = Callable[[AnyOutcome, str], str]
"""(verdict, text) -> the text in the verdict's colour."""

_TEST = ("test", "flips", "protected")
"""Columns about a test; where the table is too wide they stand above its rows, never shortened."""

_NUMBERS = ("metric", "golden", "mean", "limit", "over limit", "baseline", "verdict")


def unpainted(verdict: AnyOutcome, text: str) -> str:
    """No colour."""
    return text


def report_lines(
    records: Sequence[BudgetRecord], width: int, paint: Paint = unpainted, *, details: bool = False
) -> list[str]:
    """The report of a session, no line longer than `width` (but for words that are); `paint` colours verdicts.

    details: also what every test assumed, measured and was compared with.
    """
    groups: dict[tuple[str, str], list[BudgetRecord]] = {}
    for record in sorted(records, key=_how_bad):
        assumed = record.assumptions
        groups.setdefault(("", "") if assumed is None else (assumed.model, assumed.content_digest), []).append(record)
    lines = [line for group in groups.values() for line in _group_lines(group, width, paint, details)]
    added = (f"{_test(record)}: {text}" for record in records for text in record.lines)
    return [*lines, *(line for text in added for line in wrapped(text, width))]


def _how_bad(record: BudgetRecord) -> int:
    """The worst verdicts first; what was expected to fail is none of them."""
    return len(WORST_FIRST) if record.outcome == "xfailed" else WORST_FIRST.index(record.verdict)


Measured = Sequence[tuple[BudgetRecord, Assumptions]]


def _group_lines(records: Sequence[BudgetRecord], width: int, paint: Paint, details: bool) -> Iterator[str]:
    measured = [(record, record.assumptions) for record in records if record.assumptions is not None]
    if not measured:
        for record in records:
            reason = why(record) or record.text
            first, *rest = wrapped(f"{record.verdict} {_test(record)}: {reason}", width)
            yield paint(record.verdict, record.verdict) + first.removeprefix(record.verdict)
            yield from rest
        return
    yield from packed(_head(measured, details), width, "  ")
    yield from _table(measured, width, paint)
    yield from packed(_facts(measured, details), width)
    for note in _notes(measured):
        yield from wrapped(note, width)
    if details:
        for record, assumed in measured:
            yield _test(record)
            for note in _details(record, assumed):
                yield from (f"  {line}" for line in wrapped(note, width - 2))


def _head(measured: Measured, details: bool) -> Iterator[str]:
    assumed = measured[0][1]
    yield f"model {assumed.model}"
    yield f"{assumed.n_bits:,} bits{' as hls4ml stores them' if assumed.memory == 'hls4ml' else ''}"
    yield f"{assumed.n_samples:,} samples"
    yield f"seed {', '.join(dict.fromkeys(str(assumed.seed) for _, assumed in measured))}"
    yield f"engine {', '.join(dict.fromkeys(assumed.engine for _, assumed in measured))}"
    if details:
        yield f"content {assumed.content_digest[:8]}"
        yield f"layout {assumed.layout_digest[:8]}"


Row = tuple[BudgetRecord, dict[str, str]]


def _table(measured: Measured, width: int, paint: Paint) -> list[str]:
    """A row per limit; where that is too wide, test and protection in lines above their rows; where that is, too,
    paragraphs. A column in which no row says anything is left out."""
    rows = [(record, row) for record, assumed in measured for row in _rows(record, assumed)]
    names = [name for name in (*_TEST, *_NUMBERS) if name == "verdict" or any(row[name] not in "-" for _, row in rows)]
    flat = _laid_out(rows, names, paint)
    if _fits(flat, width):
        return [line for line, _ in flat]
    numbers = _laid_out(rows, [name for name in names if name not in _TEST], paint)
    header, *lines = numbers
    are_rows = _fits(numbers, width - 2)
    shown = [f"  {header[0]}"] if are_rows else []
    for (record, row), (line, _) in zip(rows, lines, strict=True):
        if row["test"]:
            about = (f"{name} {row[name]}" for name in _TEST[1:] if row[name] not in "-")
            shown += packed((row["test"], *about), width, "  ")
        shown += [f"  {line}"] if are_rows else _paragraph(record, row, width, paint)
    return shown


def _fits(lines: Sequence[tuple[str, int]], width: int) -> bool:
    return max(length for _, length in lines) <= width


def _laid_out(rows: Sequence[Row], names: Sequence[str], paint: Paint) -> list[tuple[str, int]]:
    """Header and rows as lines, each with its length, which colours do not count for."""
    cells = [list(names), *([row[name] for name in names] for _, row in rows)]
    align = ["right" if name == "flips" else "left" for name in names]
    # The headers as a row, because tabulate pads a header.
    text = tabulate(cells, tablefmt="plain", disable_numparse=True, colalign=align)
    header, *lines = (line.rstrip() for line in text.splitlines())
    painted = [(_painted(line, record, paint), len(line)) for line, (record, _) in zip(lines, rows, strict=True)]
    return [(header, len(header)), *painted]


def _paragraph(record: BudgetRecord, row: dict[str, str], width: int, paint: Paint) -> list[str]:
    said = ("golden", "mean", "limit", "over limit", "baseline")
    parts = [f"{name} {row[name]}" if name in said else row[name] for name in _NUMBERS if row[name] not in "-"]
    return [f"  {_painted(line, record, paint)}" for line in packed(parts, width - 2, "  ")]


def _painted(line: str, record: BudgetRecord, paint: Paint) -> str:
    label = record.label
    return line.removesuffix(label) + paint(record.verdict, label) if line.endswith(label) else line


def _test(record: BudgetRecord) -> str:
    return record.nodeid.rpartition("::")[2]


def _rows(record: BudgetRecord, assumed: Assumptions) -> Iterator[dict[str, str]]:
    """A row per limit, or per metric where the test judged by itself; the first one says what they share."""
    limited = {name: metric for name, metric in record.metrics.items() if metric.limits} or record.metrics
    is_first = True
    for name, metric in limited.items():
        for limit in metric.limits or (None,):
            shared = (
                {
                    "test": _test(record),
                    "flips": assumed.flips,
                    "protected": assumed.protected,
                    "over limit": share_text(record),
                    "verdict": record.label,
                }
                if is_first
                else {}
            )
            is_new = limit is None or limit == metric.limits[0]
            row = {
                "metric": name,
                "golden": f"{metric.golden:.4g}",
                "mean": f"{metric.mean:.4g}" if record.trials else "-",
                "limit": limit_text(limit),
                "baseline": change_text(record.comparison, name) if is_new else "",
                **shared,
            }
            yield {key: in_one_line(row.get(key, "")) for key in (*_TEST, *_NUMBERS)}
            is_first = False


def limit_text(limit: Limit | None) -> str:
    """A limit as a relation, as in <=1.25 or >=golden-0.02."""
    return "-" if limit is None else f"{limit.sign}{limit.bound_text}"


def share_text(record: BudgetRecord) -> str:
    """Trials over the limit, with the bound that the verdict rests on, and the share allowed where it is not 5 %."""
    if not record.is_judged:
        return f"{record.trials} trials"
    if record.most_bits is not None:
        return f"{record.failures:,} of {record.most_bits:,} allowed"
    is_usual = record.max_failure_rate in (None, MAX_FAILURE_RATE)
    allowed = "" if is_usual else f", {100 * (record.max_failure_rate or 0):.4g} % allowed"
    counted = f"{record.failures}/{record.trials}"
    if record.confidence == 1:
        return f"{counted} exact{allowed}"
    low, high = (f"{100 * bound:.1f}".removesuffix(".0") for bound in (record.share_low, record.share_high))
    most = 1.0 if record.max_failure_rate is None else record.max_failure_rate
    # By the bounds, because the verdict may be about a baseline.
    bound = f"<{high}" if record.share_high <= most else f">{low}" if record.share_low > most else f"{low} to {high}"
    return f"{counted} {bound} %{allowed}"


def change_text(comparison: Comparison | None, metric: str) -> str:
    """How a metric compares with its baseline, in a word: unchanged, a signed difference, or why nobody knows."""
    if comparison is None:
        return "-"
    if comparison.reason:
        return comparison.outcome or "none"
    return next((_moved(compared) for compared in comparison.metrics if compared.metric == metric), "-")


def _moved(compared: MetricComparison) -> str:
    return compared.moved if compared.outcome in ("", Outcome.PASS) else f"{compared.moved} {compared.outcome}"


def _facts(measured: Measured, details: bool) -> Iterator[str]:
    """What the table rests on; what several tests share is said once."""
    yield _once("not covered", (_not_covered(assumed, details) for _, assumed in measured))
    yield _once("golden", (_golden(name, metric) for record, _ in measured for name, metric in record.metrics.items()))
    # What was not compared although it should have been is a test's own reason.
    compared = [
        _pairing(record.comparison)
        for record, _ in measured
        if record.comparison and not record.comparison.is_unchanged and record.comparison.outcome != Outcome.NOT_RUN
    ]
    if compared:
        yield _once("baseline", compared)
    judged = [record for record, _ in measured if record.is_judged]
    if judged:
        usual = [record for record in judged if record.max_failure_rate == MAX_FAILURE_RATE and not record.most_bits]
        allowed = f"{100 * MAX_FAILURE_RATE:.4g} % allowed, " if usual else ""
        yield f"over limit: {allowed}{'; '.join(dict.fromkeys(map(_bounds, judged)))} for this data"
    cached = [text for record, _ in measured for text in record.cached]
    if cached and not details:
        yield _once("cached", cached)


def _pairing(comparison: Comparison) -> str:
    if comparison.reason:
        return comparison.reason
    return "paired on identical fault sets" if comparison.pairing == PAIRED else comparison.trials_text


def _notes(measured: Measured) -> Iterator[str]:
    """What a reader must know of single tests, or all of them."""
    undefined = sum(metric.undefined for record, _ in measured for metric in record.metrics.values())
    if undefined:
        yield f"undefined: {undefined} sample scores, counted as the worst"
    for record, _ in measured:
        if reason := why(record):
            yield f"{_test(record)}: {reason}"
        if record.drift is not None:
            yield f"anchor ({_test(record)}): {record.drift}"
    notices = [text for record, _ in measured for text in record.notices]
    if notices:
        yield _once("notice", notices)


def _details(record: BudgetRecord, assumed: Assumptions) -> Iterator[str]:
    yield f"faults: {assumed.fault_model}, seed {assumed.seed}"
    yield f"protection: {assumed.protection}"
    if record.confidence:
        stopped = f", decided after {record.trials:,} of up to {record.max_trials:,}" if record.max_trials else ""
        yield f"allowed: {100 * (record.max_failure_rate or 0):.4g} % of trials{stopped}"
    if record.comparison is not None:
        yield f"baseline: {record.comparison}"
    if record.most_damaging:
        yield f"most damaging: {'; '.join(record.most_damaging)}"
    if record.bit_map is not None and record.bit_map.critical:
        map_, tensors = record.bit_map, [one for one in record.bit_map.tensors if one.overall == one.overall]
        means = ", ".join(f"{one.path} {one.overall:.4g}" for one in sorted(tensors, key=lambda one: -one.overall))
        yield f"{map_.quantity} ({map_.source}), mean by tensor: {means}"
        yield f"most critical: {', '.join(f'{bit.address} {bit.value:.4g}' for bit in map_.critical)}"
    if record.cached:
        yield f"cached: {'; '.join(record.cached)}"


def _once(what: str, facts: Iterable[str]) -> str:
    return f"{what}: {'; '.join(dict.fromkeys(facts))}"


def _golden(name: str, metric: MetricRecord) -> str:
    error = metric.golden_standard_error
    return f"{name} {metric.golden:.4g}" + ("" if math.isnan(error) else f" +- {error:.2g} (data)")


def _bounds(record: BudgetRecord) -> str:
    return "exact" if record.confidence == 1 else f"one-sided {100 * record.confidence:.4g} % bounds"


def _not_covered(assumed: Assumptions, by_name: bool) -> str:
    """The weights that lie outside the memory: by name, or how many by reason."""
    if by_name:
        texts = [f"{tensor.path} ({tensor.n_values:,} values: {tensor.reason})" for tensor in assumed.not_covered]
        return ", ".join(texts) or "nothing"
    by_reason: dict[str, int] = {}
    for tensor in assumed.not_covered:
        by_reason[tensor.reason] = by_reason.get(tensor.reason, 0) + tensor.n_values
    counted = [f"{n:,} values ({reason})" for reason, n in by_reason.items()]
    return ", ".join([*counted[:1], *(text.replace(" values", "", 1) for text in counted[1:])]) or "nothing"


def packed(parts: Iterable[str], width: int, indent: str = "") -> list[str]:
    """Parts two spaces apart, as many in a line as fit; one that is longer by itself is wrapped."""
    lines: list[str] = []
    for part in map(in_one_line, parts):
        if lines and len(lines[-1]) + 2 + len(part) <= width:
            lines[-1] += f"  {part}"
        else:
            before = indent if lines else ""
            lines += [before + line for line in wrapped(part, width - len(before))]
    return lines


def wrapped(text: str, width: int) -> list[str]:
    """`text` in lines of at most `width`, those after the first indented."""
    return textwrap.wrap(
        in_one_line(text),
        max(width, 20),
        subsequent_indent="    ",
        break_long_words=False,
        break_on_hyphens=False,
        drop_whitespace=True,
        replace_whitespace=False,
    ) or [""]


_CODES: dict[str, str] = {
    Outcome.PASS: "32",
    Outcome.FAIL: "1;31",
    Outcome.INCONCLUSIVE: "1;33",
    Outcome.NOT_RUN: "1;33",
}


def report_text(report: Report, width: int = 80, colour: bool = False, *, details: bool = False) -> str:
    """What pytest printed (with details: pytest -v), in lines of at most `width`, and what became of the run."""
    counts = ", ".join(f"{n} {verdict}" for verdict, n in report.counts.items() if n) or "no budget"
    lines = report_lines(report.tests, width, painted if colour else unpainted, details=details)
    lines += wrapped(f"{counts}; exit code {report.exit_code}, made {report.created}", width)
    return "\n".join(lines) + "\n"


def painted(verdict: AnyOutcome, text: str) -> str:
    """`text` in the verdict's colour, in ANSI codes."""
    return f"\x1b[{_CODES[verdict]}m{text}\x1b[0m" if verdict in _CODES else text


def wants_colour() -> bool:
    """Whether standard output shows colours: a terminal, and no NO_COLOR (https://no-color.org)."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
