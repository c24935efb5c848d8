"""Activations as operations: functions that are known by what they are, and quantizers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from fkeras.frontends.description.home import Home
from fkeras.frontends.description.quantizers import quantizer_steps, searched
from fkeras.frontends.description.steps import NoOperation, Step, Steps, affine, computed
from fkeras.network import Function, Operation, Relu
from fkeras.network.operation import Floats

OPERATIONS: Mapping[str, Operation] = {
    "relu": Relu(),
    "relu6": Relu(most=6.0),
    "leaky_relu": Relu(0.2),
    "silu": Function("swish"),
    **{
        name: Function(name)
        for name in (
            "elu",
            "exponential",
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

_UNIT, _HALF = Relu(most=1.0), (0.5, 0.5)
PIECES: Mapping[str, Sequence[Sequence[Relu | tuple[float, float]]]] = {
    "hard_sigmoid": (((0.2, 0.5), _UNIT), (_HALF, _UNIT), ((1.0, 3.0), Relu(most=6.0), (1 / 6, 0.0))),
    "hard_tanh": ((_HALF, _UNIT, (2.0, -1.0)),),
    "smooth_sigmoid": (((0.1875, 0.5), _UNIT),),
    "smooth_tanh": (((0.1875, 0.5), _UNIT, (2.0, -1.0)),),
}
"""What functions of these names may be, of Keras 2, QKeras or Keras 3: lines (scale, offset), cut off."""
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
    if any(activation is known for known in home.activations(name)):
        if name in STEPPING:
            yield searched(activation, part, path, home)
            return
        if name in PIECES:
            yield from _pieces(name, activation, part, path, home)
            return
    raise NoOperation(f"the activation {name} is not known")


def _pieces(name: str, activation: Any, part: str, path: str, home: Home) -> Sequence[Step]:
    """The steps of a function of straight lines. NoOperation where it is none of those that are known."""
    expected = home.compiled(activation)(PROBES)
    for pieces in PIECES[name]:
        parts = [*(f"{part}_line", f"{part}_clip")[: len(pieces) - 1], part]
        steps = [
            Step(each, piece) if isinstance(piece, Relu) else affine(f"{path}/{each}", each, *piece, home.in_order)
            for each, piece in zip(parts, pieces, strict=True)
        ]
        if np.array_equal(computed(steps, PROBES), expected):
            return steps
    raise NoOperation(f"the activation {name} is no function of straight lines that is known")


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
