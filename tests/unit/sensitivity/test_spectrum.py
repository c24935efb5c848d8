"""Eigenpairs and traces against a matrix that is written down."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from fkeras.errors import InputError
from fkeras.memory import BitSpace, FixedPoint, WordTensor
from fkeras.sensitivity.spectrum import layer_traces, top_eigenpairs


def wide_space(n: int) -> BitSpace:
    codec = FixedPoint(2, 0)
    zeros = np.zeros(n, np.uint32)
    tensors = [
        WordTensor(path, (n,), codec, zeros.copy(), np.ones(n, np.float32), np.zeros(n, np.float32))
        for path in ("one/kernel", "two/kernel")
    ]
    return BitSpace(tuple(tensors))


@pytest.fixture
def wide(quadratic):
    """60 words with eigenvalues 10, -9, 8, 0.1, 0.1, ... in random directions."""
    basis, _ = np.linalg.qr(np.random.default_rng(0).normal(size=(60, 60)))
    values = np.r_[10.0, -9.0, 8.0, np.full(57, 0.1)]
    return dataclasses.replace(quadratic, space=wide_space(30), curvature=(basis * values) @ basis.T, products=[])


def test_largest_magnitudes_come_first_with_their_sign(wide):
    spectrum = top_eigenpairs(wide, 3)
    assert spectrum.eigenvalues == pytest.approx([10.0, -9.0, 8.0], rel=1e-6)
    assert spectrum.converged


def test_residuals_are_those_of_the_pairs(wide):
    spectrum = top_eigenpairs(wide, 3)
    expected = np.linalg.norm(
        wide.curvature @ spectrum.eigenvectors - spectrum.eigenvectors * spectrum.eigenvalues, axis=0
    )
    assert spectrum.residuals == pytest.approx(expected, abs=1e-12)
    assert spectrum.residuals.max() < 1e-3


def test_every_product_is_counted(wide):
    assert top_eigenpairs(wide, 3).n_products == len(wide.products)


def test_the_same_seed_gives_the_same_pairs(wide):
    assert np.array_equal(top_eigenpairs(wide, 2, seed=4).eigenvectors, top_eigenpairs(wide, 2, seed=4).eigenvectors)


def test_max_iter_is_obeyed_and_said(wide):
    basis, _ = np.linalg.qr(np.random.default_rng(1).normal(size=(60, 60)))
    crowded = dataclasses.replace(wide, curvature=(basis * np.linspace(1, 2, 60)) @ basis.T)
    spectrum = top_eigenpairs(crowded, 8, tolerance=1e-14, max_iter=1)
    assert not spectrum.converged
    assert spectrum.eigenvalues.size < 8
    assert spectrum.n_products < 60


def test_all_eigenpairs_of_a_small_model(quadratic):
    spectrum = top_eigenpairs(quadratic, 5)
    expected = np.linalg.eigvalsh(quadratic.curvature)
    assert np.sort(spectrum.eigenvalues) == pytest.approx(expected, abs=1e-12)


def test_a_flat_loss_has_zero_eigenvalues(wide):
    flat = dataclasses.replace(wide, curvature=np.zeros((60, 60)))
    assert top_eigenpairs(flat, 2).eigenvalues.tolist() == [0.0, 0.0]


@pytest.mark.parametrize("k", [0, 6])
def test_impossible_numbers_of_pairs_are_refused(quadratic, k):
    with pytest.raises(InputError, match=f"k={k} eigenpairs; allowed are 1 to 5"):
        top_eigenpairs(quadratic, k)


def test_max_iter_zero_is_refused(quadratic):
    with pytest.raises(InputError, match="max_iter >= 1"):
        layer_traces(quadratic, max_iter=0)


def test_the_trace_of_a_diagonal_matrix_is_exact_after_any_probe(quadratic):
    diagonal = dataclasses.replace(quadratic, curvature=np.diag([1.0, 2.0, 3.0, 10.0, -4.0]))
    first, second = layer_traces(diagonal)
    assert (first.layer, first.trace, first.standard_error, first.n_words) == ("a", 6.0, 0.0, 3)
    assert (second.layer, second.trace, second.standard_error, second.n_words) == ("b", 6.0, 0.0, 2)
    assert first.converged
    assert first.n_probes == 8


def test_the_trace_lies_within_its_standard_errors(quadratic):
    traces = layer_traces(quadratic, tolerance=0.0, max_iter=400)
    exact = np.diag(quadratic.curvature)
    assert abs(traces[0].trace - exact[:3].sum()) < 4 * traces[0].standard_error
    assert abs(traces[1].trace - exact[3:].sum()) < 4 * traces[1].standard_error


def test_probes_stop_at_max_iter_and_say_so(quadratic):
    traces = layer_traces(quadratic, tolerance=1e-9, max_iter=5)
    assert len(quadratic.products) == 5
    assert not traces[0].converged
    assert traces[0].n_probes == 5


def test_a_looser_tolerance_needs_fewer_probes(quadratic):
    convex = dataclasses.replace(quadratic, curvature=quadratic.curvature @ quadratic.curvature)
    loose, tight = layer_traces(convex, tolerance=0.5), layer_traces(convex, tolerance=0.05, max_iter=5000)
    assert loose[0].converged
    assert tight[0].converged
    assert loose[0].n_probes < tight[0].n_probes
