"""The campaign of one test: what its budget asks for, on the model under test."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from pytest_fkeras.marks import Budget
from pytest_fkeras.options import Options
from pytest_fkeras.resilience import Resilience

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from fkeras.campaigns import CampaignResult, FixedTrials, Limit, Requirement, Setting, UntilDecided, Verdict
    from fkeras.engine import GoldenScore, Run
    from fkeras.memory import BitSpace
    from fkeras.statistics import Estimate


class FaultCampaign:
    """The `fkeras_campaign` fixture: the result of the test's fault budget.

    Metrics that limits name are measured before the test's body runs, all others when they are first read, on the
    same fault sets. `campaign["emd"]` is one metric's result; `campaign.failure_rate(max_emd=1.25)` an estimate of
    the share of trials over a limit; `.values` and `.estimate` read the metric in question if there is only one.
    """

    def __init__(self, resilience: Resilience, budget: Budget, options: Options) -> None:
        from fkeras.campaigns import Requirement

        self.budget = budget
        self.was_read = False
        self._resilience = resilience
        self._options = options
        self._limits = tuple(self._limit(keyword, value) for keyword, value in budget.limits)
        self._result: CampaignResult | None = None
        self.requirement: Requirement | None = None
        if self._limits:
            self.requirement = Requirement(self._limits, budget.max_failure_rate, budget.confidence)
        self.space: BitSpace = resilience.space_of(budget.layers, budget.biases)
        names = list(dict.fromkeys(limit.metric for limit in self._limits))
        self._main = names[0] if len(names) == 1 else None if names else resilience.sole_metric
        self.protection = resilience.protection(
            budget.protected, budget.method, names[0] if names else None, self.space
        )

    def prepare(self) -> None:
        """Measure what the limits name, or else the only metric there is."""
        names = list(dict.fromkeys(limit.metric for limit in self._limits)) or (
            [self._main] if self._main is not None else []
        )
        if names:
            self._measure(names)

    @property
    def model_name(self) -> str:
        """What reports call the model."""
        return self._resilience.model_name

    @property
    def result(self) -> CampaignResult:
        """Everything measured so far."""
        self.was_read = True
        if self._result is None:
            raise pytest.UsageError(
                "nothing was measured: no limit names a metric; choose one, as in fkeras_campaign['accuracy']"
            )
        return self._result

    def __getitem__(self, metric: str) -> CampaignResult:
        self._measure([metric])
        return self.result[metric]

    def __len__(self) -> int:
        return len(self.result)

    @property
    def values(self) -> NDArray[Any]:
        """The metric in each trial, (trials,) float64."""
        return self[self._sole()].values

    @property
    def estimate(self) -> Estimate:
        """The mean over trials, given this data set, with an interval."""
        return self[self._sole()].estimate

    @property
    def golden(self) -> GoldenScore:
        """The fault-free network's score; its standard error is the data set's own."""
        return self[self._sole()].golden

    def failure_rate(self, limit: float | None = None, *, confidence: float = 0.95, **limits: float) -> Estimate:
        """The share of trials that break a limit, with a two-sided interval, given this data set.

        limit: in the metric's own direction, when there is one metric; or keywords as in the mark, `max_emd=1.25`.
        """
        if limit is not None:
            return self[self._sole()].failure_rate(limit, confidence=confidence, **limits)
        self._measure([self._limit(keyword, value).metric for keyword, value in limits.items()])
        return self.result.failure_rate(confidence=confidence, **limits)

    @property
    def verdict(self) -> Verdict | None:
        """What the trials prove about the budget's limits; None without limits."""
        return None if self.requirement is None else self.result.verdict(self.requirement)

    def _sole(self) -> str:
        if self._main is None:
            names = sorted({limit.metric for limit in self._limits}) or sorted(self._resilience.metrics)
            raise pytest.UsageError(
                f"which metric? there are {', '.join(names)}; choose one, as in fkeras_campaign[{names[0]!r}]"
            )
        return self._main

    def _limit(self, keyword: str, value: float) -> Limit:
        from fkeras.campaigns import parse_limit

        return parse_limit(keyword, value, self._resilience.metrics)

    def _measure(self, names: Sequence[str]) -> None:
        from fkeras.campaigns import FixedTrials, run_campaign
        from fkeras.campaigns.exhaustive import run_exhaustive
        from fkeras.campaigns.progress import terminal_bar

        missing = [name for name in dict.fromkeys(names) if self._result is None or name not in self._result.by_metric]
        if not missing:
            return
        run = self._resilience.run(missing, self.space, self._options.engine(self.budget.engine))
        if self.budget.is_exhaustive:
            measured: CampaignResult = run_exhaustive(run, self.protection, terminal_bar)
        elif self._result is None:
            measured = run_campaign(run, self._setting(run), self._plan(), terminal_bar)
        else:
            measured = run_campaign(run, self._setting(run), FixedTrials(len(self._result)), terminal_bar)
        if self._result is not None:
            # One campaign: its trials, and how their number came about, are those of the metrics measured first.
            measured = replace(self._result, by_metric={**self._result.by_metric, **measured.by_metric})
        self._result = measured

    def _fault_model(self) -> Any:
        from fkeras.faults import BitErrorRate, Exposure, fault_model

        budget = self.budget
        if budget.ber is not None:
            return BitErrorRate(budget.ber)
        if budget.exposure_seconds is not None:
            return Exposure(budget.exposure_seconds, budget.upsets_per_bit_second, budget.upsets_per_second)
        return fault_model(budget.faults if budget.bits is None else budget.bits)

    def _setting(self, run: Run) -> Setting:
        from fkeras.campaigns import Setting

        return Setting(
            self._fault_model(),
            self.protection,
            self._options.seed(self.budget.seed),
            run.engine,
            run.n_samples,
            run.space,
        )

    def _plan(self) -> FixedTrials | UntilDecided:
        from fkeras.campaigns import FixedTrials, UntilDecided
        from fkeras.statistics import leveugle

        budget = self.budget
        assert budget.trials != "all"
        kind, value = self._options.trials(
            trials=budget.trials,
            margin=budget.margin,
            max_trials=budget.max_trials,
            has_limits=self.requirement is not None,
        )
        if kind == "until":
            assert self.requirement is not None
            return UntilDecided(self.requirement, int(value))
        if kind == "margin":
            single = budget.bits == 1
            return FixedTrials(max(1, leveugle(len(self.space) if single else None, value, budget.confidence)))
        return FixedTrials(int(value))
