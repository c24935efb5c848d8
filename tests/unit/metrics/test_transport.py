"""The EMD metric: known answers, undefined outputs, refused inputs, and where cells and rows come from."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from fkeras.errors import InputError
from fkeras.metrics import emd

LINE = np.array([[0.0, 0.0], [1.0, 0.0], [3.0, 0.0]])


def test_known_answers_on_a_line() -> None:
    targets = np.array([[1, 0, 0], [1, 0, 1], [2, 1, 1], [0, 0, 5]])
    outputs = np.array([[0, 0, 1], [0, 1, 0], [1, 1, 2], [0, 0, 0.1]], dtype=np.float32)
    scores = emd(LINE).bind(targets, outputs).golden
    np.testing.assert_allclose(scores.values, [3.0, 1.5, 0.75, 0.0], atol=1e-15)
    assert not scores.undefined.any()


def test_known_answer_in_three_dimensions() -> None:
    assert emd([[0, 0, 0], [2, 3, 6]]).bind([[1, 0]], [[1.0, 3.0]]).golden.values.tolist() == [5.25]


@pytest.mark.parametrize("bad", [[np.nan, 1, 1], [np.inf, 1, 1], [-np.inf, 1, 1], [0, 0, 0], [-1e-30, 1, 1]], ids=str)
def test_an_output_without_a_distribution_scores_the_largest_distance(bad: list[float]) -> None:
    targets, outputs = np.array([[1, 0, 0], [1, 1, 0]]), np.array([[1.0, 0, 0], [1, 1, 0]])
    scorer = emd(LINE).bind(targets, outputs)
    scores = scorer.score(np.array([[1.0, 0, 0], bad]), slice(None))
    assert scores.values.tolist() == [0.0, 3.0]
    assert scores.undefined.tolist() == [False, True]


def test_a_golden_output_without_a_distribution_is_counted_and_later_outputs_are_scored() -> None:
    scorer = emd(LINE).bind([[1, 1, 0]], [[np.nan, 1.0, 1.0]])
    assert scorer.golden.values.tolist() == [3.0]
    assert scorer.golden.undefined.tolist() == [True]
    assert scorer.potentials(slice(None)).tolist() == [[0.0, 0.0, 0.0]]
    assert scorer.score(np.array([[0.0, 1.0, 1.0]]), slice(None)).values.tolist() == [1.5]


def test_masses_near_the_limits_of_floats_are_distributions() -> None:
    targets = np.array([[1e308, 1e308, 0], [5e-324, 5e-324, 0]])
    outputs = np.array([[0, 1e308, 1e308], [0, 5e-324, 5e-324]])
    np.testing.assert_allclose(emd(LINE).bind(targets, outputs).golden.values, [1.5, 1.5], atol=1e-12)


def test_a_mass_of_1e_300_counts() -> None:
    scores = emd(LINE).bind([[1, 0, 0]], [[1.0, 0.0, 1e-300]]).golden
    np.testing.assert_allclose(scores.values, [3e-300], rtol=1e-12)


def test_cells_pick_elements_of_the_flattened_output_and_of_targets_shaped_like_it() -> None:
    metric = emd(LINE, cells=[5, 0, 3])
    outputs = np.zeros((1, 2, 3, 1), dtype=np.float32)
    outputs.reshape(-1)[[5, 0, 3]] = [0.0, 1.0, 1.0]
    outputs.reshape(-1)[[1, 2]] = -7.0
    shaped = np.zeros((1, 2, 3, 1))
    shaped.reshape(-1)[[5, 0]] = 1.0
    for targets in (shaped, np.array([[1.0, 1.0, 0.0]])):
        scorer = metric.bind(targets, outputs)
        np.testing.assert_allclose(scorer.golden.values, [1.5], atol=1e-15)
        assert scorer.target_mass.tolist() == [[0.5, 0.5, 0.0]]
        assert scorer.cells.tolist() == [5, 0, 3]


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.int64, np.uint8])
def test_outputs_of_any_number_type_are_scored(dtype: type) -> None:
    outputs = np.array([[1, 0, 3]], dtype=dtype)
    np.testing.assert_allclose(emd(LINE).bind([[1, 0, 0]], outputs).golden.values, [2.25], atol=1e-15)


def test_metric_description() -> None:
    metric = emd(LINE, name="shower")
    assert (metric.name, metric.better, metric.bounds, metric.surrogate) == ("shower", "lower", (0.0, 3.0), "emd_cells")
    assert not metric.per_sample_sensitivity


def test_identity_is_the_geometry() -> None:
    identities = [emd(LINE), emd(LINE * 2), emd(LINE, cells=[0, 1, 2]), emd(LINE, cells=[2, 1, 0])]
    assert len({metric.identity for metric in identities}) == 4
    assert emd(LINE, threads=1).identity == emd(LINE.tolist()).identity


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"coordinates": [0.0, 1.0]}, r"emd coordinates are float64 of shape \(2,\)"),
        ({"coordinates": np.zeros((3, 4))}, r"of shape \(3, 4\)"),
        ({"coordinates": [[0.0, 0.0], [np.nan, 0.0]]}, r"not finite for cell 1"),
        ({"coordinates": np.ones((3, 2))}, r"3 cells lie in one place"),
        ({"coordinates": np.ones((0, 2))}, r"0 cells"),
        ({"coordinates": LINE, "cells": [0, 1]}, r"one output index per cell, integers of shape \(3,\)"),
        ({"coordinates": LINE, "cells": [0.0, 1.0, 2.0]}, r"emd cells are float64"),
        ({"coordinates": LINE, "cells": [0, 1, 1]}, r"different output indices"),
        ({"coordinates": LINE, "cells": [0, 1, -1]}, r"0 or more"),
        ({"coordinates": LINE, "name": "my emd"}, r"'my emd' is no Python identifier"),
        ({"coordinates": LINE, "threads": 0}, r"threads=0"),
    ],
)
def test_descriptions_that_make_no_sense_are_refused(arguments: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        emd(**arguments)


@pytest.mark.parametrize(
    ("targets", "outputs", "message"),
    [
        ([[1, 0, 0], [1, -1, 3]], np.ones((2, 3)), r"a negative charge in row 1"),
        ([[0, 0, 0], [1, 1, 3]], np.ones((2, 3)), r"no charge at all in row 0"),
        ([[1, 0, np.nan], [1, 1, np.inf]], np.ones((2, 3)), r"non-finite charges in row 0, 1"),
        ([[1, 0, 0]], np.ones((2, 3)), r"1 targets for 2 outputs"),
        ([[1, 0], [0, 1]], np.ones((2, 3)), r"targets have shape \(2, 2\); the EMD needs \(2, 3\) charges"),
        ([[1, 0, 0]], np.ones((1, 4)), r"outputs have 4 elements per sample but there are 3 cells.*cells="),
        (np.zeros((0, 3)), np.zeros((0, 3)), r"outputs are empty"),
        ([[1, 0, 0]], (np.ones((1, 3)),), r"tuple of 1 arrays"),
    ],
)
def test_targets_and_outputs_that_do_not_fit_are_refused(targets: object, outputs: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        emd(LINE).bind(targets, outputs)


def test_cells_outside_the_output_are_refused() -> None:
    with pytest.raises(InputError, match=r"cells= names output element 9, but outputs have 4 elements"):
        emd(LINE, cells=[0, 1, 9]).bind([[1, 0, 0]], np.ones((1, 2, 2)))


@pytest.mark.parametrize(
    ("outputs", "rows", "message"),
    [
        (np.ones((2, 3)), slice(0, 1), r"2 outputs for 1 rows"),
        (np.ones((1, 4)), slice(0, 1), r"samples of shape \(4,\), the golden outputs had \(3,\)"),
        (np.ones((1, 3)), np.array([2]), r"rows reach from 2 to 2"),
    ],
)
def test_scoring_refuses_other_rows_and_shapes(outputs: np.ndarray, rows: object, message: str) -> None:
    scorer = emd(LINE).bind([[1, 0, 0], [0, 1, 0]], np.ones((2, 3)))
    with pytest.raises(InputError, match=message):
        scorer.score(outputs, rows)


def test_no_rows_give_no_scores() -> None:
    scorer = emd(LINE).bind([[1, 0, 0]], np.ones((1, 3)))
    assert scorer.score(np.ones((0, 3)), np.array([], dtype=np.intp)).values.shape == (0,)


def test_importing_the_metrics_compiles_nothing() -> None:
    code = (
        "import sys, fkeras.metrics as m; m.emd([[0, 0], [1, 1]]); "
        "print([name for name in ('numba', 'scipy', 'tensorflow') if name in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"
