"""How bad the outputs are: accuracy, mispredictions, mean squared error, EMD, and a user's own functions."""

from __future__ import annotations

from fkeras.metrics.classification import accuracy, mispredictions
from fkeras.metrics.metric import DatasetMetric, Metric, SampleMetric, SampleScores, Scorer
from fkeras.metrics.named import MetricLike, resolve
from fkeras.metrics.regression import mean_squared_error
from fkeras.metrics.transport import emd
from fkeras.metrics.user import dataset_metric, dataset_value, on_output, sample_metric

__all__ = [
    "DatasetMetric",
    "Metric",
    "MetricLike",
    "SampleMetric",
    "SampleScores",
    "Scorer",
    "accuracy",
    "dataset_metric",
    "dataset_value",
    "emd",
    "mean_squared_error",
    "mispredictions",
    "on_output",
    "resolve",
    "sample_metric",
]
