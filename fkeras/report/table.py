"""The terminal report: one table per model, then what its numbers rest on, each fact once."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterable, Iterator, Sequence

from tabulate import tabulate

from fkeras.campaigns.culprits import LEAST_FAILING
from fkeras.campaigns.limits import Limit
from fkeras.campaigns.verdict import AnyOutcome, Outcome
from fkeras.printable import in_one_line
from fkeras.report.failure import golden_text, too_few_to_name
from fkeras.report.record import Assumptions, BudgetRecord, MetricRecord

Paint = Callable[[AnyOutcome, str], str]
"""(verdict, text) -> the text in the verdict's colour."""

_HEADERS = ("test", "flips", "protected", "mean", "limit", "over limit", "verdict")
_SHORTENED = ("test", "protected")
_DISPENSABLE = ("protected", "flips")
"""Columns that a narrow terminal does without, in this order: the lines below the table say it too. They also make
room where shortened names of tests would be alike."""

_SHORTEST = 10
"""A cell is not shortened below this many characters."""

USUAL_FAILURE_RATE = 0.05
"""The share of trials that may break a limit where nothing else is stated."""

_WIDE = 120
"""Terminals from this width on have room for a line per note."""


def unpainted(verdict: AnyOutcome, text: str) -> str:
    """No colour."""
    return text


def report_lines(records: Sequence[BudgetRecord], width: int, paint: Paint = unpainted) -> list[str]:
    """The report of a session, no line longer than `width` (but for words that are); `paint` colours verdicts."""
    groups: dict[tuple[str, str], list[BudgetRecord]] = {}
    for record in records:
        assumed = record.assumptions
        groups.setdefault(("", "") if assumed is None else (assumed.model, assumed.content_digest), []).append(record)
    made = [line for group in groups.values() for line in _group_lines(group, width, paint)]
    added = (f"{_test(record)}: {text}" for record in records for text in record.lines)
    return [*made, *(line for text in added for line in wrapped(text, width))]


def _group_lines(records: Sequence[BudgetRecord], width: int, paint: Paint) -> Iterator[str]:
    measured = [(record, record.assumptions) for record in records if record.assumptions is not None]
    if not measured:
        for record in records:
            reason = record.text.removeprefix(f"{record.verdict}: ")
            first, *rest = wrapped(f"{record.verdict} {_test(record)}: {reason}", width)
            yield paint(record.verdict, record.verdict) + first.removeprefix(record.verdict)
            yield from rest
        return
    assumed = measured[0][1]
    # A narrow terminal gets a single test's facts as one paragraph, so that it takes ten lines at most.
    flows = width < _WIDE and len(measured) == 1
    size = f"{assumed.n_bits:,} bits  {assumed.n_samples:,} samples"
    which = f"content {assumed.content_digest[:8]}  layout {assumed.layout_digest[:8]}"
    engines = ", ".join(dict.fromkeys(one.engine for _, one in measured))
    head = f"{assumed.content_digest[:8]}  {size}" if flows else f"{which}  {size}"
    # The chip's own arithmetic, and what of it is not stored, is never left out.
    said = "" if flows and not engines.startswith("hls4ml") else f"  engine {engines}"
    yield from wrapped(f"model {assumed.model}  {head}{said}", width)
    yield from _table(measured, width, paint)
    notes = list(_notes(measured, brief=flows))
    if flows:
        yield from wrapped("  ".join(notes), width)
    else:
        yield from _packed(notes, width)


def _table(measured: Sequence[tuple[BudgetRecord, Assumptions]], width: int, paint: Paint) -> list[str]:
    """A row per limit: long cells shortened, then columns left out, then names of tests on lines of their own; where
    no table fits, a paragraph per row."""
    pairs = ((record, row) for record, assumed in measured for row in _rows(record, assumed))
    rows = [(record, dict(zip(_HEADERS, row, strict=True))) for record, row in pairs]
    names = [row["test"] for _, row in rows]
    for n_dropped in range(len(_DISPENSABLE) + 1):
        cells = _cells(rows, [name for name in _HEADERS if name not in _DISPENSABLE[:n_dropped]], width)
        if cells is not None and len({row[0] for row in cells[1:]}) == len(set(names)):
            return _laid_out(rows, cells, paint)
    below = _cells(rows, [name for name in _HEADERS if name not in ("test", *_DISPENSABLE)], width - 2)
    if below is not None:
        header, *lines = _laid_out(rows, below, paint)
        # A single row says enough by itself.
        made = [f"  {header}"] if len(rows) > 1 else []
        for name, line in zip(names, lines, strict=True):
            made += [*(wrapped(name, width) if name else ()), f"  {line}"]
        return made
    return [line for record, row in rows for line in _paragraph(record, row, width, paint)]


