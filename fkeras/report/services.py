"""A report in the formats of services that draw charts and badges, or show lines beside a change: what stands in the
report, nothing else."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from math import isfinite
from typing import Any

from fkeras.campaigns.verdict import WORST_FIRST
from fkeras.printable import printable
from fkeras.report.document import Report
from fkeras.report.headline import headline_of, reason_of, test_name
from fkeras.report.record import BudgetRecord

_COLOURS = {"good": "brightgreen", "bad": "red", "doubt": "yellow"}


def trend(report: Report) -> str:
    """What github-action-benchmark reads as `customSmallerIsBetter`: a point per test and number, smaller is better.

    Where a metric is better higher, the point is what faults take away from its golden value. Tests that measured
    nothing, and values that JSON cannot hold, have no point.
    """
    points = [point for record in report.tests for point in _points(record) if isfinite(point["value"])]
    return json.dumps(points, indent=1, allow_nan=False) + "\n"


def _points(record: BudgetRecord) -> Iterator[dict[str, Any]]:
    name, extra = printable(record.nodeid), f"{record.label}, {record.trials:,} trials"
    if record.is_judged:
        share = 100 * record.failures / max(record.trials, 1)
        bounds = f"{100 * record.share_low:.4g} to {100 * record.share_high:.4g}"
        yield {"name": f"{name}: trials over the limit", "unit": "%", "value": share, "range": bounds, "extra": extra}
    for metric, one in record.metrics.items():
        value, low, high, what = one.mean, one.mean_low, one.mean_high, "under faults"
        if one.better == "higher":
            value, low, high = one.golden - one.mean, one.golden - one.mean_high, one.golden - one.mean_low
            what = "lost to faults"
        described = f"{extra}, golden {one.golden:.6g}, mean {one.mean:.6g}"
        point = {"name": f"{name}: {printable(metric)} {what}", "unit": printable(metric), "value": value}
        yield {**point, "range": f"{low:.4g} to {high:.4g}", "extra": described}


def badge(report: Report) -> str:
    """What shields.io reads as an endpoint: https://shields.io/badges/endpoint-badge."""
    found = headline_of(report)
    message = f"{found.short}: {found.counts}" if report.exit_code else found.counts
    values = {"schemaVersion": 1, "label": "bit flips", "message": message, "color": _COLOURS[found.look]}
    return json.dumps({**values, "isError": found.look == "bad"}, indent=1) + "\n"


def openmetrics(report: Report) -> str:
    """OpenMetrics text, as GitLab's metrics reports and Prometheus read it."""
    measured = [(record.nodeid, record) for record in report.tests if record.assumptions is not None]
    judged = [(name, record) for name, record in measured if record.is_judged]
    metrics = [(name, metric, one) for name, record in measured for metric, one in record.metrics.items()]

    def of_metrics(field: str) -> list[tuple[dict[str, str], float]]:
        return [({"test": name, "metric": metric}, getattr(one, field)) for name, metric, one in metrics]

    shares = [({"test": name}, record.failures / max(record.trials, 1)) for name, record in judged]
    lows = [({"test": name, "bound": "low"}, record.share_low) for name, record in judged]
    highs = [({"test": name, "bound": "high"}, record.share_high) for name, record in judged]
    families: list[tuple[str, str, list[tuple[dict[str, str], float]]]] = [
        ("budgets", "Fault budgets by verdict", [({"verdict": v}, n) for v, n in report.counts.items()]),
        ("exit_code", "Exit code of the whole run", [({}, report.exit_code)]),
        ("trials", "Draws of faults", [({"test": name}, record.trials) for name, record in measured]),
        ("over_limit_ratio", "Share of trials over a limit", shares),
        ("over_limit_bound_ratio", "One-sided bounds on that share", [*lows, *highs]),
        ("mean", "Metric under faults, mean over trials", of_metrics("mean")),
        ("mean_low", "Lower end of the interval of the mean", of_metrics("mean_low")),
        ("mean_high", "Upper end of the interval of the mean", of_metrics("mean_high")),
        ("golden", "Metric without faults", of_metrics("golden")),
    ]
    lines = []
    for name, text, samples in families:
        if samples:
            lines += [f"# TYPE fkeras_{name} gauge"]
            lines += [f"# UNIT fkeras_{name} ratio"] if name.endswith("_ratio") else []
            lines += [f"# HELP fkeras_{name} {text}."]
            lines += [f"fkeras_{name}{_labels(labels)} {_number(value)}" for labels, value in samples]
    return "\n".join([*lines, "# EOF"]) + "\n"


def _labels(labels: dict[str, str]) -> str:
    pairs = (f'{name}="{_escaped(text)}"' for name, text in labels.items())
    return f"{{{','.join(pairs)}}}" if labels else ""


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _number(value: float) -> str:
    if isfinite(value):
        return repr(value)
    return "NaN" if value != value else "+Inf" if value > 0 else "-Inf"


Place = tuple[str, int]
"""A file, as GitHub calls it, and a line of it, from 1."""


def github_annotations(records: Sequence[BudgetRecord], places: Mapping[str, Place]) -> list[str]:
    """A line per test that has a reason not to be a success, the worst first: an error where it failed, a warning where
    it was let through. places: where tests stand, by name; without one the line names none."""
    worst = sorted(records, key=lambda record: WORST_FIRST.index(record.verdict))
    return [_line(record, places.get(record.nodeid)) for record in worst if reason_of(record)]


def _line(record: BudgetRecord, place: Place | None) -> str:
    command = "warning" if record.outcome == "passed" else "error"
    where = {} if place is None else {"file": place[0], "line": str(place[1])}
    properties = {**where, "title": f"{record.label} {test_name(record)}"}
    text = reason_of(record) + (f"\nagain: {record.rerun}" if record.rerun else "")
    said = ",".join(f"{name}={_in_a_command(value, ':,')}" for name, value in properties.items())
    return f"::{command} {said}::{_in_a_command(text)}"


def _in_a_command(text: str, separators: str = "") -> str:
    """Text that ends neither the command nor, for its properties, their list."""
    lines = "\n".join(printable(line) for line in text.splitlines())
    for character in f"%\r\n{separators}":
        lines = lines.replace(character, f"%{ord(character):02X}")
    return lines
