"""Accuracy and mispredictions: known answers and refused inputs."""

from __future__ import annotations

import numpy as np
import pytest

from fkeras.errors import InputError
from fkeras.metrics import accuracy, mispredictions

SCORES = np.array([[0.1, 0.7, 0.2], [0.5, 0.5, 0.0], [0.0, 0.2, 0.8], [0.3, 0.3, 0.4]], dtype=np.float32)
"""Predicted classes 1, 0 (first of equals), 2, 2."""


@pytest.mark.parametrize(
    "targets",
    [
        np.array([1, 0, 0, 2]),
        np.array([[1], [0], [0], [2]], dtype=np.uint8),
        np.eye(3)[[1, 0, 0, 2]],
        np.eye(3, dtype=int)[[1, 0, 0, 2]],
    ],
    ids=["integers", "column", "one-hot float", "one-hot int"],
)
def test_each_form_of_targets_gives_the_same_known_answer(targets: np.ndarray) -> None:
    right = accuracy().bind(targets, SCORES).golden
    wrong = mispredictions().bind(targets, SCORES).golden
    assert right.values.tolist() == [1.0, 1.0, 0.0, 1.0]
    assert wrong.values.tolist() == [0.0, 0.0, 1.0, 0.0]
    assert not right.undefined.any()


@pytest.mark.parametrize("shape", [(4,), (4, 1)])
def test_a_single_score_is_binary_with_threshold_one_half(shape: tuple[int, ...]) -> None:
    outputs = np.array([0.5, 0.50001, 0.2, 0.9]).reshape(shape)
    assert accuracy().bind(np.array([0, 1, 1, 1]), outputs).golden.values.tolist() == [1.0, 1.0, 0.0, 1.0]
    assert accuracy().bind(np.array([False, True, True, True]), outputs).golden.values.tolist() == [1.0, 1.0, 0.0, 1.0]


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_sample_with_any_non_finite_score_is_undefined_and_wrong(bad: float) -> None:
    faulty = SCORES.copy()
    faulty[0, 2] = bad
    targets = np.array([1, 0, 2, 2])
    right = accuracy().bind(targets, SCORES).score(faulty, slice(None))
    wrong = mispredictions().bind(targets, SCORES).score(faulty, slice(None))
    assert right.values.tolist() == [0.0, 1.0, 1.0, 1.0]
    assert wrong.values.tolist() == [1.0, 0.0, 0.0, 0.0]
    assert right.undefined.tolist() == wrong.undefined.tolist() == [True, False, False, False]


def test_rows_choose_the_targets_in_their_order() -> None:
    scorer = accuracy().bind(np.array([1, 0, 0, 2]), SCORES)
    assert scorer.score(SCORES[[2, 0]], np.array([2, 0])).values.tolist() == [0.0, 1.0]
    assert scorer.score(SCORES[1:3], slice(1, 3)).values.tolist() == [1.0, 0.0]
    assert scorer.score(SCORES[:0], slice(0, 0)).values.shape == (0,)


def test_directions_bounds_and_sensitivity() -> None:
    assert (accuracy().better, accuracy().worst) == ("higher", 0.0)
    assert (mispredictions().better, mispredictions().worst) == ("lower", 1.0)
    assert accuracy().per_sample_sensitivity
    assert mispredictions().per_sample_sensitivity
    assert accuracy().identity != mispredictions().identity


@pytest.mark.parametrize("shape", [(4,), (4, 1)])
@pytest.mark.parametrize("metric", [accuracy(), mispredictions()])
def test_a_single_score_that_is_no_probability_is_refused_with_the_rule(shape: tuple[int, ...], metric) -> None:
    targets = np.array([0, 1, 0, 1])
    with pytest.raises(
        InputError, match=r"class 1, which wins above 0\.5; .* from -2 to 0\.9\. .*logits.*'sigmoid'.*own with"
    ):
        metric.bind(targets, np.array([-2, 0.9, np.nan, 0.1]).reshape(shape))
    within = metric.bind(targets, np.array([-1e-7, 1 + 1e-7, np.inf, 0.7]).reshape(shape))
    assert within.golden.undefined.tolist() == [False, False, True, False]
    # Faults may push a score anywhere; the rule stays.
    moved = within.score(np.array([-3.0, 9.0, 0.4, 0.6]).reshape(shape), slice(None))
    assert set(moved.values) == {1.0 if metric.name == "accuracy" else 0.0}


@pytest.mark.parametrize(
    ("targets", "outputs", "message"),
    [
        (np.array([1.0, 0, 0, 2]), SCORES, r"class targets are float64.*integer classes are needed"),
        (np.array([1, 0, 3, 2]), SCORES, r"class target 3 in row 2 is out of range.*0 \.\.\. 2"),
        (np.array([1, -1, 0, 2]), SCORES, r"class target -1 in row 1"),
        (np.array([0, 2, 0, 1]), SCORES[:, :1], r"class target 2 in row 1.*0 \.\.\. 1"),
        (np.array([1, 0, 0]), SCORES, r"3 targets for 4 outputs"),
        (np.eye(4), SCORES, r"one-hot targets have 4 classes but the outputs have 3 scores"),
        (np.full((4, 3), 1 / 3), SCORES, r"not one-hot in row 0, 1, 2, 3"),
        (np.ones((4, 3), dtype=int), SCORES, r"not one-hot in row 0"),
        (np.zeros((4, 3, 2), dtype=int), SCORES, r"targets have shape \(4, 3, 2\)"),
        (np.array([], dtype=int), SCORES, r"targets are empty"),
        (np.array([], dtype=int), SCORES[:0], r"outputs are empty"),
        (np.array(["a", "b", "c", "d"]), SCORES, r"targets hold <U1 entries"),
        (np.array([1, 0, 0, 2]), SCORES.reshape(4, 3, 1), r"outputs of shape \(4, 3, 1\) are no class scores"),
        (np.array([1, 0, 0, 2]), (SCORES, SCORES), r"tuple of 2 arrays.*on_output"),
    ],
)
def test_inputs_that_do_not_fit_are_refused(targets: np.ndarray, outputs: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        accuracy().bind(targets, outputs)


@pytest.mark.parametrize(
    ("outputs", "rows", "message"),
    [
        (SCORES[:3], slice(0, 2), r"3 outputs for 2 rows"),
        (SCORES[:, :2], slice(None), r"samples of shape \(2,\), the golden outputs had \(3,\)"),
        (SCORES[:1], np.array([4]), r"rows reach from 4 to 4, but the metric was bound to 4 samples"),
        (SCORES[:1], np.array([-1]), r"rows reach from -1"),
        (SCORES, np.array([True, True, True, True]), r"rows must be a slice or a one-dimensional array"),
    ],
)
def test_scoring_refuses_other_rows_and_shapes(outputs: np.ndarray, rows: object, message: str) -> None:
    scorer = accuracy().bind(np.array([1, 0, 0, 2]), SCORES)
    with pytest.raises(InputError, match=message):
        scorer.score(outputs, rows)


def test_scores_are_read_only() -> None:
    golden = accuracy().bind(np.array([1, 0, 0, 2]), SCORES).golden
    assert not golden.values.flags.writeable
    assert not golden.undefined.flags.writeable