Row = tuple[BudgetRecord, dict[str, str]]


def _cells(rows: Sequence[Row], headers: Sequence[str], width: int) -> list[list[str]] | None:
    """Header and rows, the long cells shortened so that they fit; None where they cannot."""
    lengths = _fitted({name: max(len(name), *(len(row[name]) for _, row in rows)) for name in headers}, width)
    if lengths is None:
        return None
    return [list(headers), *([_shortened(row[name], lengths[name]) for name in headers] for _, row in rows)]


def _paragraph(record: BudgetRecord, row: dict[str, str], width: int, paint: Paint) -> list[str]:
    said = ("flips", "protected", "limit", "over limit")
    parts = [f"{name} {row[name]}" if name in said else row[name] for name in _HEADERS if row[name] not in ("", "-")]
    return [_painted(line, record, paint) for line in wrapped("  ".join(parts), width)]


def _fitted(lengths: dict[str, int], width: int) -> dict[str, int] | None:
    """The columns' lengths, the long ones shortened until they fit; None if they cannot."""
    excess = sum(lengths.values()) + 2 * (len(lengths) - 1) - width
    while excess > 0:
        longest = max((name for name in _SHORTENED if name in lengths), key=lengths.__getitem__, default=None)
        if longest is None or lengths[longest] <= _SHORTEST:
            return None
        lengths[longest] -= 1
        excess -= 1
    return lengths


def _laid_out(rows: Sequence[Row], cells: Sequence[Sequence[str]], paint: Paint) -> list[str]:
    align = ["right" if name == "flips" else "left" for name in cells[0]]
    # The headers as a row, because tabulate pads a header.
    text = tabulate(cells, tablefmt="plain", disable_numparse=True, colalign=align)
    header, *lines = (line.rstrip() for line in text.splitlines())
    return [header, *(_painted(line, record, paint) for line, (record, _) in zip(lines, rows, strict=True))]


def _painted(line: str, record: BudgetRecord, paint: Paint) -> str:
    label = record.label
    return line.removesuffix(label) + paint(record.verdict, label) if line.endswith(label) else line


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
    limited = {name: one for name, one in record.metrics.items() if one.limits} or record.metrics
    pairs = [(name, metric, limit) for name, metric in limited.items() for limit in metric.limits or (None,)]
    for i, (name, metric, limit) in enumerate(pairs):
        head = [_test(record), assumed.flips, assumed.protected] if i == 0 else ["", "", ""]
        tail = [share_text(record), record.label] if i == 0 else ["", ""]
        yield [in_one_line(cell) for cell in (*head, f"{name} {metric.mean:.4g}", limit_text(limit), *tail)]


def limit_text(limit: Limit | None) -> str:
    """A limit as a relation, as in <=1.25 or >=golden-0.02."""
    return "-" if limit is None else f"{limit.sign}{limit.bound_text}"


def share_text(record: BudgetRecord) -> str:
    """Trials over the limit, with the bound that the verdict rests on, and the share allowed where it is not 5 %."""
    if not record.confidence:
        return f"{record.trials} trials"
    is_usual = record.max_failure_rate in (None, USUAL_FAILURE_RATE)
    allowed = "" if is_usual else f", {100 * (record.max_failure_rate or 0):.4g} % allowed"
    if record.confidence == 1:
        return f"{record.failures} of {record.trials} exact{allowed}"
    low, high = (f"{100 * bound:.1f}".removesuffix(".0") for bound in (record.share_low, record.share_high))
    most = 1.0 if record.max_failure_rate is None else record.max_failure_rate
    # By the bounds, because the verdict may be about a baseline.
    bound = f"<{high}" if record.share_high <= most else f">{low}" if record.share_low > most else f"{low}, {high}"
    return f"{record.failures} of {record.trials} [{bound} %{allowed}]"


