"""Gradients, Hessians, spectra and traces of a real QKeras model against float64 differences of plain numpy."""

from __future__ import annotations

import numpy as np
import pytest

import fkeras
from fkeras.faults import RandomStream
from fkeras.frontends.losses import final_activation
from fkeras.memory.space import concatenate_values
from fkeras.models import start_run
from fkeras.models.keras import KerasModel
from fkeras.sensitivity.derivative_methods import eq3
from fkeras.sensitivity.derivatives import LossDerivatives
from fkeras.sensitivity.losses import resolve_loss
from fkeras.sensitivity.spectrum import layer_traces, top_eigenpairs

pytestmark = pytest.mark.filterwarnings(
    r"ignore:'\w+' deprecated - use:DeprecationWarning",
    "ignore:The initializer HeNormal is unseeded:UserWarning",
)
N_IN, N_HIDDEN, N_OUT, N_SAMPLES = 4, 3, 3, 600


@pytest.fixture(scope="module")
def small():
    """(model, x, y): QDense 4 to 3, batch norm with statistics of its own, tanh, QDense 3 to 3, softmax."""
    from fkeras.frontends.qkeras.setup import qkeras, tensorflow

    tf, q = tensorflow(), qkeras()
    tf.keras.utils.set_random_seed(4)
    layers = tf.keras.layers
    model = tf.keras.Sequential(
        [
            layers.Input((N_IN,)),
            q.QDense(N_HIDDEN, kernel_quantizer="quantized_bits(6, 1, alpha=1)", use_bias=False, name="first"),
            layers.BatchNormalization(name="norm"),
            layers.Activation("tanh"),
            q.QDense(N_OUT, kernel_quantizer="quantized_bits(5, 1, alpha=1)", use_bias=False, name="second"),
            layers.Activation("softmax"),
        ]
    )
    draw = np.random.default_rng(0)
    model.get_layer("norm").set_weights(
        [
            draw.uniform(0.5, 1.5, N_HIDDEN),
            draw.normal(size=N_HIDDEN),
            draw.normal(size=N_HIDDEN),
            draw.uniform(0.5, 2, N_HIDDEN),
        ]
    )
    x = draw.normal(size=(N_SAMPLES, N_IN)).astype(np.float32)
    return model, x, draw.integers(0, N_OUT, N_SAMPLES)


def outputs_of(model, theta: np.ndarray, x: np.ndarray) -> np.ndarray:
    """The network in plain float64."""
    first, second = theta[: N_IN * N_HIDDEN].reshape(N_IN, N_HIDDEN), theta[N_IN * N_HIDDEN :].reshape(N_HIDDEN, N_OUT)
    norm = model.get_layer("norm")
    gamma, beta, mean, variance = (weight.astype(np.float64) for weight in norm.get_weights())
    hidden = np.tanh(gamma * (x @ first - mean) / np.sqrt(variance + norm.epsilon) + beta)
    scores = np.exp(hidden @ second)
    return scores / scores.sum(axis=1, keepdims=True)


def differences(function, theta: np.ndarray, step: float = 1e-4) -> np.ndarray:
    """Central differences of a (vector) function, one column per parameter."""
    return np.stack(
        [(function(theta + step * unit) - function(theta - step * unit)) / (2 * step) for unit in np.eye(theta.size)],
        axis=-1,
    )


@pytest.fixture(scope="module")
def known(small):
    """theta, gradient and dense Hessian of the mean cross-entropy, and the diagonal of the mean of J^T J."""
    model, x, y = small
    theta = concatenate_values(fkeras.bit_space(model).tensors).astype(np.float64)

    def loss(values):
        return -np.log(outputs_of(model, values, x)[np.arange(N_SAMPLES), y]).mean()

    hessian = differences(lambda values: differences(loss, values), theta)
    jacobian = differences(lambda values: outputs_of(model, values, x), theta)
    return theta, differences(loss, theta), (hessian + hessian.T) / 2, np.square(jacobian).sum(axis=1).mean(axis=0)


