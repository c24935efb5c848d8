"""The gate acts on bounds of the difference, says which trials it used, and never passes what it could not compare."""

from __future__ import annotations

import math
import re
from dataclasses import replace

import numpy as np
import pytest

from fkeras.campaigns.comparison import compare
from fkeras.campaigns.measured_campaign import BudgetIdentity, MeasuredCampaign, MeasuredMetric
from fkeras.errors import InputError
from fkeras.statistics.paired import paired_difference, unpaired_difference
from fkeras.statistics.tolerance import Tolerance, parse_tolerances

IDENTITY = BudgetIdentity("digits", "FlipCount(n_faults=400)")


def measured(*, seed=1, layout="L", exact=False, n_samples=500, data=(), identity=IDENTITY, draws=0, **metrics):
    """A campaign; metrics: name=values, or name=(values, bounds, better)."""
    made = {}
    for name, one in metrics.items():
        values, bounds, better = one if isinstance(one, tuple) else (one, (0.0, 1.0), "lower")
        values = np.asarray(values, float)
        made[name] = MeasuredMetric(better, bounds, 0.1, float(np.mean(values)), 0, values[: 0 if exact else None])
    n = len(values)
    faults = ((np.arange(0 if exact else n) * 7 + draws) % 256).astype(np.uint8)
    return MeasuredCampaign(identity, seed, layout, "C", n_samples, tuple(data), n, exact, faults, made)


def walk(n, mean=0.3, spread=0.05, key=0):
    return np.clip(np.random.default_rng(key).normal(mean, spread, n), 0, 1)


OLD = walk(600)


@pytest.mark.parametrize(
    ("worse", "tolerance", "outcome"),
    [
        (0.0, "err.mean:0.05", "PASS"),
        (0.0, "err.mean:1%", "INCONCLUSIVE"),
        (0.0, "err.mean:20%", "PASS"),
        (0.1, "err.mean:0.05", "FAIL"),
        (0.1, "err.mean:20%", "FAIL"),
        (0.05, "err.mean:0.05", "INCONCLUSIVE"),
        (-0.1, "err.mean:0.001", "PASS"),
    ],
)
def test_the_whole_interval_decides(worse, tolerance, outcome):
    made = compare(measured(err=OLD + worse), measured(err=OLD), parse_tolerances(tolerance))
    (one,) = made.metrics
    assert made.outcome == one.outcome == outcome
    assert one.difference == pytest.approx(worse)
    limit = one.tolerance
    if outcome == "PASS":
        assert one.high <= limit
    elif outcome == "FAIL":
        assert one.low > limit
    else:
        assert one.low <= limit < one.high


def test_the_bounds_are_those_of_the_paired_difference():
    new = OLD + walk(600, 0.02, 0.01, key=1)
    (one,) = compare(measured(err=new), measured(err=OLD), confidence=0.9).metrics
    expected = paired_difference(new, OLD, (0, 1), 0.9)
    assert (one.low, one.difference, one.high) == (expected.low, expected.best, expected.high)
    assert (one.outcome, one.tolerance, one.method) == ("", None, "paired betting (exact, bounded)")


@pytest.mark.parametrize(("worse", "outcome"), [(0.0, "PASS"), (-0.1, "FAIL"), (0.1, "PASS")])
def test_a_metric_of_which_more_is_better_gets_worse_downwards(worse, outcome):
    new, old = measured(acc=(OLD + worse, (0, 1), "higher")), measured(acc=(OLD, (0, 1), "higher"))
    made = compare(new, old, parse_tolerances("acc.mean:0.05"))
    assert made.outcome == outcome
    assert made.metrics[0].difference == pytest.approx(worse)


def test_only_common_trials_are_paired_and_the_rest_of_the_baseline_changes_nothing():
    made = compare(measured(err=OLD[:200]), measured(err=OLD))
    (one,) = made.metrics
    assert (made.pairing, one.n_old, one.n_new) == ("paired", 200, 200)
    assert (one.old_mean, one.new_mean) == (OLD[:200].mean(), OLD[:200].mean())
    assert str(made).endswith("paired on 200 identical fault sets")


