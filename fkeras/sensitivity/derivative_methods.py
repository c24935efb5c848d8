"""Rankings by derivatives: the slope of the loss, its curvature, and how far a flip moves the outputs."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fkeras.faults import RandomStream
from fkeras.memory.space import concatenate_values
from fkeras.sensitivity.evidence import SubjectEvidence
from fkeras.sensitivity.flips import curvatures, displacements, loss_changes, removals, word_slopes
from fkeras.sensitivity.positional import most_significant_first
from fkeras.sensitivity.spectrum import Spectrum, top_eigenpairs

N_EIGENPAIRS = 8
"""As many as the authors' scripts use."""
TOLERANCE = 1e-3
"""Of the eigenvalues; a ranking needs no more."""


def gradient_scores(evidence: SubjectEvidence) -> NDArray[np.float64]:
    """|dL/dtheta| (paper, eq. 1), most significant bits first; of registers the mean over the samples."""
    return most_significant_first(evidence.space, word_slopes(evidence.derivatives()))


def taylor_scores(evidence: SubjectEvidence) -> NDArray[np.float64]:
    """(dL/dtheta x theta) squared, most significant bits first.

    The first-order change of the loss when the weight is removed (Molchanov et al., CVPR 2019, eq. 8), as used on
    bits by Aspis (Schmedding et al., 2024).
    """
    theta = concatenate_values(evidence.space.tensors).astype(np.float64)
    return most_significant_first(evidence.space, np.square(removals(evidence.derivatives(), theta)))


def hessian_scores(evidence: SubjectEvidence, n_eigenpairs: int = N_EIGENPAIRS) -> NDArray[np.float64]:
    """|sum_i lambda_i (v_i . theta) v_i| (paper, eq. 3), most significant bits first."""
    spectrum, theta = _spectrum_and_theta(evidence, n_eigenpairs)
    return most_significant_first(evidence.space, eq3(spectrum, theta))


def upstream_hessian_scores(evidence: SubjectEvidence, n_eigenpairs: int = N_EIGENPAIRS) -> NDArray[np.float64]:
    """sum_i |lambda_i^2 (v_i . theta) v_i|, what the authors' code computes, most significant bits first."""
    spectrum, theta = _spectrum_and_theta(evidence, n_eigenpairs)
    terms = spectrum.eigenvalues**2 * (theta @ spectrum.eigenvectors) * spectrum.eigenvectors
    return most_significant_first(evidence.space, np.abs(terms).sum(axis=1))


def eq3(spectrum: Spectrum, theta: NDArray[np.float64]) -> NDArray[np.float64]:
    """sum_i lambda_i (v_i . theta) v_i, (n_words,); with all eigenpairs this is H theta."""
    scores: NDArray[np.float64] = spectrum.eigenvectors @ (spectrum.eigenvalues * (theta @ spectrum.eigenvectors))
    return scores


def _spectrum_and_theta(evidence: SubjectEvidence, n_eigenpairs: int) -> tuple[Spectrum, NDArray[np.float64]]:
    evidence.space.require_stored("a ranking by the Hessian")
    theta = concatenate_values(evidence.space.tensors).astype(np.float64)
    return top_eigenpairs(
        evidence.derivatives(), min(n_eigenpairs, theta.size), tolerance=TOLERANCE, seed=evidence.seed
    ), theta


def displacement_scores(evidence: SubjectEvidence) -> NDArray[np.float64]:
    """Expected squared displacement of the outputs under each flip, to first order; bits of all significances mixed.

    The exact step of the flip squared, times the diagonal of the mean of J^T J, J the outputs' derivatives in theta; of
    a register the mean over samples of both, as the step of a flip is another one in each sample.
    """
    stream = RandomStream("fkeras-displacement/1", evidence.seed, evidence.space.layout_digest)
    return displacements(evidence.derivatives(), stream)


def loss_change_scores(evidence: SubjectEvidence) -> NDArray[np.float64]:
    """|g step| + step^2 c / 2: how much the loss may change under each flip, significances mixed.

    step: what the flip adds to the value; g: dL/dtheta; c: the diagonal of the Gauss-Newton matrix, which unlike the
    Hessian's has no terms that cancel. The slope counts without its sign: where it would undo the curvature, the
    step is too large for either to be trusted. The diagonal is estimated without bias and may come out below 0; its
    size is taken.
    """
    stream = RandomStream("fkeras-loss-change/1", evidence.seed, evidence.space.layout_digest)
    derivatives = evidence.derivatives()
    return np.abs(loss_changes(derivatives)) + 0.5 * np.abs(curvatures(derivatives, stream))
