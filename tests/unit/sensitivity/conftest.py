"""A quadratic loss over a small memory: every derivative is known."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pytest

from fkeras.faults import RandomStream
from fkeras.memory import BitSpace, FixedPoint, WordTensor


def tensor(path: str, words: list[int], codec: FixedPoint) -> WordTensor:
    stored = np.array(words, np.uint32)
    return WordTensor(
        path, (stored.size,), codec, stored, np.ones(stored.size, np.float32), codec.decode(stored).astype(np.float32)
    )


@pytest.fixture
def space() -> BitSpace:
    """Three 4-bit words in layer `a`, two 3-bit words in layer `b`: 18 bits."""
    return BitSpace(
        (
            tensor("a/kernel", [0b0011, 0b1000, 0b0000], FixedPoint(4, 0)),
            tensor("b/kernel", [0b111, 0b001], FixedPoint(3, 1)),
        )
    )


@dataclass
class QuadraticDerivatives:
    """L = slope . theta + theta . curvature . theta / 2 around theta = 0; counts the products."""

    space: BitSpace
    slope: np.ndarray
    curvature: np.ndarray
    diagonal: np.ndarray
    n_samples: int = 4
    loss: str = "quadratic"
    products: list[np.ndarray] = field(default_factory=list)

    def gradient(self, rows: np.ndarray | None = None) -> np.ndarray:
        return self.slope

    def hessian_vector_product(self, vector: np.ndarray) -> np.ndarray:
        self.products.append(vector)
        return self.curvature @ vector

    def gauss_newton_diagonal(self, stream: RandomStream) -> np.ndarray:
        return 3 * self.diagonal

    def squared_jacobian_diagonal(self, stream: RandomStream) -> np.ndarray:
        return self.diagonal


@dataclass
class FakeEvidence:
    space: BitSpace
    known: QuadraticDerivatives | None = None
    seed: int = 0
    n_samples: int = 4
    metric: None = None

    def derivatives(self) -> QuadraticDerivatives:
        assert self.known is not None, "this method should need no derivatives"
        return self.known

    def damage(self) -> None:
        raise AssertionError("this method should need no metric")

    damage_derivatives = damage

    def run(self, rows: np.ndarray) -> None:
        raise AssertionError("this method should need no run")


@pytest.fixture
def quadratic(space: BitSpace) -> QuadraticDerivatives:
    matrix = np.random.default_rng(3).normal(size=(5, 5))
    return QuadraticDerivatives(
        space, np.array([0.1, -4.0, 0.0, 2.0, -1.0]), matrix + matrix.T, np.array([1.0, 2.0, 0.0, 4.0, 0.25])
    )


@pytest.fixture
def evidence(space: BitSpace, quadratic: QuadraticDerivatives) -> FakeEvidence:
    return FakeEvidence(space, quadratic)


@pytest.fixture
def blind(space: BitSpace) -> FakeEvidence:
    """Evidence without data."""
    return FakeEvidence(space, None, n_samples=0)
