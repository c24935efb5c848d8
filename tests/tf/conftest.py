"""Small models for the tests that need TensorFlow."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import fkeras
from fkeras.frontends.qkeras.setup import qkeras, tensorflow

WARNINGS_OF_QKERAS = (
    r"ignore:'\w+' deprecated - use:DeprecationWarning",
    "ignore:The `keras.*serialize\\(\\)` API should only be used:UserWarning",
    "ignore:The initializer HeNormal is unseeded:UserWarning",
    "ignore:overflow encountered in cast:RuntimeWarning",
    "ignore:You are saving your model as an HDF5:UserWarning",
)
"""What QKeras 0.9 does to its own dependencies; nothing that a test here is about."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.parent == Path(__file__).parent:
            for warning in WARNINGS_OF_QKERAS:
                item.add_marker(pytest.mark.filterwarnings(warning))


@pytest.fixture(scope="session")
def tf() -> Any:
    return tensorflow()


@pytest.fixture(scope="session")
def q() -> Any:
    return qkeras()


def randomize(model: Any, seed: int = 0) -> Any:
    """Weights that use the whole grid, positive where they are variances."""
    rng = np.random.default_rng(seed)
    values = []
    for variable, old in zip(model.weights, model.get_weights(), strict=True):
        new = rng.normal(0, 0.4, old.shape)
        values.append(old if old.dtype.kind == "i" else np.abs(new) + 0.1 if "variance" in variable.name else new)
    model.set_weights(values)
    return model


def data_for(model: Any, n: int = 7, seed: int = 1) -> Any:
    rng = np.random.default_rng(seed)
    arrays = [rng.normal(size=(n, *tensor.shape[1:])).astype(np.float32) for tensor in model.inputs]
    return arrays[0] if len(arrays) == 1 else arrays


def snapshot(model: Any) -> list[Any]:
    """Everything about a model that an injection must leave alone."""
    base = qkeras().quantizers.BaseQuantizer
    parts: list[Any] = [weight.copy() for weight in model.get_weights()]
    parts += [(layer.name, layer.trainable) for layer in model._flatten_layers()]
    optimizer = getattr(model, "optimizer", None)
    parts += [] if optimizer is None else [variable.numpy().copy() for variable in optimizer.variables]
    for module in model.submodules:
        if isinstance(module, base):
            parts += [(key, id(value)) for key, value in vars(module).items()]
            parts += [value.numpy().copy() for value in vars(module).values() if hasattr(value, "assign")]
        parts += [(name, id(value)) for name, value in vars(module).items() if name.endswith("_quantizer_internal")]
    return parts


def unchanged(before: list[Any], after: list[Any]) -> bool:
    return len(before) == len(after) and all(
        np.array_equal(a, b) if isinstance(a, np.ndarray) else a == b for a, b in zip(before, after, strict=True)
    )


def outputs_of(result: Any) -> list[np.ndarray]:
    return [np.asarray(part) for part in tensorflow().nest.flatten(result)]


def same(a: Any, b: Any) -> bool:
    """Bit for bit."""
    left, right = outputs_of(a), outputs_of(b)
    return len(left) == len(right) and all(
        np.array_equal(x, y, equal_nan=True) for x, y in zip(left, right, strict=True)
    )


@pytest.fixture(scope="session")
def kit() -> SimpleNamespace:
    """The functions above, for test files."""
    return SimpleNamespace(randomize=randomize, data_for=data_for, snapshot=snapshot, unchanged=unchanged, same=same)


@pytest.fixture(scope="session")
def check_laws() -> Callable[..., fkeras.BitSpace]:
    """The laws of injection on one model: empty set identical, model untouched; gives the space."""

    def check(model: Any, x: Any, **choice: Any) -> fkeras.BitSpace:
        golden = model.predict(x, verbose=0)
        before = snapshot(model)
        space = fkeras.bit_space(model, **choice)
        with fkeras.injected(model, fkeras.FaultSet(), space=space) as view:
            assert same(view.predict(x), golden)
        with fkeras.injected(model, fkeras.FaultSet([0, len(space) - 1]), space=space) as view:
            view.predict(x)
        assert unchanged(before, snapshot(model))
        assert same(model.predict(x, verbose=0), golden)
        return space

    return check