def derivatives_of(model, x, loss):
    space = fkeras.bit_space(model)
    subject = KerasModel(model).framework_subject(space, (x, None), start_run)
    return LossDerivatives(subject.differentiable, space, (x,), loss)


@pytest.fixture(scope="module")
def derivatives(small):
    model, x, y = small
    loss = resolve_loss(
        None, None, final_activation(model), y, model.predict(x, verbose=0), KerasModel(model).users_loss
    )
    assert loss.name == "cross_entropy"
    return derivatives_of(model, x, loss)


def test_gradient(derivatives, known):
    assert derivatives.gradient() == pytest.approx(known[1], abs=1e-6)


def test_gradient_of_some_samples_is_their_mean(derivatives):
    rows = np.arange(N_SAMPLES)
    parts = [derivatives.gradient(part) for part in np.array_split(rows, 3)]
    assert np.mean(parts, axis=0) == pytest.approx(derivatives.gradient(), abs=1e-6)


def test_hessian_vector_products_give_the_dense_hessian(derivatives, known):
    hessian = np.stack([derivatives.hessian_vector_product(unit) for unit in np.eye(known[0].size)])
    assert hessian == pytest.approx(known[2], abs=1e-4 * np.abs(known[2]).max())


@pytest.mark.parametrize("k", [3, 21])
def test_eigenvalues(derivatives, known, k):
    spectrum = top_eigenpairs(derivatives, k)
    exact = np.linalg.eigvalsh(known[2])
    exact = exact[np.argsort(-np.abs(exact))][:k]
    assert spectrum.eigenvalues == pytest.approx(exact, abs=1e-4 * np.abs(exact).max())
    assert spectrum.residuals.max() < 1e-3 * np.abs(exact).max()


def test_eq3_with_all_eigenpairs_is_the_hessian_times_theta(derivatives, known):
    theta, _, hessian, _ = known
    scores = eq3(top_eigenpairs(derivatives, theta.size), theta)
    assert scores == pytest.approx(hessian @ theta, abs=1e-4 * np.abs(hessian @ theta).max())
    assert scores == pytest.approx(derivatives.hessian_vector_product(theta), abs=1e-5)


def test_layer_traces(derivatives, known):
    exact = np.diag(known[2])
    for found, expected in zip(
        layer_traces(derivatives, tolerance=0.0, max_iter=100), (exact[:12].sum(), exact[12:].sum()), strict=True
    ):
        assert abs(found.trace - expected) < 4 * found.standard_error


def test_squared_jacobian_diagonal(derivatives, known):
    draws = np.mean([derivatives.squared_jacobian_diagonal(RandomStream("test", i)) for i in range(20)], axis=0)
    assert draws == pytest.approx(known[3], rel=0.15)


def test_gauss_newton_diagonal_of_a_cross_entropy(small, derivatives, known):
    model, x, _ = small
    theta = known[0]
    shares = outputs_of(model, theta, x)
    jacobian = differences(lambda values: np.log(outputs_of(model, values, x)), theta)
    curvature = shares[:, :, None] * (np.eye(N_OUT) - shares[:, None, :])
    exact = np.einsum("now,nop,npw->w", jacobian, curvature, jacobian) / N_SAMPLES
    draws = np.mean([derivatives.gauss_newton_diagonal(RandomStream("test", i)) for i in range(20)], axis=0)
    assert draws == pytest.approx(exact, rel=0.2)


def test_gauss_newton_diagonal_of_a_squared_error_is_the_squared_jacobian(small, known):
    model, x, _ = small
    outputs = model.predict(x, verbose=0)
    loss = resolve_loss("mse", None, final_activation(model), outputs, outputs, KerasModel(model).users_loss)
    squared = derivatives_of(model, x, loss)
    draws = np.mean([squared.gauss_newton_diagonal(RandomStream("test", i)) for i in range(20)], axis=0)
    assert draws == pytest.approx(known[3] * 2 / N_OUT, rel=0.15)
