"""Campaigns with a store: trials are read whatever they were drawn for, and decide as fresh ones do."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from fkeras.campaigns import FixedTrials, Limit, Requirement, Setting, UntilDecided, run_campaign
from fkeras.campaigns.budget import shared_out
from fkeras.campaigns.shard import Shard
from fkeras.errors import InputError
from fkeras.faults import FaultSet, FlipCount, protection
from fkeras.faults.fault_models import Draw
from fkeras.progress import silent
from fkeras.runs.identity import Keeper, Subject, described
from fkeras.store import Identity, Store, merge

IDENTITY = Identity("campaign", {"n": 1})


def damage(bits):
    return float(np.sum(bits % 13)) / 10


@pytest.fixture
def run(function_run):
    return function_run(damage)


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "store")


def setting_of(run, model=None, protected=None, seed=7):
    return Setting(model or FlipCount(6), protection(protected, run.space), seed, run.engine, 1, run.space)


def campaign(run, plan, store=None, setting=None, **keywords):
    entries = {} if store is None else {"mse": store.entry(IDENTITY)}
    return run_campaign(run, setting or setting_of(run), plan, silent, entries, **keywords)


def same(a, b):
    for name in ("values", "hits", "cancelled", "residual"):
        assert getattr(a, name).tolist() == getattr(b, name).tolist()


def until(value, max_trials=400):
    return UntilDecided(Requirement((Limit("mse", "max", value),)), max_trials)


def test_more_trials_read_the_first_ones(run, store):
    first = campaign(run, FixedTrials(20), store)
    assert (run.evaluations, first.reused) == (20, 0)
    more = campaign(run, FixedTrials(50), store)
    assert (run.evaluations, more.reused) == (50, 20)
    fewer = campaign(run, FixedTrials(10), store)
    assert (run.evaluations, fewer.reused) == (50, 10)
    same(more, campaign(run, FixedTrials(50)))
    same(fewer, campaign(run, FixedTrials(10)))


@pytest.mark.parametrize("stored", [0, 3, 70, 300])
@pytest.mark.parametrize("limit", [1.0, 4.0, 5.5, 8.0])
def test_a_sequential_campaign_ends_as_a_fresh_one_whatever_is_stored(run, store, stored, limit):
    if stored:
        campaign(run, FixedTrials(stored), store)
    before = run.evaluations
    found = campaign(run, until(limit), store)
    measured = run.evaluations - before
    fresh = campaign(run, until(limit))
    same(found, fresh)
    requirement = until(limit).requirement
    assert str(found.verdict(requirement)) == str(fresh.verdict(requirement))
    assert found.reused == min(stored, len(fresh))
    assert measured <= max(0, len(fresh) - stored) + run.batch_size


def test_the_same_trials_serve_other_limits(run, store):
    long = campaign(run, until(5.0), store)
    before = run.evaluations
    short = campaign(run, until(0.1), store)
    assert run.evaluations == before
    assert short.reused == len(short) < len(long)


def test_one_metric_under_two_names_is_stored_once(run, store):
    class Twice:
        def __init__(self):
            self.metrics = dict.fromkeys(("mse", "again"), run.metrics["mse"])
            self.golden = dict.fromkeys(("mse", "again"), run.golden["mse"])

        def __getattr__(self, name):
            return getattr(run, name)

        def fault_sets(self, faults):
            (scores,) = run.fault_sets(faults).values()
            return {"mse": scores, "again": scores}

    twice = Twice()
    for reused in (0, 12):
        entries = {name: store.entry(IDENTITY) for name in twice.metrics}
        found = run_campaign(twice, setting_of(run), FixedTrials(12), silent, entries)
        assert found.reused == reused
        assert found["mse"].values.tolist() == found["again"].values.tolist()
    assert store.notices == []
    assert run.evaluations == 12


def test_shares_are_the_whole(run, store, tmp_path):
    plan = FixedTrials(25)
    fresh = campaign(run, plan)
    for number in (2, 1):
        setting, part = shared_out(setting_of(run), plan, Shard(number, 2))
        one = campaign(run, part, Store(tmp_path / str(number)), setting)
        assert one.values.tolist() == fresh.values[number - 1 :: 2].tolist()
        assert setting.residual(3) == setting_of(run).residual(6 + number - 1)
    merge([tmp_path / "1", tmp_path / "2"], into=store)
    before = run.evaluations
    found = campaign(run, plan, store)
    assert (run.evaluations, found.reused) == (before, 25)
    same(found, fresh)


def test_a_lost_share_is_all_that_is_measured_again(run, store):
    setting, part = shared_out(setting_of(run), FixedTrials(24), Shard(2, 3))
    campaign(run, part, store, setting)
    assert run.evaluations == 8
    found = campaign(run, FixedTrials(24), store)
    assert (run.evaluations, found.reused) == (24, 8)
    same(found, campaign(run, FixedTrials(24)))


def test_shares_need_a_number_of_trials(run):
    with pytest.raises(InputError, match="ends when it is decided cannot be shared out; give trials="):
        shared_out(setting_of(run), until(1.0), Shard(1, 2))
    with pytest.raises(InputError, match="'3/3' of 2 trials is empty; there are 2 shares at most"):
        shared_out(setting_of(run), FixedTrials(2), Shard(3, 3))


class Drifting:
    """A user's fault model whose code changes under one name."""

    def __init__(self, first):
        self.first = first

    def draw(self, n_bits, stream):
        return Draw(FaultSet([(self.first + int(stream.raw(1)[0])) % n_bits]), 1)

    def describe(self, n_bits):
        return "one"

    def __repr__(self):
        return "Drifting()"