@pytest.mark.parametrize(
    ("change", "pairing"),
    [
        ({"layout": "M"}, "unpaired (layout changed)"),
        ({"seed": 2}, "unpaired (another seed)"),
        ({"draws": 1}, "unpaired (other faults drawn)"),
    ],
)
def test_other_faults_are_compared_unpaired_and_it_says_so(change, pairing):
    new = walk(400, key=5)
    made = compare(measured(err=new, **change), measured(err=OLD), parse_tolerances("err:0.2"))
    (one,) = made.metrics
    expected = unpaired_difference(new, OLD, (0, 1))
    assert made.pairing == pairing
    assert (one.n_new, one.n_old, one.low, one.high) == (400, 600, expected.low, expected.high)
    assert pairing in str(made)
    assert "400 trials against 600" in str(made)


def test_one_drawn_fault_set_that_differs_ends_pairing():
    old = measured(err=OLD)
    faults = old.faults.copy()
    faults[599] += 1
    changed = replace(old, faults=faults)
    assert compare(measured(err=OLD), changed).pairing == "unpaired (other faults drawn)"
    assert compare(measured(err=OLD[:599]), changed).pairing == "paired"


def test_pairing_needs_far_fewer_trials_where_draws_differ_much():
    luck = walk(500, 0.5, 0.2)
    paired = compare(measured(err=luck), measured(err=luck)).metrics[0]
    unpaired = compare(measured(err=luck, seed=2), measured(err=luck)).metrics[0]
    assert paired.high - paired.low < 0.3 * (unpaired.high - unpaired.low)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"identity": BudgetIdentity("digits", "FlipCount(n_faults=401)")}, "of another budget"),
        ({"n_samples": 501}, "the data changed since the baseline .500 samples: .* then, 501 samples: .* now"),
        ({"data": (("500 int64", 4.0, 2.0),)}, "the data changed .*mean 4.5, deviation 2.*mean 4, deviation 2"),
        ({"exact": True}, "left nothing to chance"),
        ({"err": (OLD, (0.0, 2.0), "lower")}, r"'err' changed .*: its bounds were \(0.0, 1.0\), and are \(0.0, 2.0\)"),
        ({"err": (OLD, None, "lower")}, r"its bounds were \(0.0, 1.0\), and are None"),
        ({"err": (OLD, (0.0, 1.0), "higher")}, "lower was better, higher is now"),
    ],
)
def test_what_cannot_be_compared_is_not_run(change, reason):
    old = measured(err=OLD, data=(("500 int64", 4.5, 2.0),))
    new = measured(**{"err": OLD, "data": (("500 int64", 4.5, 2.0),), **change})
    made = compare(new, old, parse_tolerances("err:0.05"))
    assert (made.outcome, made.metrics) == ("NOT_RUN", ())
    assert re.search(reason, made.reason)
    assert str(made) == f"NOT_RUN: {made.reason}"


def test_a_judged_metric_that_the_baseline_lacks_is_not_run():
    new, old = measured(err=OLD, acc=(OLD, (0, 1), "higher")), measured(err=OLD)
    assert "no metric 'acc', only err" in compare(new, old, parse_tolerances("acc:0.1")).reason
    made = compare(new, old, parse_tolerances("err:0.1"))
    assert (made.outcome, [one.metric for one in made.metrics]) == ("PASS", ["err"])


def test_a_tolerance_for_a_metric_that_this_budget_lacks_judges_nothing():
    assert compare(measured(err=OLD), measured(err=OLD), parse_tolerances("emd:5%")).outcome == ""


def test_exact_campaigns_differ_by_a_point():
    old, new = measured(err=OLD, exact=True), measured(err=OLD + 0.125, exact=True, layout="M")
    made = compare(new, old, parse_tolerances("err:0.125"))
    (one,) = made.metrics
    assert (made.outcome, made.pairing, one.low, one.high) == ("PASS", "exact", one.difference, one.difference)
    assert compare(new, old, (Tolerance("err", math.nextafter(one.difference, 0), False),)).outcome == "FAIL"


def test_several_metrics_pass_together_and_share_the_risk_of_a_wrong_fail():
    worse = OLD + walk(600, 0.06, 0.05, key=3)
    both = {"err": OLD, "other": OLD}
    assert (
        compare(measured(**both), measured(**both), parse_tolerances("err.mean:0.05,other.mean:0.05")).outcome == "PASS"
    )
    new = measured(err=OLD, other=worse)
    assert compare(new, measured(**both), parse_tolerances("err.mean:0.05,other.mean:0.001")).outcome == "FAIL"
    assert compare(new, measured(**both), parse_tolerances("err.mean:0.05,other.mean:0.06")).outcome == "INCONCLUSIVE"
    # Alone, 0.05 of risk is for this metric; with another one, half of that.
    low_alone = paired_difference(worse, OLD, (0, 1), 0.95).low
    low_shared = paired_difference(worse, OLD, (0, 1), 0.975).low
    between = (Tolerance("other", (low_alone + low_shared) / 2, False, "mean"),)
    assert compare(new, measured(**both), between).outcome == "FAIL"
    assert compare(new, measured(**both), (*between, Tolerance("err", 0.05, False, "mean"))).outcome == "INCONCLUSIVE"


