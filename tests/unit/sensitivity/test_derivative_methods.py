"""Gradient, Taylor, Hessian and displacement on a loss whose derivatives are known."""

from __future__ import annotations

import numpy as np
import pytest

from fkeras.memory.space import concatenate_values
from fkeras.sensitivity.displacement import displacement_scores
from fkeras.sensitivity.gradient import gradient_scores, taylor_scores
from fkeras.sensitivity.hessian import eq3, hessian_scores, upstream_hessian_scores
from fkeras.sensitivity.positional import flip_steps, most_significant_first
from fkeras.sensitivity.spectrum import top_eigenpairs


def test_gradient_ranks_by_its_magnitude(evidence, space):
    assert np.array_equal(gradient_scores(evidence), most_significant_first(space, [0.1, 4.0, 0.0, 2.0, 1.0]))


def test_taylor_ranks_by_slope_times_value(evidence, space):
    theta = [0.375, -1.0, 0.0, -0.5, 0.5]
    products = [abs(g * w) for g, w in zip([0.1, -4.0, 0.0, 2.0, -1.0], theta, strict=True)]
    assert np.array_equal(taylor_scores(evidence), most_significant_first(space, products))


def test_eq3_with_all_eigenpairs_is_the_hessian_times_theta(quadratic, space):
    theta = concatenate_values(space.tensors).astype(np.float64)
    assert np.allclose(eq3(top_eigenpairs(quadratic, 5), theta), quadratic.curvature @ theta, atol=1e-12)


def test_hessian_ranks_by_eq3(evidence, quadratic, space):
    theta = concatenate_values(space.tensors).astype(np.float64)
    assert np.array_equal(hessian_scores(evidence), most_significant_first(space, quadratic.curvature @ theta))


def test_the_authors_form_squares_lambda_and_adds_magnitudes(evidence, quadratic, space):
    theta = concatenate_values(space.tensors).astype(np.float64)
    values, vectors = np.linalg.eigh(quadratic.curvature)
    expected = sum(
        np.abs(value**2 * (vector @ theta) * vector) for value, vector in zip(values, vectors.T, strict=True)
    )
    assert np.array_equal(upstream_hessian_scores(evidence), most_significant_first(space, expected))


def test_one_eigenpair_is_enough_where_asked_for(evidence, quadratic, space):
    theta = concatenate_values(space.tensors).astype(np.float64)
    values, vectors = np.linalg.eigh(quadratic.curvature)
    top = np.argmax(np.abs(values))
    expected = values[top] * (vectors[:, top] @ theta) * vectors[:, top]
    assert np.array_equal(hessian_scores(evidence, 1), most_significant_first(space, expected))


def test_displacement_is_the_squared_step_times_the_diagonal(evidence, space):
    steps = flip_steps(space)
    assert displacement_scores(evidence)[:4] == pytest.approx(steps[:4] ** 2 * 1.0)
    assert displacement_scores(evidence)[12:15] == pytest.approx(steps[12:15] ** 2 * 4.0)
    assert not displacement_scores(evidence)[8:12].any()
