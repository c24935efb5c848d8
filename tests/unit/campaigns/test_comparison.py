"""The gate acts on bounds of the difference, says which trials it used, and never passes what it could not compare."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from fkeras.campaigns.comparing import compare
from fkeras.campaigns.comparison import Histogram, PairCounts
from fkeras.campaigns.measured_campaign import BudgetIdentity, MeasuredCampaign, MeasuredMetric
from fkeras.campaigns.verdict import HOPELESS
from fkeras.errors import InputError
from fkeras.statistics.paired import paired_difference, unpaired_difference
from fkeras.statistics.sequential import anytime_lower_bound, anytime_upper_bound, share_decision, trials_to_decide
from fkeras.statistics.tolerance import Tolerance, parse_tolerances

IDENTITY = BudgetIdentity("digits", "FlipCount(n_faults=400)")


def measured(
    *,
    seed=1,
    layout="L",
    exact=False,
    n_samples=500,
    data=(),
    identity=IDENTITY,
    draws=0,
    what="",
    golden=0.1,
    **metrics,
):
    """A campaign; metrics: name=values, or name=(values, bounds, better); what: the identity of what computes."""
    made = {}
    for name, one in metrics.items():
        values, bounds, better = one if isinstance(one, tuple) else (one, (0.0, 1.0), "lower")
        values = np.asarray(values, float)
        made[name] = MeasuredMetric(better, bounds, golden, float(np.mean(values)), 0, values, what)
    n = len(values)
    faults = ((np.arange(n) * 7 + draws) % 256).astype(np.uint8)
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
        ("mean(emd):5%", "emd.mean:5% is about the mean over all draws"),
        ("emd.median:5%", "is no tolerance"),
        ("emd.mean.mean:5%", "is no tolerance"),
        ("", "no tolerance"),
        (" , ", "no tolerance"),
    ],
)
def test_other_tolerances_are_refused(text, message):
    with pytest.raises(InputError, match=message):
        parse_tolerances(text)


@pytest.mark.parametrize("exact", [False, True])
@pytest.mark.parametrize("tolerance", ["err:5%", "err:0.002", "err.mean:1e-9", "err:900%"])
@pytest.mark.parametrize("n", [1, 69, 600])
def test_what_did_not_change_passes_whatever_the_number_of_trials(n, tolerance, exact):
    made = compare(
        measured(err=OLD[:n], what="I", exact=exact),
        measured(err=OLD[: n if exact else 600], what="I", exact=exact),
        parse_tolerances(tolerance),
    )
    (one,) = made.metrics
    assert (made.outcome, one.is_unchanged, made.is_unchanged, one.rule) == ("PASS", True, True, "")
    assert (one.low, one.difference, one.high, one.change) == (0.0, 0.0, 0.0, "unchanged")
    assert str(made).startswith(f"err unchanged, fault-free 0.1, under faults {one.new_mean:.6g}: PASS; ")


def test_what_did_not_change_needs_no_tolerance_and_none_that_makes_sense():
    made = compare(measured(err=OLD, what="I"), measured(err=OLD, what="I"))
    assert (made.outcome, made.is_unchanged) == ("", True)
    zero = measured(err=np.zeros(3), what="I")
    (one,) = compare(zero, zero, parse_tolerances("err:5%")).metrics
    assert (one.outcome, one.tolerance, one.tolerance_text) == ("PASS", None, "5 %")


def test_infinite_values_that_did_not_change_pass():
    values = ([math.inf, 1.0, math.inf], None, "lower")
    made = compare(measured(err=values, what="I"), measured(err=values, what="I"), parse_tolerances("err:0.1"))
    assert (made.outcome, made.metrics[0].difference, made.is_unchanged) == ("PASS", 0.0, True)


@pytest.mark.parametrize(
    ("new", "old"),
    [
        ({"what": "I"}, {"what": "J"}),
        ({"what": ""}, {"what": ""}),
        ({"what": "I"}, {"what": ""}),
        ({"what": "I", "seed": 2}, {"what": "I"}),
        ({"what": "I", "draws": 1}, {"what": "I"}),
        ({"what": "I", "layout": "M"}, {"what": "I"}),
    ],
    ids=str,
)
def test_equal_values_alone_are_judged_by_statistics(new, old):
    made = compare(measured(err=OLD[:5], **new), measured(err=OLD[:5], **old), parse_tolerances("err:0.01"))
    assert (made.outcome, made.is_unchanged) == ("INCONCLUSIVE", False)
    assert "unchanged" not in str(made)


@pytest.mark.parametrize("exact", [False, True])
def test_other_values_under_one_identity_are_never_unchanged_and_it_says_so(exact):
    other = OLD.copy()
    other[[3, 7]] += 1e-12
    new, old = (measured(err=values, what="I", exact=exact) for values in (other, OLD))
    for tolerances in ((), parse_tolerances("err:0.05")):
        (one,) = compare(new, old, tolerances).metrics
        assert (one.is_unchanged, one.outcome) == (False, "PASS" if tolerances else "")
        assert one.notice.startswith("network, data and metric have the baseline's identity, yet 2 of 600 trials came")
    (one,) = compare(measured(err=OLD, what="I", golden=0.2), measured(err=OLD, what="I")).metrics
    assert not one.is_unchanged
    assert "yet the fault-free value came out otherwise" in one.notice


def test_one_metric_may_be_unchanged_and_another_not():
    old = replace(measured(err=OLD, other=OLD), metrics={})
    unchanged, changed = measured(err=OLD, what="I").metrics["err"], measured(err=OLD + 0.2).metrics["err"]
    before = measured(err=OLD).metrics["err"]
    new = replace(old, metrics={"err": unchanged, "other": changed})
    old = replace(old, metrics={"err": unchanged, "other": before})
    made = compare(new, old, parse_tolerances("err:0.01,other:0.01"))
    assert [(one.outcome, one.is_unchanged) for one in made.metrics] == [("PASS", True), ("FAIL", False)]
    assert (made.outcome, made.is_unchanged) == ("FAIL", False)


def drawn(n, n_worse, worsening=0.2, n_better=0):
    """New values and old ones: so many of them worse, and better, all others by next to nothing."""
    old = walk(n, 0.5)
    new = old + 0.004
    new[:n_worse] += worsening
    new[n - n_better :] -= worsening
    return new, old


@pytest.mark.parametrize("better", ["lower", "higher"])
@pytest.mark.parametrize(
    ("n", "n_worse", "outcome"), [(68, 0, "INCONCLUSIVE"), (69, 0, "PASS"), (69, 3, "INCONCLUSIVE"), (69, 20, "FAIL")]
)
def test_the_share_of_worse_draws_decides_as_a_verdict_does(n, n_worse, outcome, better):
    new, old = drawn(n, n_worse)
    if better == "higher":
        new, old = 1 - new, 1 - old
    made = compare(*(measured(err=(one, (0, 1), better)) for one in (new, old)), parse_tolerances("err:0.01"))
    (one,) = made.metrics
    decision = share_decision(n_worse, n, 0.05)
    assert outcome == {"below": "PASS", "above": "FAIL", None: "INCONCLUSIVE"}[decision]
    assert (made.outcome, one.outcome, one.rule, one.tolerance) == (outcome, outcome, "draws", 0.01)
    assert one.pairs == PairCounts(
        n, n_worse, 0, anytime_lower_bound(n_worse, n), anytime_upper_bound(n_worse, n), 0.05
    )
    more = trials_to_decide(n_worse, n, 0.05) if outcome == "INCONCLUSIVE" else None
    assert one.more_trials == (None if more is None or more > HOPELESS * n else more)
    assert ("the share lies at the one allowed, more trials will not decide" in str(one)) is (n_worse == 3)


def test_the_budgets_own_rate_and_confidence_are_asked():
    new, old = (measured(err=values) for values in drawn(69, 0))
    tolerance = parse_tolerances("err:0.01")
    assert compare(new, old, tolerance, 0.95, 0.05).outcome == "PASS"
    assert compare(new, old, tolerance, 0.99, 0.05).outcome == "INCONCLUSIVE"
    assert compare(new, old, tolerance, 0.95, 0.01).outcome == "INCONCLUSIVE"
    with pytest.raises(InputError, match="max_failure_rate is 1, a share of draws; allowed are 0 up to, not"):
        compare(new, old, tolerance, 0.95, 1)
    with pytest.raises(InputError, match=r"confidence 0\.4 is not in \[0\.5, 1\)"):
        compare(new, old, tolerance, 0.4)


def test_a_difference_of_exactly_the_tolerance_is_not_worse_whatever_rounding_makes_of_it():
    old = np.arange(100, 400)[:200] / 500
    for n in (1, 2, 3, 5, 7):
        new, tolerance = old - n / 500, (Tolerance("acc", n / 500, False),)
        pair = (measured(acc=(one, (0, 1), "higher")) for one in (new, old))
        assert compare(*pair, tolerance).metrics[0].pairs.worse == 0
        pair = (measured(acc=(one, (0, 1), "higher")) for one in (new - 1 / 500, old))
        assert compare(*pair, tolerance).metrics[0].pairs.worse == 200


def test_infinite_values_are_counted():
    new = (np.array([math.inf] * 30 + [1.0] * 39), None, "lower")
    old = (np.array([math.inf] * 30 + [1.0] * 39), None, "lower")
    assert compare(measured(err=new), measured(err=old), parse_tolerances("err:0.1")).outcome == "PASS"
    worse = (np.array([math.inf] * 69), None, "lower")
    (one,) = compare(measured(err=worse), measured(err=old), parse_tolerances("err:0.1")).metrics
    assert (one.outcome, one.pairs.worse, one.pairs.better) == ("FAIL", 39, 0)
    (one,) = compare(measured(err=old), measured(err=worse), parse_tolerances("err:0.1")).metrics
    assert (one.outcome, one.pairs.worse, one.pairs.better) == ("PASS", 0, 39)


def test_several_tolerances_on_draws_share_the_risk_of_a_wrong_fail_and_pass_together():
    new, old = drawn(120, 15)
    pair = measured(err=new, other=old), measured(err=old, other=old)
    alone, both = parse_tolerances("err:0.01"), parse_tolerances("err:0.01,other:0.01")
    assert share_decision(15, 120, 0.05, 0.95) == "above"
    assert share_decision(15, 120, 0.05, 0.975) is None
    assert compare(*pair, alone).outcome == "FAIL"
    assert [one.outcome for one in compare(*pair, both).metrics] == ["INCONCLUSIVE", "PASS"]
    mixed = compare(*pair, parse_tolerances("err:0.01,other.mean:0.2"))
    assert [(one.outcome, one.rule) for one in mixed.metrics] == [("INCONCLUSIVE", "draws"), ("PASS", "mean")]


@pytest.mark.parametrize(
    ("change", "reason"),
    [({"layout": "M"}, "layout changed"), ({"seed": 2}, "another seed"), ({"draws": 1}, "other faults drawn")],
)
def test_without_pairs_the_rule_on_means_stands_in_and_says_why(change, reason):
    new, old = measured(err=OLD[:400], **change), measured(err=OLD)
    by_draws, by_mean = (compare(new, old, parse_tolerances(text)) for text in ("err:0.2", "err.mean:0.2"))
    assert by_mean.outcome == by_draws.outcome == "PASS"
    assert (by_draws.metrics[0].rule, by_draws.metrics[0].rule_reason) == ("mean", reason)
    assert (by_mean.metrics[0].rule_reason, by_draws.metrics[0].pairs) == ("", None)
    assert f"at most 0.2 worse in the mean, for want of pairs: {reason}: PASS" in str(by_draws)


def test_of_exact_campaigns_the_share_is_known():
    new, old = drawn(600, 30)
    pair = measured(err=new, exact=True), measured(err=old, exact=True)
    made = compare(*pair, parse_tolerances("err:0.01"))
    (one,) = made.metrics
    assert (made.outcome, made.pairing, one.rule) == ("PASS", "exact", "draws")
    assert one.pairs == PairCounts(600, 30, 0, 0.05, 0.05, 0.05)
    assert compare(*pair, parse_tolerances("err:0.01"), max_failure_rate=0.049).outcome == "FAIL"
    assert compare(*pair, parse_tolerances("err:0.3"), max_failure_rate=0).outcome == "PASS"


def test_of_exact_campaigns_whose_file_leaves_trials_out_the_share_decides_where_it_can():
    new, old = drawn(600, 60)
    pair = measured(err=new, exact=True), measured(err=old, exact=True)
    assert compare(pair[0], pair[1].first(590), parse_tolerances("err:0.01")).metrics[0].rule == "draws"
    (one,) = compare(pair[0], pair[1].first(590), parse_tolerances("err:0.01"), max_failure_rate=0.11).metrics
    assert (one.rule, one.rule_reason) == ("mean", "only 590 of 600 trials are in the baseline")
    (one,) = compare(pair[0], pair[1].first(0), parse_tolerances("err:0.5")).metrics
    assert (one.outcome, one.rule) == ("PASS", "mean")
    assert one.rule_reason == "the baseline keeps no trials one by one; write it again"


@pytest.mark.parametrize("what", ["", "I"])
def test_exact_campaigns_of_constants_need_not_be_equally_long(what):
    # No fault gets through: every trial is golden, however many a budget asks for.
    for value in np.random.default_rng(1).uniform(0.1, 1, 40):
        new, old = (measured(err=np.full(n, value), exact=True, what=what) for n in (1, 69))
        made = compare(new, old, parse_tolerances("err:0.001"), max_failure_rate=0)
        (one,) = made.metrics
        assert (made.outcome, one.is_unchanged, one.rule) == ("PASS", bool(what), "" if what else "draws")
        worse = measured(err=np.full(3, value + 0.01), exact=True, what="J")
        assert compare(worse, old, parse_tolerances("err:0.001")).outcome == "FAIL"


@pytest.mark.parametrize("better", ["lower", "higher"])
@pytest.mark.parametrize(
    ("golden", "faulty", "tolerance", "said"),
    [
        (0.06, 0.1, "err:0.05", "worse by more than the tolerance without faults already"),
        (0.06, 0.0, "err:0.05", "worse by more than the tolerance without faults already"),
        (0.049, 0.052, "err.mean:0.05", "worse by about as much without faults already"),
        (0.0, 0.1, "err:0.05", "worse only under faults"),
        (-0.1, 0.1, "err:0.05", "worse only under faults"),
        (0.009, 0.1, "err:0.05", "worse almost only under faults"),
        (0.02, 0.1, "err:0.05", ""),  # something of both
        (0.002, 0.0, "err:0.05", ""),  # in many draws, not in the mean
        (math.nan, 0.1, "err:0.05", ""),
        (None, 0.1, "err:0.05", ""),
    ],
)
def test_a_loss_says_whether_it_is_there_without_faults(golden, faulty, tolerance, said, better):
    sign = 1 if better == "lower" else -1
    pair = [measured(err=(OLD + value, (0, 1), better), golden=0.3) for value in (0.2 + sign * 0.2, 0.2)]
    (one,) = compare(*pair, parse_tolerances(tolerance)).metrics
    assert one.outcome == "FAIL"
    now = None if golden is None else 0.3 + sign * golden
    assert replace(one, golden_now=now, difference=sign * faulty).where_worse == said
    assert replace(one, golden_now=now, difference=sign * faulty, outcome="PASS").where_worse == ""


def test_golden_and_faulty_changes_stand_side_by_side_in_the_unit_of_the_tolerance():
    old, new = np.full(69, 0.897), np.full(69, 0.886)
    pair = (measured(acc=(values, (0, 1), "higher"), golden=golden) for values, golden in ((new, 0.928), (old, 0.948)))
    made = compare(*pair, parse_tolerances("acc:0.01"))
    assert str(made.metrics[0]) == (
        "acc fault-free 0.948 -> 0.928 (-0.020), under faults 0.897 -> 0.886 (-0.011); worse by more than 0.01 in 69 "
        "of 69 pairs, at least 94 % of draws (5 % allowed): FAIL"
    )
    pair = (
        measured(emd=(np.full(69, mean), (0, 9), "lower"), golden=golden) for mean, golden in ((2.1, 1.5), (2.0, 1.4))
    )
    made = compare(*pair, parse_tolerances("emd:10%"))
    assert str(made.metrics[0]) == (
        "emd fault-free 1.4 -> 1.5 (+5.0 %), under faults 2 -> 2.1 (+5.0 %); worse by more than 10 % in 0 of 69 pairs, "
        "at most 4.9 % of draws (5 % allowed): PASS"
    )


@pytest.mark.parametrize(
    ("tolerance", "n_better", "can"),
    [
        ("err:0.01", 69, True),
        ("err:0.01", 48, True),
        ("err:0.01", 40, False),
        ("err:0.3", 69, False),
        ("err.mean:0.01", 69, True),
        ("err.mean:0.19", 69, False),
    ],
)
def test_an_improvement_past_the_tolerance_in_most_draws_could_tighten_the_baseline(tolerance, n_better, can):
    new, old = drawn(69, 0, n_better=n_better)
    if "mean" in tolerance:
        new, old = np.resize(new, 690), np.resize(old, 690)
    made = compare(measured(err=new), measured(err=old), parse_tolerances(tolerance))
    assert (made.metrics[0].can_tighten, made.tightening) == (can, ("err",) if can else ())
    if tolerance == "err:0.01":
        assert can is (share_decision(n_better, 69, 0.5) == "above")


def test_nothing_is_tightened_that_did_not_pass_or_change():
    new, old = drawn(69, 20, n_better=49)
    made = compare(measured(err=new), measured(err=old), parse_tolerances("err:0.01"))
    assert (made.outcome, made.tightening) == ("FAIL", ())
    same = measured(err=OLD, what="I")
    assert compare(same, same, parse_tolerances("err:0.01")).tightening == ()
    assert compare(measured(err=new), measured(err=old)).tightening == ()


def test_without_a_tolerance_pairs_are_counted():
    new, old = drawn(69, 0, n_better=10)
    made = compare(measured(err=new), measured(err=old))
    assert made.metrics[0].pairs == PairCounts(
        69, 59, 10, anytime_lower_bound(59, 69), anytime_upper_bound(59, 69), 0.05
    )
    assert str(made).endswith("worse in 59, better in 10 of 69 pairs; paired on 69 identical fault sets")


@pytest.mark.parametrize(
    "values",
    [OLD, np.full(50, 0.25), np.array([0.25] * 49 + [math.nextafter(0.25, 1)]), np.array([0.0] * 49 + [1.0])],
    ids=["walk", "equal", "one ulp", "two values"],
)
def test_the_histogram_holds_every_trial_compared(values):
    now = np.clip(values + 0.25, 0, 1)
    (metric,) = compare(measured(err=now), measured(err=values)).metrics
    found = metric.histogram
    assert sum(found.before) == sum(found.now) == values.size
    for counts, part in ((found.before, values), (found.now, now)):
        inside = [((part >= low) & (part < high)).sum() for low, high in pairwise(found.edges)]
        inside[-1] += (part == found.edges[-1]).sum()
        assert list(counts) == inside


def test_the_histogram_leaves_out_what_is_infinite():
    old, new = np.arange(20.0), np.where(np.arange(20) < 5, np.inf, np.arange(20.0))
    (metric,) = compare(measured(err=(new, None, "lower")), measured(err=(old, None, "lower"))).metrics
    assert (sum(metric.histogram.before), sum(metric.histogram.now)) == (20, 15)


@pytest.mark.parametrize("n", [1, 9])
def test_few_trials_have_no_histogram(n):
    (metric,) = compare(measured(err=walk(n)), measured(err=walk(n, key=1))).metrics
    assert metric.histogram is None


def test_what_did_not_change_has_no_histogram():
    (metric,) = compare(measured(err=OLD, what="same"), measured(err=OLD, what="same")).metrics
    assert metric.is_unchanged
    assert metric.histogram is None


@pytest.mark.parametrize(
    ("edges", "before", "now"),
    [((), (), ()), ((1, 2), (1,), ()), ((1, 2), (1, 2), (1, 2)), ((2, 1), (1,), (1,)), ((1, 1), (1,), (1,))],
)
def test_a_histogram_that_cannot_be_drawn_is_refused(edges, before, now):
    with pytest.raises(InputError, match="a histogram"):
        Histogram(edges, before, now)
