"""Activations as operations: functions that are known by what they are, and quantizers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from fkeras.frontends.description.home import Home
from fkeras.frontends.description.quantizers import quantizer_steps, searched
from fkeras.frontends.description.steps import NoOperation, Step, Steps
from fkeras.network import Function, Operation, Relu
from fkeras.network.operation import Floats

OPERATIONS: Mapping[str, Operation] = {
    "relu": Relu(),
    "relu6": Relu(most=6.0),
    "silu": Function("swish"),
    **{
        name: Function(name)
        for name in (
            "elu",
            "exponential",
            "hard_sigmoid",
            "selu",
            "sigmoid",
            "softmax",
            "softplus",
            "softsign",
            "swish",
            "tanh",
        )
    },
}
"""What functions of these names compute, where they are Keras' or TensorFlow's own."""

STEPPING = ("binary_sigmoid", "binary_tanh")
"""QKeras' functions of two values."""
PROBES = np.concatenate([np.linspace(-30, 30, 1201), [-1e4, 1e4]]).astype(np.float32)


def activation_steps(activation: Any, part: str, path: str, home: Home) -> Steps:
    """The steps of a layer's activation; path: where its constants belong. NoOperation for one that is not known."""
    if activation is None or activation is home.keras.activations.linear:
        return
    if home.is_quantizer(activation):
        yield from quantizer_steps(activation, part, path, home)
        return
    for name, operation in OPERATIONS.items():
        if any(activation is known for known in home.activations(name)):
            yield checked(Step(part, operation), activation, home)
            return
    name = getattr(activation, "__name__", type(activation).__name__)
    if name in STEPPING and home.qkeras is not None and activation is getattr(home.qkeras.quantizers, name, None):
        yield searched(activation, part, path, home)
        return
    raise NoOperation(f"the activation {name} is not known")


def checked(step: Step, function: Callable[[Any], Any], home: Home) -> Step:
    """The step. NoOperation where a function computes something else."""
    probes = PROBES.reshape(-1, 3)
    expected = home.evaluate(function, probes)
    with np.errstate(all="ignore"):
        actual = step.operation.compute(step.constants, probes)
    if not close(actual, expected):
        raise NoOperation(f"{step.operation} is not what its {step.part} computes")
    return step


def close(actual: Floats, expected: Floats) -> bool:
    """Whether values agree but for the last bits of a float function."""
    return bool(np.allclose(actual, expected, rtol=1e-6, atol=1e-6, equal_nan=True))
