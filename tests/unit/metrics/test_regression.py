"""Mean squared error: known answers, undefined outputs, refused targets."""

from __future__ import annotations

import numpy as np
import pytest

from fkeras.errors import InputError
from fkeras.metrics import mean_squared_error

TARGETS = np.array([[1.0, 2.0], [0.0, 0.0], [3.0, -1.0]])
OUTPUTS = np.array([[1.0, 4.0], [0.5, 0.5], [3.0, -1.0]], dtype=np.float32)


def test_known_answers_are_means_over_each_sample() -> None:
    scorer = mean_squared_error().bind(TARGETS, OUTPUTS)
    assert scorer.golden.values.tolist() == [2.0, 0.25, 0.0]
    images = mean_squared_error().bind(TARGETS.reshape(3, 1, 2), OUTPUTS.reshape(3, 1, 2))
    assert images.golden.values.tolist() == [2.0, 0.25, 0.0]


def test_the_arithmetic_is_float64() -> None:
    outputs = np.array([2.0**13 + 1], dtype=np.float32)
    assert mean_squared_error().bind(np.zeros(1), outputs).golden.values.tolist() == [(2.0**13 + 1) ** 2]


def test_unsigned_integers_do_not_wrap() -> None:
    scorer = mean_squared_error().bind(np.array([[5]], dtype=np.uint8), np.array([[3]], dtype=np.uint8))
    assert scorer.golden.values.tolist() == [4.0]


@pytest.mark.parametrize("bad", [np.nan, np.inf, 1e200])
def test_undefined_outputs_score_infinity_and_are_counted(bad: float) -> None:
    outputs = OUTPUTS.astype(np.float64)
    outputs[1, 0] = bad
    scores = mean_squared_error().bind(TARGETS, OUTPUTS).score(outputs, slice(None))
    assert scores.values.tolist() == [2.0, np.inf, 0.0]
    assert scores.undefined.tolist() == [False, True, False]


@pytest.mark.parametrize(
    ("targets", "message"),
    [
        (TARGETS[:, 0], r"targets have shape \(3,\), outputs \(3, 2\)"),
        (TARGETS[:2], r"targets have shape \(2, 2\)"),
        (np.where(TARGETS == 3.0, np.nan, TARGETS), r"targets are not finite in row 2"),
        (TARGETS[:0], r"targets are empty"),
        (
            [[1.0, 2.0], [3.0], [4.0, 5.0]],
            r"targets are no array: their samples have different shapes; give all the same",
        ),
    ],
)
def test_targets_that_do_not_fit_are_refused(targets: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        mean_squared_error().bind(targets, OUTPUTS)


def test_the_metric_is_unbounded_and_worst_is_infinite() -> None:
    assert mean_squared_error().bounds is None
    assert mean_squared_error().worst == np.inf
