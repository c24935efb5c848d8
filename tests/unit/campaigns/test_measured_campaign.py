"""A campaign's results survive a small file exactly, and no damaged file passes for one."""

from __future__ import annotations

import json

import numpy as np
import pytest

from fkeras.campaigns import CampaignResult, FixedTrials, MetricTrials, Setting
from fkeras.campaigns.exhaustive import EachBitAlone, ExhaustiveResult, ExhaustiveSetting
from fkeras.campaigns.measured_campaign import (
    MOST_BYTES,
    BudgetIdentity,
    MeasuredCampaign,
    MeasuredMetric,
    same_data,
    summary_of,
)
from fkeras.engine import GoldenScore
from fkeras.errors import InputError
from fkeras.faults import FlipCount, protection
from fkeras.memory import BitSpace, FixedPoint, WordTensor

CODEC = FixedPoint(8, 0)
IDENTITY = BudgetIdentity("tests/econ_t", "FlipCount(n_faults=3)", "ranking[:40]")


def space_of(n_words=8, name="d/kernel") -> BitSpace:
    zeros = np.zeros(n_words, np.float32)
    return BitSpace((WordTensor(name, (n_words,), CODEC, CODEC.encode(zeros), np.ones(n_words), zeros),))


def result_of(space=None, seed=5, **metrics) -> CampaignResult:
    """A campaign of 3 flips a trial; metrics: name=(values, bounds, better)."""
    space = space or space_of()
    n = len(next(iter(metrics.values()))[0])
    setting = Setting(FlipCount(3), protection(None, space), seed, "numpy", 500, space)
    trials = {
        name: MetricTrials(name, better, bounds, np.asarray(values, float), np.full(n, 2), GoldenScore(1.1, 0, 0, None))
        for name, (values, bounds, better) in metrics.items()
    }
    return CampaignResult(trials, setting, FixedTrials(n), np.full(n, 3), np.zeros(n, int), np.full(n, 3))


def measured_of(values, bounds=(0.0, 13.8), better="lower", **changes) -> MeasuredCampaign:
    return MeasuredCampaign.of(result_of(emd=(values, bounds, better), **changes), IDENTITY)


def again(measured: MeasuredCampaign, most_bytes=MOST_BYTES) -> MeasuredCampaign:
    return MeasuredCampaign.from_json(measured.to_json(most_bytes))


def test_every_number_comes_back_exactly():
    values = np.array([1.1, np.nextafter(1.1, 2), np.inf, -0.0, 5e-324, 1.7e308])
    result = result_of(emd=(values, None, "lower"), accuracy=(np.full(6, 0.5), (0, 1), "higher"))
    before = MeasuredCampaign.of(result, IDENTITY, summary_of((np.arange(6.0).reshape(2, 3), np.array([0, 1]))))
    after = again(before)
    assert after.metrics["emd"].values.tobytes() == values.tobytes()
    assert after.metrics["accuracy"].values.tolist() == [0.5] * 6
    assert after.metrics["accuracy"].bounds == (0, 1)
    assert (after.metrics["emd"].mean, after.metrics["emd"].golden, after.metrics["emd"].undefined) == (np.inf, 1.1, 12)
    assert after.faults.tobytes() == before.faults.tobytes()
    assert list(after.metrics) == ["emd", "accuracy"]
    assert after.data == before.data
    assert [part[:3] for part in after.data] == [("2x3 float64", 2.5, np.std(np.arange(6))), ("2 int64", 0.5, 0.5)]
    for name in ("identity", "seed", "layout_digest", "content_digest", "n_samples", "trials", "is_exact", "kept"):
        assert getattr(after, name) == getattr(before, name)
    assert again(after).to_json() == after.to_json()


def test_faults_are_named_by_the_first_byte_of_their_digest():
    result = result_of(emd=(np.ones(40), None, "lower"))
    expected = [int(result.setting.draw(trial).faults.digest[:2], 16) for trial in range(40)]
    assert MeasuredCampaign.of(result, IDENTITY).faults.tolist() == expected
    assert len(set(expected)) > 30


