"""Metrics see targets and outputs, of which there is one copy for all, and cannot write into them."""

from __future__ import annotations

import numpy as np
import pytest

from fkeras.errors import InputError
from fkeras.metrics import dataset_metric, on_output, sample_metric
from fkeras.metrics.metric import SampleMetric
from fkeras.scoring import Scorecard


def square(y, z):
    return np.square(y - z).mean(axis=1)


def writes_outputs(y, z):
    z *= 0
    return square(y, z)


def writes_targets(y, z):
    y[:] = z
    return square(y, z)


def sorts(y, z):
    z.sort()
    return square(y, z)


def fills(y, z):
    np.clip(z, 0, 1, out=z)
    return square(y, z)


def inside_a_view(y, z):
    z[:, :1].reshape(-1)[...] = 0
    return square(y, z)


class OwnScorer:
    def __init__(self, function, targets, outputs):
        self.function, self.targets = function, targets
        self.golden = self.score(outputs, slice(None))

    def score(self, outputs, rows):
        from fkeras.metrics.metric import SampleScores

        values = self.function(self.targets[rows], outputs)
        return SampleScores(values, np.zeros(values.size, bool))


KINDS = {
    "per sample": lambda f: sample_metric(f, "mine", "lower"),
    "per data set": lambda f: dataset_metric(lambda y, z: float(f(y, z).mean()), "mine", "lower"),
    "with a scorer of its own": lambda f: SampleMetric("mine", "lower", None, lambda y, z: OwnScorer(f, y, z)),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("function", [writes_outputs, writes_targets, sorts, fills, inside_a_view])
@pytest.mark.parametrize("is_tuple", [False, True])
def test_a_metric_that_writes_is_refused_by_name(kind, function, is_tuple):
    y, z = np.arange(6.0).reshape(3, 2), np.ones((3, 2))
    metric = KINDS[kind](function)
    if is_tuple:
        metric = on_output(0, metric)
    with pytest.raises(InputError, match=r"metric 'mine' writes into the targets or outputs that it is given .*copy"):
        Scorecard({"mine": metric}, (y,) if is_tuple else y, (z,) if is_tuple else z)
    assert (y.sum(), z.sum()) == (15, 6)
    assert y.flags.writeable, "the arrays stay the caller's own"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("bad", [0.0, np.nan], ids=["finite", "with-nan"])
def test_also_when_it_writes_under_faults_only(kind, bad):
    def late(y, z):
        if not (z == 1).all():
            z[0] = 1
        return square(y, z)

    y, z = np.zeros((3, 2)), np.ones((3, 2))
    card = Scorecard({"mine": KINDS[kind](late)}, y, z)
    faulty = z.copy()
    faulty[1:] = 2.0, 2.0
    faulty[2] = bad

    def score():
        tally = card.tally()
        tally.add(faulty, slice(0, 3))
        tally.result()

    with pytest.raises(InputError, match="metric 'mine' writes into"):
        score()
