"""Small models for hls4ml. Tests skip where hls4ml or g++ is missing, unless CI says that both must be there."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fkeras.frontends.qkeras.setup import qkeras, tensorflow

IGNORED = (
    "ignore::DeprecationWarning",
    "ignore:The `keras.*serialize\\(\\)` API should only be used:UserWarning",
    "ignore:The initializer HeNormal is unseeded:UserWarning",
)
KERNEL, BIAS = "quantized_bits(6,1,alpha=1)", "quantized_bits(8,2,alpha=1)"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.parent == Path(__file__).parent:
            for warning in IGNORED:
                item.add_marker(pytest.mark.filterwarnings(warning))


@pytest.fixture(autouse=True, scope="session")
def _needs_hls4ml(chip_emulation: None) -> None:
    """All of them."""


def chain(shape: tuple[int, ...], *layers: Any) -> Any:
    """A functional model of layers one after the other, with weights that use the whole grid."""
    tf = tensorflow()
    tf.keras.utils.set_random_seed(1)
    x = inputs = tf.keras.Input(shape, name="x")
    for layer in layers:
        x = layer(x)
    return randomized(tf.keras.Model(inputs, x, name="chain"))


def randomized(model: Any) -> Any:
    rng = np.random.default_rng(0)
    for weight in model.weights:
        positive = "variance" in weight.name or "gamma" in weight.name
        weight.assign(rng.uniform(0.5, 2, weight.shape) if positive else rng.uniform(-1, 1, weight.shape))
    return model


def bits(name: str) -> Any:
    return qkeras().QActivation("quantized_bits(8,1,alpha=1)", name=name)


def layer(kind: str, *arguments: Any) -> Any:
    """A layer of Keras' own."""
    return getattr(tensorflow().keras.layers, kind)(*arguments)


def relu(name: str) -> Any:
    return qkeras().QActivation("quantized_relu(6,2)", name=name)


def dense(units: int, name: str, kernel: str = KERNEL, **more: Any) -> Any:
    return qkeras().QDense(units, kernel_quantizer=kernel, bias_quantizer=BIAS, name=name, **more)


def data_for(model: Any, n: int = 40) -> np.ndarray:
    return np.random.default_rng(2).uniform(-2, 2, (n, *model.input_shape[1:])).astype(np.float32)


@pytest.fixture(scope="session")
def tiny() -> Any:
    """Input quantizer, two dense layers: 38 words, 228 bits."""
    return chain((4,), bits("qin"), dense(5, "d1"), relu("a1"), dense(3, "d2"), relu("a2"))


@pytest.fixture(scope="session")
def make() -> Callable[..., Any]:
    """The functions above, for test files."""

    class Make:
        pass

    made = Make()
    for function in (chain, randomized, bits, layer, relu, dense, data_for):
        setattr(made, function.__name__, function)
    made.kernel, made.bias = KERNEL, BIAS
    made.tf, made.q = tensorflow(), qkeras()
    return made
