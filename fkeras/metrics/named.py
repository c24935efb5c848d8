"""The metrics that a name alone is enough for."""

from __future__ import annotations

from fkeras.errors import InputError
from fkeras.metrics.classification import accuracy, mispredictions
from fkeras.metrics.metric import DatasetMetric, Metric, SampleMetric
from fkeras.metrics.regression import mean_squared_error

MetricLike = Metric | str
NAMED = {"accuracy": accuracy, "mispredictions": mispredictions, "mean_squared_error": mean_squared_error}


def resolve(metric: MetricLike) -> Metric:
    """The metric that a name stands for; a metric stands for itself.

    Raises InputError for other names, and for "emd", which needs coordinates.

    >>> resolve("accuracy").better
    'higher'
    """
    if isinstance(metric, SampleMetric | DatasetMetric):
        return metric
    if not isinstance(metric, str):
        raise InputError(
            f"a metric is a name or what fkeras.metrics makes, got {type(metric).__name__}; "
            f"wrap a function with fkeras.metrics.sample_metric(function, name, better)"
        )
    if metric == "emd":
        raise InputError(
            "the EMD needs to know where the cells are: "
            "fkeras.metrics.emd(coordinates, cells=None) with coordinates of shape (n_cells, 2) or (n_cells, 3)"
        )
    if metric not in NAMED:
        raise InputError(
            f"no metric is called {metric!r}; by name there are {', '.join(NAMED)}, "
            f"and fkeras.metrics.emd(coordinates), sample_metric(...) and dataset_metric(...) make others"
        )
    return NAMED[metric]()