def _notes(measured: Sequence[tuple[BudgetRecord, Assumptions]], brief: bool) -> Iterator[str]:
    """What the table rests on; what several tests share is said once. brief: without what the table says too."""
    yield _once("not covered", (_not_covered(assumed, brief) for _, assumed in measured))
    yield _once("faults", (f"{assumed.fault_model}, seed {assumed.seed}" for _, assumed in measured))
    yield _once("protection", (assumed.protection for _, assumed in measured))
    yield _once("golden", (_golden(name, one) for record, _ in measured for name, one in record.metrics.items()))
    undefined = sum(metric.undefined for record, _ in measured for metric in record.metrics.values())
    if undefined:
        yield f"undefined: {undefined} sample scores, counted as the worst"
    judged = [record for record, _ in measured if record.confidence and record.verdict != Outcome.ASSERTED]
    if judged:
        data = "this data set" if brief else "given this data set"
        yield _once("over limit", (_bounds(record, brief) for record in judged)) + f", {data}"
    compared = len([record for record, _ in measured if record.comparison is not None])
    for record, _ in measured:
        for what, one in (("baseline", record.comparison), ("anchor", record.drift)):
            if one is not None:
                where = "" if compared == 1 else f" ({_test(record)})"
                yield f"{what}{where}: {one.reason if one.reason else one}"
    cached = [text for record, _ in measured for text in record.cached]
    if cached:
        yield _once("cached", cached)
    notices = [text for record, _ in measured for text in record.notices]
    if notices:
        yield _once("notice", notices)
    stopped = [record for record in judged if record.max_trials is not None and record.verdict != Outcome.INCONCLUSIVE]
    if stopped and not brief:
        most = sum(record.max_trials or 0 for record in stopped)
        yield f"decided after {sum(record.trials for record in stopped):,} of up to {most:,} trials"
    alone = len(measured) == 1
    yield from filter(None, (_most_damaging(record, "" if alone else f" ({_test(record)})") for record in judged))


def _once(what: str, facts: Iterable[str]) -> str:
    return f"{what}: {'; '.join(dict.fromkeys(facts))}"


def _golden(name: str, metric: MetricRecord) -> str:
    return f"{name} {golden_text(metric.golden, metric.golden_standard_error)}"


def _bounds(record: BudgetRecord, brief: bool) -> str:
    if record.confidence == 1:
        return "exact"
    each = "," if brief else " bounds, each at"
    return f"one-sided{each} {record.confidence:.4g} confidence"


def _most_damaging(record: BudgetRecord, where: str) -> str:
    if record.most_damaging:
        return f"most damaging{where}: {'; '.join(record.most_damaging)}"
    if 0 < record.failures < LEAST_FAILING:
        return f"most damaging{where}: {too_few_to_name(record.failures)}"
    return ""


def _not_covered(assumed: Assumptions, brief: bool) -> str:
    """The tensors outside the memory, summed up by reason, brief: without a name; records have them all."""
    by_reason: dict[str, list[tuple[str, int]]] = {}
    for tensor in assumed.not_covered:
        by_reason.setdefault(tensor.reason, []).append((tensor.path, tensor.n_values))
    parts = []
    for reason, tensors in by_reason.items():
        more = f" and {len(tensors) - 1} more" if len(tensors) > 1 else ""
        n_values = f"{sum(n for _, n in tensors):,} values"
        parts.append(f"{n_values} ({reason})" if brief else f"{tensors[0][0]}{more} ({n_values}: {reason})")
    return ", ".join(parts) or "nothing"


def _packed(notes: Iterable[str], width: int) -> list[str]:
    """Notes one below the other; on a narrow terminal a short one joins the line before where it fits."""
    lines: list[str] = []
    for note in notes:
        made = wrapped(note, width)
        if width < _WIDE and lines and len(made) == 1 and len(lines[-1]) + 2 + len(note) <= width:
            lines[-1] += f"  {note}"
        else:
            lines += made
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
