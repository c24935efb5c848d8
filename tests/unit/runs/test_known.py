"""What a store knows of the fault-free network: read as it was written, and no engine starts before it is needed."""

from __future__ import annotations

import math
from functools import partial

import numpy as np
import pytest

from fkeras.engine import GoldenScore, RunAround
from fkeras.errors import StoreError
from fkeras.faults import FaultSet
from fkeras.metrics import accuracy, dataset_metric, emd, mean_squared_error, on_output, sample_metric
from fkeras.metrics.chance import Chance
from fkeras.metrics.metric import SampleMetric, is_own
from fkeras.models import ModelHooks
from fkeras.progress import silent
from fkeras.runs import known
from fkeras.runs.known import Golden, KnownRun, keep_golden, kept_golden
from fkeras.scoring import Scorecard
from fkeras.store import Identity, Store
from fkeras.study import Study

SCORES = {
    "mse": GoldenScore(0.25, math.nan, 1, np.array([0.5, 0.0, np.inf])),
    "auc": GoldenScore(math.inf, math.nan, 0, None),
}
CHANCE = {"mse": Chance(0.5, is_beaten=True), "auc": None}


@pytest.fixture
def documents(tmp_path):
    (tmp_path / "store").mkdir()  # documents alone make none
    return Store(tmp_path / "store").documents(Identity("golden", {"of": "a test"}))


@pytest.mark.parametrize("outputs", [np.arange(6.0, dtype=np.float32).reshape(3, 2), (np.ones(3), np.zeros((3, 1)))])
def test_what_is_read_is_what_was_written(documents, outputs):
    assert kept_golden(documents) is None
    keep_golden(documents, Golden("framework ('act' rounds)", outputs, SCORES, CHANCE))
    golden = kept_golden(documents)
    assert (golden.engine, golden.n_samples, golden.chance) == ("framework ('act' rounds)", 3, CHANCE)
    assert type(golden.outputs) is type(outputs)
    np.testing.assert_equal(golden.outputs, outputs)
    for name, score in SCORES.items():
        again = golden.scores[name]
        np.testing.assert_equal(
            (again.value, again.standard_error, again.undefined, again.per_sample),
            (score.value, score.standard_error, score.undefined, score.per_sample),
        )


def test_what_is_damaged_is_said_and_large_outputs_are_left_out(documents, monkeypatch):
    keep_golden(documents, Golden("cpu", np.zeros((3, 2)), SCORES, CHANCE))
    path = documents.path("golden.npz")
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(ValueError, match=r"golden\.npz: left out, it is damaged .*; the fault-free network is"):
        kept_golden(documents)
    path.unlink()
    monkeypatch.setattr(known, "MOST_BYTES", 47)
    keep_golden(documents, Golden("cpu", np.zeros((3, 2)), SCORES, CHANCE))
    assert kept_golden(documents) is None


def test_the_engine_starts_when_faults_are_measured_and_must_agree(function_run, tmp_path):
    run = function_run(lambda bits: 0.5 + float(bits.sum()))

    def known_run(value):
        golden = Golden("known", np.zeros(1), {"mse": GoldenScore(value, 0.0, 0, None)}, {"mse": None})
        return KnownRun(golden, golden.scores, run.metrics, run.space, lambda: run, tmp_path)

    agreeing = known_run(0.5 + 1e-8)
    assert (agreeing.engine, agreeing.n_samples, agreeing.golden["mse"].value) == ("known", 1, 0.5 + 1e-8)
    assert not agreeing.is_started
    assert agreeing.fault_sets([FaultSet([3])])["mse"].values.tolist() == [3.5]
    assert agreeing.flips(np.array([4]))["mse"].values.tolist() == [4.5]
    assert agreeing.is_started
    assert (agreeing.engine, agreeing.golden) == ("function", run.golden)
    with pytest.raises(StoreError, match=r"gave mse 0\.6 when it was written, and gives 0\.5 now; .* remove the"):
        known_run(0.6).fault_sets([FaultSet([3])])


