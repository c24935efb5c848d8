"""Why a test did not pass, in a line; the failure's own message says it at length."""

from __future__ import annotations

from collections.abc import Iterator

from fkeras.campaigns.verdict import Outcome
from fkeras.report.record import BudgetRecord

_MOST_NAMED = 3
"""Faults of a minimal set that are named; of a larger one only the number is said."""


def why(record: BudgetRecord) -> str:
    """The reasons for a verdict that is no pass; "" where it needs none, as an expected failure does."""
    if record.verdict in (Outcome.PASS, Outcome.ASSERTED) or record.outcome in ("xfailed", "skipped"):
        return ""
    if record.assumptions is None:
        return record.text.removeprefix(f"{record.verdict}: ")
    return "; ".join(_reasons(record))


def _reasons(record: BudgetRecord) -> Iterator[str]:
    yield from record.reasons
    for metric in record.metrics.values():
        for limit in metric.limits:
            if limit.is_broken_without_faults(metric.golden):
                yield f"without a fault the network breaks {limit} already"
    comparison = record.comparison
    if comparison is not None and comparison.outcome not in ("", Outcome.PASS):
        decisive = [str(metric) for metric in comparison.metrics if metric.outcome == comparison.outcome]
        yield f"baseline: {comparison.reason or '; '.join(decisive)}"
    minimal = record.minimal_faults
    if minimal is not None and len(minimal.faults) < minimal.n_faults:
        n = len(minimal.faults)
        named = f": {' '.join(minimal.faults)}" if n <= _MOST_NAMED else ""
        yield f"{minimal.of_how_many} {'is' if n == 1 else 'are'} enough{named}"
    curve = record.protection_curve
    if curve is not None and curve.points:
        most = f"not even {curve.points[-1].k:,} protected bits pass"
        bits = "bit" if curve.smallest == 1 else "bits"
        yield most if curve.smallest is None else f"{curve.smallest:,} protected {bits} would pass"
