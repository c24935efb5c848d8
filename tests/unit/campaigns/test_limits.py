"""Limits print so that different limits look different."""

from __future__ import annotations

import numpy as np
import pytest

from fkeras.campaigns import Limit, parse_limit
from fkeras.campaigns.limits import GoldenLimit, trial_limits
from fkeras.errors import InputError


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1.25, "max_emd=1.25"),
        (2, "max_emd=2"),
        (np.nextafter(1.25, 2), "max_emd=1.2500000000000002"),
        (np.float64(0.1), "max_emd=0.1"),
        (1e-9, "max_emd=1e-09"),
        (1e6, "max_emd=1000000"),
        (-0.5, "max_emd=-0.5"),
    ],
)
def test_limits_print_the_shortest_text_that_reads_back_exactly(value, text):
    assert str(Limit("emd", "max", value)) == text
    assert parse_limit(text.split("=")[0], float(text.split("=")[1])) == Limit("emd", "max", float(value))


def better(keyword):
    return "higher" if "accuracy" in keyword else "lower"


@pytest.mark.parametrize(
    ("keyword", "value", "message"),
    [
        ("max_accuracy_drop", 2, r"can never be broken: .* written as 0.02, not 2"),
        ("max_accuracy_drop", 0.74, "can never be broken: accuracy lies between 0 and 1, and the golden value is 0.74"),
        ("max_error_increase", 0.26, "can never be broken"),
        ("max_error", 1, "can never be broken"),
        ("max_error", -0.1, "is broken by every possible value"),
        ("min_accuracy", 0, "can never be broken"),
        ("min_accuracy", 73, "is broken by every possible value"),
        ("max_accuracy_increase", 0.01, "limits how much better accuracy gets, .* did you mean max_accuracy_drop"),
        ("max_accuracy", 0.9, "of which higher is better; did you mean min_accuracy"),
        ("min_error", 0.1, "of which lower is better; did you mean max_error"),
        ("max_error_drop", 0.1, "did you mean max_error_increase"),
    ],
)
def test_a_limit_that_decides_nothing_is_refused(keyword, value, message):
    with pytest.raises(InputError, match=message):
        parse_limit(keyword, value).require_bite(better(keyword), (0.0, 1.0), 0.74)


@pytest.mark.parametrize(
    ("keyword", "value"),
    [("max_accuracy_drop", 0.73), ("min_accuracy", 1), ("min_accuracy", 1e-9), ("max_error", 0)],
)
def test_a_limit_that_some_value_breaks_is_accepted(keyword, value):
    limit = parse_limit(keyword, value)
    limit.require_bite(better(keyword), (0.0, 1.0), 0.74)
    assert set(limit.broken_by(np.array([0.0, 1.0]), 0.74)) == {True, False}


def test_a_metric_without_bounds_takes_any_limit():
    parse_limit("max_error", 1e300).require_bite("lower", None, 0.0)


@pytest.mark.parametrize("metric", ["emd", "loss_drop", "gain_increase", "max_x"])
@pytest.mark.parametrize("kind", ["max", "min", "increase", "drop"])
@pytest.mark.parametrize("value", [0.02, -1.5, 1e-9, 3.0])
def test_a_limit_is_read_from_its_text_whatever_the_metric_is_called(metric, kind, value):
    limit = Limit(metric, kind, value)
    assert Limit.parse(str(limit), metric) == limit
    bound = limit.bound(golden=0.5)
    sign = 1 if limit.sign == "<=" else -1
    assert not limit.broken_by(np.array([bound - sign * 1e-6]), 0.5).any()
    assert limit.broken_by(np.array([bound + sign * 1e-6]), 0.5).all()


@pytest.mark.parametrize("text", ["", "emd<=2", "max_emd=", "max_emd=much", "max_emd=nan", "max_other=2", "=2"])
def test_a_text_that_is_no_limit_on_the_metric_is_refused(text):
    with pytest.raises(InputError, match="is no limit on 'emd', such as max_emd="):
        Limit.parse(text, "emd")


@pytest.mark.parametrize(
    ("keyword", "metrics", "expected"),
    [
        ("max_golden_mse", {"mse"}, GoldenLimit("mse", "max", 1.0)),
        ("max_golden_mse", {"mse", "golden_mse"}, Limit("golden_mse", "max", 1.0)),
        ("max_golden_mse_drop", {"mse", "golden_mse"}, Limit("golden_mse", "drop", 1.0)),
        ("max_golden_mse_drop", {"mse", "mse_drop"}, GoldenLimit("mse_drop", "max", 1.0)),
        ("min_worst_recall", {"worst_recall"}, Limit("worst_recall", "min", 1.0)),
        ("max_quantile", {"quantile"}, Limit("quantile", "max", 1.0)),
        ("max_mse_drop", {"mse", "mse_drop"}, Limit("mse_drop", "max", 1.0)),
    ],
)
def test_the_longest_name_of_a_metric_wins(keyword, metrics, expected):
    limit = parse_limit(keyword, 1.0, metrics)
    assert limit == expected
    assert type(limit) is type(expected)
    assert limit.keyword == keyword


def test_a_limit_on_the_fault_free_value_counts_no_trials():
    with pytest.raises(InputError, match=r"min_golden_a=0[.]5 says what a must be without faults"):
        trial_limits({"min_golden_a": 0.5}, {"a"})
    with pytest.raises(InputError, match=r"99 % quantile of at most 1.25"):
        trial_limits({"max_worst_a": 0.5}, {"a"})