def test_10_000_incompressible_trials_fit_and_the_file_says_what_is_dropped():
    generator = np.random.default_rng(0)
    values = 1 + 10 * generator.random(10_000)
    faults = generator.integers(0, 256, 10_000, np.uint8)
    whole = MeasuredCampaign(
        IDENTITY, 5, "a" * 64, "b" * 64, 500, (), 10_000, False, faults,
        {"emd": MeasuredMetric("lower", (0.0, 13.8), 1.1, float(values.mean()), 0, values)},
    )  # fmt: skip
    text = whole.to_json()
    plain, read = json.loads(text), MeasuredCampaign.from_json(text)
    assert 0.95 * MOST_BYTES < len(text) <= MOST_BYTES
    assert read.kept == plain["kept"] > 2500
    assert (plain["trials"], plain["dropped"]) == (10_000, 10_000 - read.kept)
    assert read.metrics["emd"].values.tolist() == values[: read.kept].tolist()
    assert read.metrics["emd"].mean == pytest.approx(values.mean(), rel=1e-15)


def test_1_000_trials_of_two_metrics_are_kept_whole():
    generator = np.random.default_rng(1)
    emd, accuracy = 1 + generator.random(1000), generator.integers(400, 500, 1000) / 500
    result = result_of(emd=(emd, (0, 13.8), "lower"), accuracy=(accuracy, (0, 1), "higher"))
    assert again(MeasuredCampaign.of(result, IDENTITY)).kept == 1000


def test_an_exact_result_keeps_its_trials_too():
    space = space_of()
    setting = ExhaustiveSetting(EachBitAlone(), protection(None, space), 0, "numpy", 5, space)
    values = np.arange(64.0)
    trials = MetricTrials("emd", "lower", None, values, np.zeros(64, int), GoldenScore(0, 0, 0, None))
    ones = np.ones(64, np.int64)
    result = ExhaustiveResult({"emd": trials}, setting, FixedTrials(64), ones, 0 * ones, ones)
    read = again(MeasuredCampaign.of(result, IDENTITY))
    assert (read.is_exact, read.trials, read.kept, read.metrics["emd"].mean) == (True, 64, 64, 31.5)
    assert read.metrics["emd"].values.tolist() == values.tolist()


def test_what_does_not_fit_at_all_is_refused():
    with pytest.raises(InputError, match="1 metrics does not fit into 300 bytes"):
        measured_of(np.ones(5)).to_json(300)


def test_no_changed_character_passes():
    text = measured_of([1.0, 2.0, 4.0]).to_json()
    for place in range(len(text)):
        other = "7" if text[place] != "7" else "8"
        damaged = text[:place] + other + text[place + 1 :]
        try:
            read = MeasuredCampaign.from_json(damaged, "x.json")
        except InputError as error:
            assert "x.json" in str(error)  # noqa: PT017
        else:
            # Blanks between values mean nothing, nor does the 17th digit of some numbers.
            assert read.to_json() == text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "x.json is no JSON .*; write it again with pytest --fkeras-baseline=DIR --fkeras-baseline-update"),
        ("[" * 100_000, "x.json is no JSON"),
        ('{\n<<<<<<< HEAD\n"a": 1', "a merge left conflict markers"),
        ('{"a": NaN}', "NaN is no JSON number"),
        ("[]", "states no schema"),
        ("null", "states no schema"),
        ('{"schema": "fkeras-report/1"}', "has schema 'fkeras-report/1'; this version reads 'fkeras-measured/1'"),
        ('{"schema": "fkeras-measured/2"}', "has schema 'fkeras-measured/2'"),
        ('{"schema": "fkeras-measured/1"}', "damaged, or was edited by hand"),
    ],
)
def test_a_foreign_file_is_refused_with_the_reason(text, message):
    with pytest.raises(InputError, match=message):
        MeasuredCampaign.from_json(text, "x.json")