def test_a_run_around_it_compares_with_what_the_started_engine_gives(function_run, tmp_path):
    run = function_run(lambda bits: 0.5 + float(bits.sum()))
    golden = Golden("known", np.zeros(1), {"mse": GoldenScore(0.5 + 1e-8, 0.0, 0, None)}, {"mse": None})
    around = RunAround(KnownRun(golden, golden.scores, run.metrics, run.space, lambda: run, tmp_path))
    assert (around.engine, around.golden["mse"].value) == ("known", 0.5 + 1e-8)
    scores = around.fault_sets([FaultSet.EMPTY])["mse"]
    assert not scores.differ_from(around.golden["mse"]).any()
    assert around.engine == "function"


def test_metrics_of_fkeras_are_its_own_and_those_of_users_are_not():
    def error(targets, outputs):
        return np.zeros(len(outputs))

    ours = [accuracy(), mean_squared_error(), emd([[0.0, 0.0], [3.0, 4.0]]), on_output(1, accuracy())]
    theirs = [
        sample_metric(error, "mine", "lower", identity="1"),
        dataset_metric(error, "mine", "lower", identity="1"),
        SampleMetric("mine", "lower", None, partial(error), identity="mean_squared_error"),
    ]
    assert [is_own(metric) for metric in ours] == [True] * 4
    assert [is_own(metric) for metric in (*theirs, *(on_output(0, metric) for metric in theirs))] == [False] * 6


class Hooks(ModelHooks):
    """Of a run that counts how often it was started."""

    def __init__(self, run, identity=None):
        self.run, self.started, self._identity, self.notices = run, 0, identity or {"model": "of the test"}, []

    def bit_space(self, model, coverage):
        return self.run.space

    def identity(self, model):
        return self._identity

    def state(self, model, data):
        return {}

    def start_run(self, model, data, metrics, space, engine):
        self.started += 1
        self.run.metrics, self.run.golden_outputs = dict(metrics), np.zeros((1, 1))
        self.run.golden = Scorecard(metrics, data[1], self.run.golden_outputs).golden
        return self.run

    def notice(self, text):
        self.notices.append(text)


@pytest.fixture
def started(function_run, tmp_path):
    """started(metric, **identity): how often the engine starts for the same campaign on one store, and its notices."""

    def sessions(metric, **identity):
        hooks = Hooks(function_run(lambda bits: float(bits.sum() > 9)), identity)
        data = np.zeros((1, 1)), np.zeros((1, 1))
        study = Study(None, data, metric, hooks=hooks, progress=silent, store=tmp_path / "store")
        study.campaign(faults=2, trials=20)
        return hooks.started, hooks.notices

    return sessions


def test_a_campaign_that_is_stored_starts_no_engine_unless_the_network_may_be_another(started, monkeypatch):
    assert started({"mse": mean_squared_error()}) == (1, [])
    assert started({"mse": mean_squared_error()}) == (0, [])
    assert started({"mse": mean_squared_error()}, model="another") == (1, [])
    for word in ("declared", "own_code"):
        assert [started({"mse": mean_squared_error()}, **{word: "of a user"}) for _ in range(2)] == [(1, [])] * 2
    monkeypatch.setattr("fkeras.runs.identity.computed_by", lambda: {"processor": "another"})
    assert started({"mse": mean_squared_error()}) == (1, [])


def test_a_users_metric_is_computed_every_time_so_that_a_changed_one_is_noticed(started):
    def metric(golden):
        return {"mse": sample_metric(lambda targets, outputs: np.full(len(outputs), golden), "mse", "lower", None, "1")}

    assert started(metric(0.0)) == (1, [])
    assert started(metric(0.0)) == (0, [])
    n_started, notices = started(metric(0.5))
    assert n_started == 1
    assert "20 rows that were measured where the fault-free network gave 0, which gives 0.5 here" in notices[0]
