"""A study binds once, is frozen, and gives what its parts give; whoever answers for the model."""

from __future__ import annotations

import numpy as np
import pytest

import fkeras
from fkeras.campaigns import FixedTrials, Limit, Requirement, Setting, run_campaign
from fkeras.errors import ChangedError, IdentityError, InputError
from fkeras.faults import FlipCount, protection
from fkeras.memory import Coverage
from fkeras.metrics import mean_squared_error
from fkeras.models import ModelHooks
from fkeras.progress import silent
from fkeras.sensitivity import Ranking
from fkeras.study import Study

DATA = (np.zeros((3, 1)), np.zeros((3, 1)))


def damage(bits):
    return float(np.sum(bits % 13)) / 10


class Hooks(ModelHooks):
    """Answers for a model that is a function of fault sets."""

    def __init__(self, run):
        self.run, self.started, self.digest, self.notices = run, [], "as it was", []

    def bit_space(self, model, coverage):
        return self.run.space

    def identity(self, model):
        return {"model": "of the test"}

    def state(self, model, data):
        return {"model": self.digest, "data": None}

    def rank(self, model, data, method, metric, loss, seed, space):
        return Ranking.from_scores(np.arange(len(space))[::-1], space, method or "default")

    def start_run(self, model, data, metrics, space, engine):
        self.started.append((list(metrics), engine))
        return self.run

    def notice(self, text):
        self.notices.append(text)


@pytest.fixture
def hooks(function_run):
    return Hooks(function_run(damage))


@pytest.fixture
def study(hooks):
    return Study(None, DATA, {"mse": mean_squared_error()}, hooks=hooks, progress=silent, seed=7)


def test_it_is_frozen_and_says_what_it_is(study):
    with pytest.raises(AttributeError, match=r"a Study is frozen; make another one: study\.but\(seed=\.\.\.\)"):
        study.seed = 3
    assert repr(study) == "<Study of 'NoneType', mse, engine 'auto', seed 7>"
    assert fkeras.Study is Study


def test_another_memory_is_another_space(study, hooks):
    asked = []
    hooks.bit_space = lambda model, coverage: asked.append(coverage) or hooks.run.space
    for other in (study.but(memory="hls4ml"), study.but(words="float32", biases=True), study.but(layers=["a"])):
        assert other.space is hooks.run.space
    assert asked == [Coverage(memory="hls4ml"), Coverage("*", True, None, "float32"), Coverage(["a"])]
    with pytest.raises(InputError, match="memory='chip'; allowed are 'quantizer', 'hls4ml'"):
        study.but(memory="chip")


def test_another_seed_or_engine_is_another_study_of_the_same_runs(study, hooks):
    other = study.but(seed=8)
    assert (study.seed, other.seed) == (7, 8)
    assert study.run() is other.run()
    study.but(engine="framework").run()
    assert hooks.started == [(["mse"], "auto"), (["mse"], "framework")]
    with pytest.raises(InputError, match=r"but\(data=\) is another study: make it with fkeras\.Study\(\.\.\.\)"):
        study.but(data=DATA)
    with pytest.raises(InputError, match=r"engine='tpu'; allowed are auto, cpu, gpu, framework, hls4ml"):
        study.but(engine="tpu")
    with pytest.raises(InputError, match=r"seed is 0\.5; allowed are whole numbers"):
        study.but(seed=0.5)


def test_its_campaign_is_the_campaign_of_its_parts(study, hooks):
    result = study.campaign(faults=6, trials=40, protected=study.rank()[:20])
    space = hooks.run.space
    setting = Setting(FlipCount(6), protection(study.rank()[:20], space), 7, hooks.run.engine, 1, space)
    by_hand = run_campaign(hooks.run, setting, FixedTrials(40), silent)
    assert result.values.tolist() == by_hand.values.tolist()
    assert study.but(seed=8).campaign(faults=6, trials=40).values.tolist() != by_hand.values.tolist()


def test_every_bit_alone_is_the_oracle(study):
    oracle, alone = study.oracle(), study.campaign(faults=1, trials="all")
    assert alone.values.tolist() == oracle.values.tolist()
    assert study.critical_bits({"max_mse": 1.0}).bits.tolist() == oracle.critical(max_mse=1.0).bits.tolist()
    with pytest.raises(InputError, match=r'trials="all" flips every bit alone; write faults=1, trials="all"'):
        study.campaign(faults=2, trials="all")


def test_limits_by_keyword_and_a_requirement_are_one_thing(study):
    stated = study.campaign(faults=6, limits={"max_mse": 2.0})
    required = study.campaign(faults=6, limits=Requirement((Limit("mse", "max", 2.0),)))
    assert len(stated) == len(required)
    with pytest.raises(InputError, match=r"min_mse=1 limits how much better mse gets"):
        study.campaign(faults=6, limits={"min_mse": 1})


def test_what_is_not_stored_is_said_once(hooks, tmp_path):
    def identity(model):
        raise IdentityError("nobody knows what it is")

    hooks.identity = identity
    study = Study(None, DATA, {"mse": mean_squared_error()}, hooks=hooks, progress=silent, store=tmp_path / "s")
    for _ in range(2):
        study.campaign(faults=6, trials=10)
    assert hooks.notices == ["not stored: nobody knows what it is"]


def test_a_store_keeps_what_it_measures_for_whoever_asks_next(study, hooks, tmp_path):
    kept = Study(None, DATA, {"mse": mean_squared_error()}, hooks=hooks, progress=silent, seed=7, store=tmp_path / "s")
    first = kept.campaign(faults=6, trials=10)
    evaluations = hooks.run.evaluations
    again = Study(None, DATA, {"mse": mean_squared_error()}, hooks=hooks, progress=silent, seed=7, store=tmp_path / "s")
    assert again.campaign(faults=6, trials=10).reused == 10
    assert (first.reused, hooks.run.evaluations) == (0, evaluations)
    assert again.rank().order.tolist() == kept.rank().order.tolist()
    assert hooks.notices == []
    assert kept.identity["model"] == {"model": "of the test"}


def test_searches_with_a_store_measure_nothing_twice(hooks, tmp_path):
    def curve():
        study = Study(None, DATA, {"mse": mean_squared_error()}, hooks=hooks, progress=silent, store=tmp_path / "store")
        return study.protection_curve(6, study.rank(), {"max_mse": 3.0}, max_trials=60)

    first = curve()
    evaluations = hooks.run.evaluations
    assert curve() == first
    assert hooks.run.evaluations == evaluations > 0


def test_what_is_meant_must_be_clear(hooks):
    two = Study(None, DATA, {"a": mean_squared_error(), "b": mean_squared_error()}, hooks=hooks)
    with pytest.raises(InputError, match=r"which metric\? there are a, accuracy, b, .*; name one, as in"):
        two.oracle()
    with pytest.raises(InputError, match=r"no metric 'emd'; there are .*make it with fkeras\.metrics\.emd"):
        two.oracle("emd")
    with pytest.raises(InputError, match=r"measuring needs data=\(x, y\)"):
        Study(None, None, "accuracy", hooks=hooks).run()
    with pytest.raises(InputError, match=r"shard='1/2' needs store="):
        two.oracle("a", shard="1/2")


def test_a_model_that_changed_is_not_measured(study, hooks):
    study.run()
    hooks.digest = "changed"
    with pytest.raises(ChangedError, match="the model changed since this study first measured with it"):
        study.campaign(faults=1, trials=3)