def test_stored_trials_of_other_faults_are_measured_again_and_it_is_said(run, store):
    campaign(run, FixedTrials(10), store, setting_of(run, Drifting(0)))
    found = campaign(run, FixedTrials(10), store, setting_of(run, Drifting(1)))
    assert found.reused == 0
    assert "other faults than those drawn now were measured in them; they are measured again" in store.notices[0]
    same(found, campaign(run, FixedTrials(10), None, setting_of(run, Drifting(1))))


def identity_of(run, **changes):
    subject = Subject({"weights": "aa"}, run.space, "bb", "fast")
    return subject.campaign(run.metrics["mse"], setting_of(run, **changes))


def test_identities_of_campaigns(run):
    same_bits = identity_of(run, protected=[1, 2]).differences(identity_of(run, protected=np.array([2, 1])))
    assert same_bits == []
    different = {
        "seed": identity_of(run, seed=8),
        "fault_model.n_faults": identity_of(run, model=FlipCount(7)),
        "protection.bits.n_bits": identity_of(run, protected=[1]),
    }
    for key, other in different.items():
        assert any(line.startswith(f"{key}: ") for line in identity_of(run).differences(other))
    drifted = identity_of(run, model=Drifting(0)).differences(identity_of(run, model=Drifting(1)))
    assert [line.partition(":")[0] for line in drifted] == ["faults_of_trial_0"]


def test_a_metric_without_an_identity_is_measured_and_not_stored(run, store):
    from fkeras.metrics import sample_metric

    run.metrics["mse"] = sample_metric(lambda y, z: z, "mse", "lower")
    keeper = Keeper(store, Subject({"weights": "aa"}, run.space, "bb", "fast"), lambda: None)
    assert keeper.campaign(run, setting_of(run)) == {}
    (notice,) = store.notices
    assert notice.startswith("not stored: metric 'mse' is a function without an identity; pass identity='1'")
    run.metrics["mse"] = sample_metric(lambda y, z: z, "mse", "lower", identity="1")
    assert list(keeper.campaign(run, setting_of(run))) == ["mse"]


def test_a_users_fault_model_is_known_by_its_key(function_run):
    class Two:
        key = "two flips"

        def draw(self, n_bits, stream):
            return Draw(FaultSet(stream.distinct(2, n_bits)), 2)

        def describe(self, n_bits):
            return "two flips"

    run = function_run(len)
    subject = Subject({"weights": "aa"}, run.space, "bb", "fast")
    stored = [
        subject.campaign(run.metrics["mse"], replace(setting_of(run), fault_model=model)).digest
        for model in (Two(), Two(), FlipCount(2))
    ]
    assert stored[0] == stored[1] != stored[2]


def test_a_repr_with_an_address_is_no_description():
    class Opaque:
        pass

    with pytest.raises(InputError, match="its repr holds a memory address"):
        described(Opaque())
