"""Metrics from users' functions, metrics of one output, and metrics by name."""

from __future__ import annotations

import numpy as np
import pytest

from fkeras.errors import InputError
from fkeras.metrics import (
    accuracy,
    dataset_metric,
    dataset_value,
    emd,
    mean_squared_error,
    mispredictions,
    on_output,
    resolve,
    sample_metric,
)

OUTPUTS = np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
TARGETS = np.array([1.0, 0.0, 5.0])


def first_off(targets: np.ndarray, outputs: np.ndarray) -> np.ndarray:
    return np.abs(outputs[:, 0] - targets)


def test_a_function_scores_each_sample() -> None:
    scorer = sample_metric(first_off, "first_off", "lower").bind(TARGETS, OUTPUTS)
    assert scorer.golden.values.tolist() == [0.0, 3.0, 0.0]
    assert scorer.score(OUTPUTS[2:] + 1, slice(2, 3)).values.tolist() == [1.0]


def test_the_function_never_sees_a_non_finite_sample() -> None:
    seen: list[np.ndarray] = []

    def watching(targets: np.ndarray, outputs: np.ndarray) -> np.ndarray:
        seen.append(outputs)
        return first_off(targets, outputs)

    scorer = sample_metric(watching, "watching", "lower", bounds=(0.0, 10.0)).bind(TARGETS, OUTPUTS)
    faulty = OUTPUTS.copy()
    faulty[1, 1] = np.nan
    scores = scorer.score(faulty, slice(None))
    assert scores.values.tolist() == [0.0, 10.0, 0.0]
    assert scores.undefined.tolist() == [False, True, False]
    assert seen[-1].tolist() == [[1.0, 2.0], [5.0, 6.0]]


@pytest.mark.parametrize(("better", "worst"), [("lower", np.inf), ("higher", -np.inf)])
def test_a_nan_from_the_function_is_undefined_and_worst(better: str, worst: float) -> None:
    metric = sample_metric(lambda t, o: np.where(t == 0, np.nan, 1.0), "ratio", better)
    golden = metric.bind(TARGETS, OUTPUTS).golden
    assert golden.values.tolist() == [1.0, worst, 1.0]
    assert golden.undefined.tolist() == [False, True, False]


def test_tuples_of_targets_and_outputs_reach_the_function() -> None:
    metric = sample_metric(lambda t, o: o[0][:, 0] + o[1] + t[1], "sums", "lower")
    scorer = metric.bind((TARGETS, TARGETS), (OUTPUTS, TARGETS))
    assert scorer.golden.values.tolist() == [3.0, 3.0, 15.0]
    faulty = TARGETS.copy()
    faulty[0] = np.inf
    assert scorer.score((OUTPUTS, faulty), slice(None)).undefined.tolist() == [True, False, False]


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda t, o: np.float64(1.0), r"'mine' returned float64 of shape \(\) for 3 samples"),
        (lambda t, o: o, r"'mine' returned float64 of shape \(3, 2\)"),
        (lambda t, o: np.array(["a", "b", "c"]), r"'mine' returned <U1"),
        (lambda t, o: o[:, 0], r"'mine' gave 3\.0, outside its bounds \[0\.0, 2\.0\]"),
    ],
)
def test_wrong_results_of_a_function_are_refused(function: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        sample_metric(function, "mine", "lower", bounds=(0.0, 2.0)).bind(TARGETS, OUTPUTS)


def test_rounding_noise_at_a_bound_is_removed() -> None:
    golden = sample_metric(lambda t, o: np.full(3, -1e-17), "mine", "lower", bounds=(0.0, 2.0)).bind(TARGETS, OUTPUTS)
    assert golden.golden.values.tolist() == [0.0, 0.0, 0.0]


@pytest.mark.parametrize("make", [sample_metric, dataset_metric])
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("two words", "lower", None), r"'two words' is no Python identifier"),
        (("mine", "smaller", None), r"better='smaller'; allowed are 'lower' and 'higher'"),
        (("mine", "lower", (1.0, 1.0)), r"bounds=\(1\.0, 1\.0\)"),
        (("mine", "lower", (0.0, np.nan)), r"bounds=\(0\.0, nan\)"),
    ],
)
def test_bad_descriptions_are_refused(make: object, arguments: tuple, message: str) -> None:
    with pytest.raises(InputError, match=message):
        make(first_off, *arguments)


def test_only_a_named_identity_is_shared() -> None:
    assert sample_metric(first_off, "m", "lower").identity != sample_metric(first_off, "m", "lower").identity
    one, same, other = (sample_metric(first_off, "m", "lower", identity=text).identity for text in ("1", "1", "2"))
    assert one == same
    assert one != other