def test_undecided_says_about_how_many_more_trials_decide():
    made = compare(measured(err=OLD[:100]), measured(err=OLD[:100]), parse_tolerances("err.mean:0.01"))
    (one,) = made.metrics
    assert one.outcome == "INCONCLUSIVE"
    n = 100 + one.more_trials
    flat = np.resize(OLD[:100], n)
    assert compare(measured(err=flat), measured(err=flat), parse_tolerances("err.mean:0.01")).outcome == "PASS"
    # Without any difference the bets need about log(20) / 0.75 trials per tolerance.
    assert n == pytest.approx(4 / 0.01, rel=0.15)
    assert f"about {one.more_trials} more trials would decide" in str(made)


def test_a_difference_at_the_tolerance_expects_no_decision():
    made = compare(measured(err=OLD + 0.125), measured(err=OLD), parse_tolerances("err.mean:0.125"))
    assert (made.outcome, made.metrics[0].more_trials) == ("INCONCLUSIVE", None)


def test_unbounded_metrics_need_100_trials_and_infinite_ones_decide_nothing():
    one = (OLD, None, "lower")
    decided = compare(measured(err=one), measured(err=one), parse_tolerances("err.mean:0.05"))
    assert (decided.outcome, decided.metrics[0].method) == ("PASS", "paired mixture (asymptotic)")
    few = (OLD[:99], None, "lower")
    undecided = compare(measured(err=few), measured(err=few), parse_tolerances("err.mean:0.05")).metrics[0]
    assert undecided.method == "paired mixture (asymptotic; needs 100 values, got 99)"
    assert (undecided.outcome, undecided.low, undecided.high) == ("INCONCLUSIVE", -math.inf, math.inf)
    broken = OLD.copy()
    broken[3] = math.inf
    made = compare(measured(err=(broken, None, "lower")), measured(err=one), parse_tolerances("err.mean:0.05"))
    assert (made.outcome, made.metrics[0].difference) == ("INCONCLUSIVE", math.inf)
    assert "nan" not in str(made)


def test_bounds_that_differ_in_their_last_digit_are_the_same():
    top = np.full(300, 1.0)
    wider = np.nextafter(1.0, 2)
    new, old = measured(err=top), measured(err=(top * wider, (0.0, wider), "lower"))
    assert compare(new, old, parse_tolerances("err:0.05")).outcome == "PASS"


def test_relative_tolerances_are_shares_of_the_baselines_mean():
    assert parse_tolerances("emd:5%")[0].absolute(-2.0) == 0.1
    with pytest.raises(
        InputError, match="share of the baseline's mean, which is 0; write a number in the metric's own"
    ):
        compare(measured(err=np.zeros(100)), measured(err=np.zeros(100)), parse_tolerances("err:5%"))


def test_tolerances_are_read():
    assert parse_tolerances(" emd:5%, accuracy.mean:0.01,") == (
        Tolerance("emd", 0.05, True, "draws"),
        Tolerance("accuracy", 0.01, False, "mean"),
    )
    assert [str(one) for one in parse_tolerances("emd.mean:2.5 %,accuracy:1e-3")] == [
        "emd.mean:2.5 %",
        "accuracy:0.001",
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("emd", "'emd' is no tolerance; write METRIC:AMOUNT"),
        ("emd:x", "'emd:x' is no tolerance"),
        ("emd:0%", "amount above 0"),
        ("emd:-1", "amount above 0"),
        ("emd:inf", "amount above 0"),
        ("emd:nan%", "amount above 0"),
        (":5%", "is no tolerance"),
        ("emd:5%,emd:1", "a metric twice"),
        ("emd:5%,emd.mean:1", "a metric twice"),
        (".mean:5%", "is no tolerance"),
        ("", "no tolerance"),
        (" , ", "no tolerance"),
    ],
)
def test_other_tolerances_are_refused(text, message):
    with pytest.raises(InputError, match=message):
        parse_tolerances(text)
