"""From the outputs of a data set to one metric's number: what every engine does after the last tensor."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from fkeras.engine import GoldenScore, Scores
from fkeras.errors import Argument, InputError
from fkeras.metrics.inputs import read_only, refusing_writes
from fkeras.metrics.metric import DatasetMetric, Metric, Outputs, Rows, SampleMetric, SampleScores
from fkeras.metrics.user import dataset_value


def joined(parts: Sequence[Outputs]) -> Outputs:
    """Outputs of consecutive samples as one."""
    if isinstance(parts[0], tuple):
        return tuple(np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    return np.concatenate(parts)


class Scorecard:
    """The metrics of a run, bound to its targets and golden outputs."""

    def __init__(self, metrics: Mapping[str, Metric], targets: Any, golden_outputs: Outputs) -> None:
        if not metrics:
            raise InputError(
                "no metric was given; pass ", Argument("metric"), ", for instance ", Argument("metric", "accuracy")
            )
        self.metrics = dict(metrics)
        self.targets = targets
        self.scorers = {
            name: _ReadOnlyScorer(metric, targets, golden_outputs)
            for name, metric in metrics.items()
            if isinstance(metric, SampleMetric)
        }
        self.golden = {name: self._golden(name, metric, golden_outputs) for name, metric in metrics.items()}

    def _golden(self, name: str, metric: Metric, outputs: Outputs) -> GoldenScore:
        if isinstance(metric, DatasetMetric):
            value, undefined = dataset_value(metric, self.targets, outputs)
            return GoldenScore(value, np.nan, int(undefined), None)
        scores = self.scorers[name].golden
        values = scores.values
        with np.errstate(invalid="ignore"):
            error = float(np.std(values, ddof=1) / np.sqrt(values.size)) if values.size > 1 else np.nan
        return GoldenScore(float(np.mean(values)), error, int(scores.undefined.sum()), values)

    @property
    def needs_all_outputs(self) -> bool:
        """Whether some metric is a number for the whole data set."""
        return any(isinstance(metric, DatasetMetric) for metric in self.metrics.values())

    def dataset_scores(self, outputs: Outputs) -> dict[str, tuple[float, int, int]]:
        """(value, undefined, harmed) of the metrics that are one number for all samples."""
        scores = {}
        for name, metric in self.metrics.items():
            if isinstance(metric, DatasetMetric):
                value, undefined = dataset_value(metric, self.targets, outputs)
                golden = self.golden[name].value
                worse = value > golden if metric.better == "lower" else value < golden
                scores[name] = value, int(undefined), int(worse)
        return scores

    def tally(self) -> Tally:
        """A fresh sum over the samples of one fault set."""
        return Tally(self)


class _ReadOnlyScorer:
    """A sample metric's scorer, which sees targets and outputs and cannot write into them."""

    def __init__(self, metric: SampleMetric, targets: Any, golden_outputs: Outputs) -> None:
        self._name = metric.name
        with refusing_writes(self._name):
            self._scorer = metric.bind(read_only(targets), read_only(golden_outputs))
        self.golden = self._scorer.golden

    def score(self, outputs: Outputs, rows: Rows) -> SampleScores:
        with refusing_writes(self._name):
            return self._scorer.score(read_only(outputs), rows)


class Tally:
    """Adds up one fault set's scores, chunk by chunk."""

    def __init__(self, card: Scorecard) -> None:
        self._card = card
        self._totals = dict.fromkeys(card.scorers, 0.0)
        self._counts = {name: np.zeros(3, np.int64) for name in card.scorers}
        self._kept: list[Outputs] = []

    def add(self, outputs: Outputs, rows: slice) -> None:
        """Score the outputs of `rows`."""
        for name, scorer in self._card.scorers.items():
            scores = scorer.score(outputs, rows)
            golden = scorer.golden.values[rows]
            worse = scores.values > golden if self._card.metrics[name].better == "lower" else scores.values < golden
            self._totals[name] += float(scores.values.sum())
            self._counts[name] += (scores.undefined.sum(), worse.sum(), scores.values.size)
        if self._card.needs_all_outputs:
            self._kept.append(outputs)

    def result(self) -> dict[str, tuple[float, int, int]]:
        """(value, undefined, harmed) by metric."""
        result: dict[str, tuple[float, int, int]] = {}
        for name, (undefined, harmed, n) in self._counts.items():
            result[name] = self._totals[name] / n, int(undefined), int(harmed)
        if self._kept:
            result |= self._card.dataset_scores(joined(self._kept))
        return result


def scores_of(results: Sequence[Mapping[str, tuple[float, int, int]]], names: Sequence[str]) -> dict[str, Scores]:
    """The results of n fault sets, by metric."""
    return {
        name: Scores(
            np.array([result[name][0] for result in results], np.float64),
            np.array([result[name][1] for result in results], np.int64),
            np.array([result[name][2] for result in results], np.int64),
        )
        for name in names
    }
