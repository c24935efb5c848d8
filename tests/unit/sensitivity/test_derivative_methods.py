"""Gradient, Taylor, Hessian and displacement on a loss whose derivatives are known."""

from __future__ import annotations

from typing import get_args

import numpy as np
import pytest

from fkeras.memory import BitSpace, Float, MixedFixedPoint, WordTensor
from fkeras.memory.codecs import FloatName
from fkeras.memory.space import concatenate_values
from fkeras.sensitivity.derivative_methods import (
    displacement_scores,
    eq3,
    gradient_scores,
    hessian_scores,
    taylor_scores,
    upstream_hessian_scores,
)
from fkeras.sensitivity.methods import METHODS, make_ranking
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


WORDS = {
    "own widths": (MixedFixedPoint([4, 0, 3, 1, 2], [0, 0, 1, 2, 0], [1, 0, 0, 1, 1]), [0b1010, 0, 0b111, 1, 0b01]),
    **{name: (Float(name), Float(name).encode([0.5, -0.25, 0.0, 1.5, 3.0])) for name in get_args(FloatName)},
}


@pytest.mark.parametrize("kind", WORDS)
@pytest.mark.parametrize("method", [name for name, method in METHODS.items() if "metric" not in method.needs])
def test_words_of_any_kind_are_ranked(evidence, quadratic, method, kind):
    codec, words = WORDS[kind]
    stored = np.array(words, np.uint32)
    golden = codec.decode(stored).astype(np.float32)
    space = BitSpace((WordTensor("k", (5,), codec, stored, golden * 0 + 1, golden),))
    evidence.space = quadratic.space = space
    ranking = make_ranking(method, evidence)
    assert sorted(ranking.order.tolist()) == list(range(len(space)))
    assert np.isfinite(ranking.scores).all()
    if isinstance(codec, Float) and method != "random":
        address = space.address(int(ranking.order[0]))
        assert address.bit == 1  # the top of the exponent
    if method in ("gradient", "taylor", "hessian"):
        positions = space.bit_positions[ranking.order]
        assert isinstance(codec, Float) or (np.diff(positions) >= 0).all()