def with_checksum(plain):
    from fkeras.campaigns.measured_campaign import _checksum

    return {**plain, "checksum": _checksum(plain)}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kept": 10**9, "trials": 10**9}, "1000000000 of 1000000000 trials"),
        ({"kept": 4}, "4 of 3 trials"),
        ({"kept": 2}, "20 bytes of values where|19 bytes of values where 18 belong"),
        ({"kept": -1}, "-1 is no count"),
        ({"values": "!"}, "is no fkeras-measured/1"),
        ({"values": 3}, "is no fkeras-measured/1"),
        ({"metrics": {}}, "of 0 metrics"),
        ({"metrics": {"emd": {"better": "sideways"}}}, "is no fkeras-measured/1"),
        ({"budget": {}}, "is no fkeras-measured/1"),
        ({"seed": "x"}, "is no fkeras-measured/1"),
        ({"data": [[1, 2]]}, "is no fkeras-measured/1"),
    ],
)
def test_a_forged_file_is_refused(change, message):
    plain = with_checksum({**measured_of([1.0, 2.0, 4.0]).to_plain(), **change})
    with pytest.raises(InputError, match=message):
        MeasuredCampaign.from_plain(plain, "x.json")


def test_a_file_that_unpacks_without_end_is_refused_early():
    import base64
    import zlib

    bomb = base64.b64encode(zlib.compress(bytes(50_000_000), 9)).decode()
    plain = with_checksum({**measured_of([1.0, 2.0, 4.0]).to_plain(), "values": bomb})
    with pytest.raises(InputError, match="28 bytes of values where 27 belong"):
        MeasuredCampaign.from_plain(plain)


def test_file_names_are_readable_and_tell_budgets_apart():
    assert IDENTITY.file_name(["emd"]) == f"tests-econ_t-3-flips-ranking-40-{IDENTITY.digest}.emd.json"
    others = [
        BudgetIdentity("tests/digits", IDENTITY.faults, IDENTITY.protected),
        BudgetIdentity(IDENTITY.model, "FlipCount(n_faults=4)", IDENTITY.protected),
        BudgetIdentity(IDENTITY.model, IDENTITY.faults, "ranking[:41]"),
        BudgetIdentity(IDENTITY.model, IDENTITY.faults, IDENTITY.protected, "conv*"),
        BudgetIdentity(IDENTITY.model, IDENTITY.faults, IDENTITY.protected, "*", 0),
    ]
    assert len({one.digest for one in [IDENTITY, *others]}) == 6
    assert IDENTITY.file_name(["b", "a"]) == IDENTITY.file_name(["a", "b"])
    odd = BudgetIdentity("../../etc", "Mine(a='/x')", "\n" * 3 + "é" * 500)
    assert "/" not in odd.file_name(["../up"])
    assert len(odd.file_name(["m" * 500])) < 130
    assert not odd.file_name(["x"]).startswith(".")


def test_data_are_the_same_up_to_the_last_digits():
    x, y = np.random.default_rng(3).random((50, 4)).astype(np.float32), np.arange(50) % 10
    one = summary_of((x, y))
    assert [part[0] for part in one] == ["50x4 float32", "50 int64"]
    assert same_data(one, summary_of((np.nextafter(x, np.float32(2)), y)))
    changed = x.copy()
    changed[7] = 0
    assert not same_data(one, summary_of((changed, y)))
    assert not same_data(one, summary_of((x[:49], y)))
    assert not same_data(one, summary_of((x, y.astype(np.int32))))
    assert same_data(one, ())
    assert summary_of({"b": [1.0, 3.0], "a": np.array(["t"])}) == (
        ("1 <U1", 0.0, 0.0, 0.0),
        ("2 float64", 2.0, 1.0, pytest.approx(-0.893645549)),
    )


def test_the_order_of_the_data_matters():
    labels = np.arange(50) % 10
    targets = np.eye(10)[labels]
    one = summary_of(targets)
    for other in (np.eye(10)[(labels + 1) % 10], targets[::-1]):
        assert [part[1:3] for part in summary_of(other)] == [pytest.approx(part[1:3]) for part in one]
        assert not same_data(one, summary_of(other))
    assert same_data(one, summary_of(targets.astype(np.float64) * (1 + 1e-8)))


def test_the_arrays_cannot_be_written():
    read = again(measured_of([1.0, 2.0]))
    for array in (read.faults, read.metrics["emd"].values, measured_of([1.0]).metrics["emd"].values):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 9
