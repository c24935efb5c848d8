"""Rankings by the curvature of the loss: the paper's eq. (3), and the form that the authors' code computes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fkeras.engine import Evidence
from fkeras.memory.space import concatenate_values
from fkeras.sensitivity.positional import most_significant_first
from fkeras.sensitivity.spectrum import Spectrum, top_eigenpairs

N_EIGENPAIRS = 8
"""As many as the authors' scripts use."""
TOLERANCE = 1e-3
"""Of the eigenvalues; a ranking needs no more."""


def hessian_scores(evidence: Evidence, n_eigenpairs: int = N_EIGENPAIRS) -> NDArray[np.float64]:
    """|sum_i lambda_i (v_i . theta) v_i| (paper, eq. 3), most significant bits first."""
    spectrum, theta = _spectrum_and_theta(evidence, n_eigenpairs)
    return most_significant_first(evidence.space, eq3(spectrum, theta))


def upstream_hessian_scores(evidence: Evidence, n_eigenpairs: int = N_EIGENPAIRS) -> NDArray[np.float64]:
    """sum_i |lambda_i^2 (v_i . theta) v_i|, what the authors' code computes, most significant bits first."""
    spectrum, theta = _spectrum_and_theta(evidence, n_eigenpairs)
    terms = spectrum.eigenvalues**2 * (theta @ spectrum.eigenvectors) * spectrum.eigenvectors
    return most_significant_first(evidence.space, np.abs(terms).sum(axis=1))


def eq3(spectrum: Spectrum, theta: NDArray[np.float64]) -> NDArray[np.float64]:
    """sum_i lambda_i (v_i . theta) v_i, (n_words,); with all eigenpairs this is H theta."""
    scores: NDArray[np.float64] = spectrum.eigenvectors @ (spectrum.eigenvalues * (theta @ spectrum.eigenvectors))
    return scores


def _spectrum_and_theta(evidence: Evidence, n_eigenpairs: int) -> tuple[Spectrum, NDArray[np.float64]]:
    evidence.space.require_stored("a ranking by the Hessian")
    theta = concatenate_values(evidence.space.tensors).astype(np.float64)
    return top_eigenpairs(
        evidence.derivatives(), min(n_eigenpairs, theta.size), tolerance=TOLERANCE, seed=evidence.seed
    ), theta
