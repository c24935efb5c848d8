"""The spectrum of the loss's Hessian: leading eigenpairs, and the trace of every layer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fkeras.errors import InputError
from fkeras.faults import RandomStream
from fkeras.memory import BitSpace
from fkeras.sensitivity.derivatives import LossDerivatives


@dataclass(frozen=True, slots=True, eq=False)
class Spectrum:
    """Eigenpairs of the Hessian of the loss in theta, largest |eigenvalue| first.

    eigenvalues: (k,); eigenvectors: (n_words, k), orthonormal; residuals: (k,), the norms of H v - lambda v;
    n_products: Hessian-vector products spent; converged: whether every pair that was asked for met the tolerance
    (those that did not are left out).
    """

    eigenvalues: NDArray[np.float64]
    eigenvectors: NDArray[np.float64]
    residuals: NDArray[np.float64]
    n_products: int
    converged: bool


@dataclass(frozen=True, slots=True)
class LayerTrace:
    """The trace of one layer's block of the Hessian, estimated; standard_error is NaN for a single probe.

    n_words: its size; n_probes: Hessian-vector products spent, shared by all layers; converged: whether the
    tolerance was met.
    """

    layer: str
    trace: float
    standard_error: float
    n_words: int
    n_probes: int
    converged: bool


def top_eigenpairs(
    derivatives: LossDerivatives, k: int = 8, *, tolerance: float = 1e-5, max_iter: int = 300, seed: int = 0
) -> Spectrum:
    """The k eigenpairs with the largest |eigenvalue|, by implicitly restarted Lanczos over Hessian-vector products.

    tolerance: relative accuracy of an eigenvalue; max_iter: restarts at most, as in `scipy.sparse.linalg.eigsh`.
    All eigenpairs (or nearly all) are taken from the dense matrix, which costs n_words products. InputError for a k
    that the model does not have.
    """
    n_words = _n_words(derivatives.space)
    if not 1 <= k <= n_words:
        raise InputError(f"k={k} eigenpairs; allowed are 1 to {n_words}, the number of stored words")
    if max_iter < 1 or tolerance < 0:
        raise InputError(f"max_iter={max_iter}, tolerance={tolerance}; allowed are max_iter >= 1 and tolerance >= 0")
    product = _Product(derivatives)
    if k >= n_words - 1 or n_words <= 2 * k + 1:
        values, vectors, converged = _dense(product, n_words)
    else:
        values, vectors, converged = _lanczos(product, n_words, k, tolerance, max_iter, seed)
    order = np.argsort(-np.abs(values), kind="stable")[:k]
    values, vectors = values[order], vectors[:, order]
    residuals = [
        float(np.linalg.norm(product(vector) - value * vector)) for value, vector in zip(values, vectors.T, strict=True)
    ]
    return Spectrum(values, vectors, np.array(residuals), product.count, converged)


def layer_traces(
    derivatives: LossDerivatives, *, tolerance: float = 0.02, max_iter: int = 200, seed: int = 0
) -> tuple[LayerTrace, ...]:
    """The trace of every layer's block of the Hessian, by Hutchinson's estimator with Rademacher probes.

    Probes are drawn until each standard error is below `tolerance` times the |trace|, `max_iter` at most. Unbiased.
    Source: Hutchinson, Communications in Statistics 18(3), 1989; one probe serves all layers.
    """
    if max_iter < 1 or tolerance < 0:
        raise InputError(f"max_iter={max_iter}, tolerance={tolerance}; allowed are max_iter >= 1 and tolerance >= 0")
    space = derivatives.space
    space.require_stored("the trace of a Hessian")
    layers = [tensor.path.rpartition("/")[0] or tensor.path for tensor in space.tensors]
    names = list(dict.fromkeys(layers))
    number = np.repeat([names.index(layer) for layer in layers], [tensor.size for tensor in space.tensors])
    stream = RandomStream("fkeras-trace/1", seed, space.layout_digest)
    draws: list[NDArray[np.float64]] = []
    mean = error = np.full(len(names), np.nan)
    met = np.zeros(len(names), np.bool_)
    while len(draws) < max_iter and not met.all():
        probe = 1.0 - 2.0 * stream.integers(number.size, 2).astype(np.float64)
        products = probe * derivatives.hessian_vector_product(probe)
        draws.append(np.bincount(number, products, len(names)).astype(np.float64))
        mean = np.mean(draws, axis=0)
        if len(draws) > 1:
            error = np.std(draws, axis=0, ddof=1) / np.sqrt(len(draws))
            # Two equal draws are no proof: a few more probes guard against stopping by luck.
            met = (error <= tolerance * np.abs(mean)) & (len(draws) >= min(8, max_iter))
    sizes = np.bincount(number, minlength=len(names))
    return tuple(
        LayerTrace(name, float(mean[i]), float(error[i]), int(sizes[i]), len(draws), bool(met[i]))
        for i, name in enumerate(names)
    )


class _Product:
    """Counts Hessian-vector products."""

    def __init__(self, derivatives: LossDerivatives) -> None:
        self._derivatives = derivatives
        self.count = 0

    def __call__(self, vector: NDArray[np.float64]) -> NDArray[np.float64]:
        self.count += 1
        return self._derivatives.hessian_vector_product(np.asarray(vector, np.float64).reshape(-1))


Pairs = tuple[NDArray[np.float64], NDArray[np.float64], bool]


def _dense(product: _Product, n_words: int) -> Pairs:
    matrix = np.stack([product(unit) for unit in np.eye(n_words)])
    values, vectors = np.linalg.eigh((matrix + matrix.T) / 2)
    return values, vectors, True


def _lanczos(product: _Product, n_words: int, k: int, tolerance: float, max_iter: int, seed: int) -> Pairs:
    from scipy.sparse.linalg import ArpackNoConvergence, LinearOperator, eigsh

    start = RandomStream("fkeras-spectrum/1", seed, n_words).uniform(n_words) - 0.5
    if not product(start).any():  # ARPACK refuses a zero matrix, whose eigenpairs are any orthonormal vectors
        return np.zeros(k), np.eye(n_words, k), True
    operator: Any = LinearOperator((n_words, n_words), matvec=product, dtype=np.float64)
    try:
        values, vectors = eigsh(operator, k, which="LM", v0=start, tol=tolerance, maxiter=max_iter)
    except ArpackNoConvergence as stopped:
        return stopped.eigenvalues, stopped.eigenvectors, False
    return values, vectors, True


def _n_words(space: BitSpace) -> int:
    return sum(tensor.size for tensor in space.tensors)
