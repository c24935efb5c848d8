"""The budgets of a test suite against those of an earlier run, on identical fault sets where they drew the same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from fkeras.campaigns.comparing import compare
from fkeras.campaigns.comparison import Comparison
from fkeras.campaigns.measured_campaign import MeasuredCampaign
from fkeras.campaigns.verdict import MAX_FAILURE_RATE, AnyOutcome, Outcome, worst
from fkeras.statistics.tolerance import Tolerance

Suite = Mapping[str, MeasuredCampaign | None]
"""What each test measured; None: nothing."""


@dataclass(frozen=True, slots=True)
class SuiteComparison:
    """A run against an earlier one.

    tests: name and comparison of each test of both; missing: tests of the old report that are not in the new one;
    added: the other way round; problems: what else keeps it from passing.
    """

    tests: tuple[tuple[str, Comparison], ...]
    missing: tuple[str, ...]
    added: tuple[str, ...]
    problems: tuple[str, ...] = ()

    @property
    def outcome(self) -> AnyOutcome:
        """The worst; "" where nothing was asked for. A missing test is NOT_RUN."""
        return worst([*(comparison.outcome for _, comparison in self.tests), *(Outcome.NOT_RUN for _ in self.problems)])

    @property
    def tightening(self) -> tuple[str, ...]:
        """The tests that got so much better that the new run should be what later ones are compared with."""
        return tuple(name for name, comparison in self.tests if comparison.tightening)


def compare_suites(
    old: Suite,
    new: Suite,
    tolerances: Sequence[Tolerance] = (),
    confidence: float = 0.95,
    max_failure_rates: Mapping[str, float] = MappingProxyType({}),
) -> SuiteComparison:
    """Whether the tests of `new` got worse than those of `old` by more than is tolerated; see `compare_reports`.

    max_failure_rates: the share of draws that may be worse, by the name of a test of `new`; the usual one for others.
    """
    names = _matched(old, new)
    tests = []
    for name, other in names.items():
        before, now = old[other], new[name]
        if before is None or now is None:
            reason = f"the {'old' if before is None else 'new'} report has no trials of it"
            tests.append((name, Comparison(Outcome.NOT_RUN if tolerances else "", "", confidence, (), reason)))
        else:
            allowed = max_failure_rates.get(name, MAX_FAILURE_RATE)
            tests.append((name, compare(now, before, tolerances, confidence, allowed)))
    missing = tuple(name for name in old if name not in names.values())
    problems = [f"{name} is missing in the new report" for name in missing if tolerances]
    judged = {metric.metric for _, comparison in tests for metric in comparison.metrics if metric.outcome}
    problems += [
        f"{tolerance} judged nothing: no test of both measures '{tolerance.metric}'"
        for tolerance in tolerances
        if tolerance.metric not in judged
    ]
    return SuiteComparison(tuple(tests), missing, tuple(name for name in new if name not in names), tuple(problems))


def _matched(old: Suite, new: Suite) -> dict[str, str]:
    """New name -> old name."""
    names = {name: name for name in new if name in old}
    for name, measured in new.items():
        if name not in names and measured is not None:
            equal = [
                other
                for other, before in old.items()
                if before is not None and before.file_name == measured.file_name and other not in new
            ]
            if len(equal) == 1 and equal[0] not in names.values():
                names[name] = equal[0]
    return names
