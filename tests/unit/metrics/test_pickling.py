"""Metrics travel to other processes, and score there as here."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

from fkeras import metrics

CLASSES, SHARES = np.array([0, 1, 1]), np.array([[1.0, 3.0], [2.0, 2.0], [1.0, 0.0]])
OUTPUTS = np.array([[0.9, 0.1], [0.8, 0.2], [np.nan, 0.5]], np.float32)


def largest_error(targets, outputs):
    return np.abs(targets - outputs).max(axis=1)


def mean_error(targets, outputs):
    return float(np.abs(targets - outputs).mean())


@pytest.mark.parametrize(
    ("metric", "targets"),
    [
        (metrics.accuracy(), CLASSES),
        (metrics.mispredictions(), CLASSES),
        (metrics.mean_squared_error(), SHARES),
        (metrics.emd([[0.0, 0.0], [3.0, 4.0]], cells=[1, 0]), SHARES),
        (metrics.sample_metric(largest_error, "largest_error", "lower", bounds=(0, 9)), SHARES),
    ],
)
def test_a_sample_metric(metric, targets):
    there = pickle.loads(pickle.dumps(metric))
    assert (there.name, there.better, there.bounds, there.identity) == (
        metric.name, metric.better, metric.bounds, metric.identity
    )  # fmt: skip
    ours, theirs = metric.bind(targets, OUTPUTS), there.bind(targets, OUTPUTS)
    assert theirs.golden.values.tobytes() == ours.golden.values.tobytes()
    assert theirs.golden.undefined.tolist() == ours.golden.undefined.tolist() == [False, False, True]
    one = metrics.on_output(1, metric)
    both = (OUTPUTS[:, :1], OUTPUTS)
    assert pickle.loads(pickle.dumps(one)).bind(targets, both).golden.values.tolist() == ours.golden.values.tolist()


def test_a_data_set_metric():
    metric = metrics.on_output(0, metrics.dataset_metric(mean_error, "mean_error", "lower"))
    there = pickle.loads(pickle.dumps(metric))
    assert metrics.dataset_value(there, SHARES, (SHARES + 1, OUTPUTS)) == (1.0, False)