def spread(targets: np.ndarray, outputs: np.ndarray) -> float:
    if not np.isfinite(outputs).all():
        raise ValueError("cannot sort NaN")
    return float(outputs.max() - outputs.min())


def test_a_dataset_metric_is_one_number() -> None:
    assert dataset_value(dataset_metric(spread, "spread", "lower"), TARGETS, OUTPUTS) == (5.0, False)


def test_a_dataset_metric_that_fails_on_non_finite_outputs_is_undefined() -> None:
    metric = dataset_metric(spread, "spread", "higher", bounds=(-1.0, 9.0))
    assert dataset_value(metric, TARGETS, OUTPUTS * np.inf) == (-1.0, True)
    nan = dataset_metric(lambda t, o: float("nan"), "nan", "lower")
    assert dataset_value(nan, TARGETS, OUTPUTS) == (np.inf, True)


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda t, o: 1 / 0, r"'mine' failed on finite outputs: ZeroDivisionError"),
        (lambda t, o: o, r"'mine' returned float64 of shape \(3, 2\); a data-set metric returns one number"),
        (lambda t, o: 7.0, r"'mine' gave 7\.0, outside its bounds"),
    ],
)
def test_a_dataset_metric_that_is_wrong_on_finite_outputs_is_an_error(function: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        dataset_value(dataset_metric(function, "mine", "lower", bounds=(0.0, 2.0)), TARGETS, OUTPUTS)


def test_on_output_reads_its_own_output_and_target() -> None:
    labels = np.array([1, 1, 0])
    metric = on_output(1, accuracy())
    for targets in (labels, (TARGETS, labels)):
        scorer = metric.bind(targets, (TARGETS, OUTPUTS))
        assert scorer.golden.values.tolist() == [1.0, 1.0, 0.0]
        assert scorer.score((TARGETS[:1], -OUTPUTS[:1]), slice(0, 1)).values.tolist() == [0.0]
    assert metric.surrogate is None
    assert metric.per_sample_sensitivity
    assert len({accuracy().identity, metric.identity, on_output(0, accuracy()).identity}) == 3
    assert dataset_value(on_output(1, dataset_metric(spread, "s", "lower")), TARGETS, (TARGETS, OUTPUTS)) == (
        5.0,
        False,
    )


@pytest.mark.parametrize(
    ("index", "targets", "outputs", "message"),
    [
        (0, TARGETS, TARGETS, r"model with several outputs, got one array"),
        (2, TARGETS, (TARGETS, TARGETS), r"the model has 2 outputs \(0 \.\.\. 1\)"),
        (1, (TARGETS,), (TARGETS, TARGETS), r"the targets are a tuple of 1"),
    ],
)
def test_on_output_refuses_outputs_that_are_not_there(
    index: int, targets: object, outputs: object, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        on_output(index, mean_squared_error()).bind(targets, outputs)


@pytest.mark.parametrize("index", [-1, 1.0, True, "0"])
def test_on_output_needs_an_output_number(index: object) -> None:
    with pytest.raises(InputError, match="on_output needs an output number"):
        on_output(index, accuracy())


@pytest.mark.parametrize("make", [accuracy, mispredictions, mean_squared_error])
def test_names_stand_for_metrics(make: object) -> None:
    metric = make()
    assert resolve(metric.name).identity == metric.identity
    assert resolve(metric) is metric


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("emd", r"fkeras\.metrics\.emd\(coordinates, cells=None\)"),
        ("auc", r"no metric is called 'auc'; by name there are accuracy, mispredictions, mean_squared_error"),
        (len, r"got builtin_function_or_method; wrap a function with fkeras\.metrics\.sample_metric"),
    ],
)
def test_other_names_get_help(name: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        resolve(name)


def test_an_emd_can_be_one_output() -> None:
    metric = on_output(1, emd([[0.0, 0.0], [2.0, 0.0]]))
    assert metric.bind(np.array([[1, 0]]), (np.zeros((1, 3)), np.array([[0.5, 0.5]]))).golden.values.tolist() == [1.0]


@pytest.mark.parametrize("what", ["targets", "outputs", "returned"])
def test_masks_are_refused_by_metrics(what):
    masked = np.ma.masked_array(np.ones(3), [True, False, False])
    plain = np.ones(3)
    metric = sample_metric(lambda y, z: masked if what == "returned" else z - y, "mine", "lower")
    targets, outputs = masked if what == "targets" else plain, masked if what == "outputs" else plain
    with pytest.raises(InputError, match=rf"{what}: 1 values are masked, and masks are not looked at"):
        metric.bind(targets, outputs)
    whole = dataset_metric(lambda y, z: np.ma.masked if what == "returned" else 1.0, "mine", "lower")
    if what != "targets":
        with pytest.raises(InputError, match=f"{what}: 1 values are masked"):
            dataset_value(whole, targets, outputs)
