"""Activations as operations: functions that are known by what they are, and quantizers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from fkeras.frontends.qkeras.description.quantizers import quantizer_steps
from fkeras.frontends.qkeras.description.steps import NoOperation, Step, Steps
from fkeras.frontends.qkeras.setup import qkeras, tensorflow
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

PROBES = np.concatenate([np.linspace(-30, 30, 1201), [-1e4, 1e4]]).astype(np.float32)


def activation_steps(activation: Any, part: str, path: str) -> Steps:
    """The steps of a layer's activation; path: where its constants belong. NoOperation for one that is not known."""
    tf = tensorflow()
    if activation is None or activation is tf.keras.activations.linear:
        return
    if isinstance(activation, qkeras().quantizers.BaseQuantizer):
        yield from quantizer_steps(activation, part, path)
        return
    for name, operation in OPERATIONS.items():
        homes = (tf.keras.activations, tf.nn)
        if any(activation is getattr(home, name, None) for home in homes):
            yield checked(Step(part, operation), activation)
            return
    name = getattr(activation, "__name__", type(activation).__name__)
    raise NoOperation(f"the activation {name} is not known")


def checked(step: Step, function: Callable[[Any], Any]) -> Step:
    """The step. NoOperation where a function computes something else."""
    expected = np.asarray(function(tensorflow().constant(PROBES[:, None])), np.float32)[:, 0]
    with np.errstate(all="ignore"):
        actual = step.operation.compute(step.constants, PROBES[:, None])[:, 0]
    if not close(actual, expected):
        raise NoOperation(f"{step.operation} is not what its {step.part} computes")
    return step


def close(actual: Floats, expected: Floats) -> bool:
    """Whether values agree but for the last bits of a float function."""
    return bool(np.allclose(actual, expected, rtol=1e-6, atol=1e-6, equal_nan=True))
