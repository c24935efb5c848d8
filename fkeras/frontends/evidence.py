"""A model that its framework differentiates, and its data, as rankings see them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fkeras.engine import Run
from fkeras.errors import Argument, UnsupportedError
from fkeras.frontends.autodiff import Autodiff, Tensors
from fkeras.frontends.losses import final_activation, users_loss
from fkeras.frontends.qkeras.forward import golden_values
from fkeras.frontends.qkeras.framework import all_outputs
from fkeras.memory import BitSpace
from fkeras.metrics.metric import Metric, Outputs
from fkeras.network.derivatives import RegisterRead
from fkeras.sensitivity.derivatives import SlopesAlong, SlopesOf
from fkeras.sensitivity.losses import Arrays, Loss, Targets

Forward = Callable[[Sequence[Any], Sequence[Any]], Sequence[Any]]
"""outputs = forward(inputs, values): tensors, of flat inputs and one value per stored tensor."""


class ForwardDerivatives:
    """Every call is computed in float32; each function is compiled once, where its framework compiles."""

    def __init__(self, forward: Forward, space: BitSpace, autodiff: Autodiff) -> None:
        self._forward, self._space, self._autodiff = forward, space, autodiff
        self._theta = [autodiff.tensor(tensor.golden.reshape(tensor.shape)) for tensor in space.tensors]

    def outputs(self, inputs: Sequence[NDArray[Any]]) -> Arrays:
        return tuple(map(np.asarray, self._forward(inputs, self._theta)))

    def pulled(self, inputs: Sequence[NDArray[Any]], slopes_of: SlopesOf) -> list[NDArray[np.float64]]:
        return [_flat(self._pull(inputs, self._theta, _cast(parts))) for parts in slopes_of(self.outputs(inputs))]

    def reads(self, inputs: Sequence[NDArray[Any]], slopes_of: SlopesOf) -> Iterator[RegisterRead]:
        """UnsupportedError: only a network knows what its registers hold."""
        raise UnsupportedError(
            "registers are ranked by the derivatives of the model's network, which does not compute on these data what "
            "the model computes; rank by ", Argument("method", "msb"), " or ", Argument("method", "random"),
        )  # fmt: skip

    def curved(
        self, inputs: Sequence[NDArray[Any]], direction: NDArray[np.float64], slopes_along: SlopesAlong
    ) -> NDArray[np.float64]:
        sizes = np.cumsum([tensor.size for tensor in self._space.tensors])[:-1]
        vector = [
            part.reshape(tensor.shape)
            for part, tensor in zip(np.split(direction.astype(np.float32), sizes), self._space.tensors, strict=True)
        ]
        outputs = self.outputs(inputs)
        change = tuple(map(np.asarray, self._pushed(inputs, self._theta, vector, _cast(outputs))))
        slopes, their_change = slopes_along(outputs, change)
        of_outputs = self._bent(inputs, self._theta, vector, _cast(slopes))
        return _flat(of_outputs) + _flat(self._pull(inputs, self._theta, _cast(their_change)))

    def _slopes(self, inputs: Tensors, values: Tensors, slopes: Tensors) -> Tensors:
        def products(values: Tensors) -> Tensors:
            return self._autodiff.products(self._forward(inputs, values), slopes)

        return self._autodiff.gradient(products, values)

    @cached_property
    def _pull(self) -> Callable[..., Tensors]:
        """J^T slopes."""
        return self._autodiff.compiled(self._slopes)

    @cached_property
    def _pushed(self) -> Callable[..., Tensors]:
        """J vector: the transpose of the transpose; some: of the outputs' shapes."""

        def push(inputs: Tensors, values: Tensors, vector: Tensors, some: Tensors) -> Tensors:
            def along(some: Tensors) -> Tensors:
                return self._autodiff.products(self._slopes(inputs, values, some), vector)

            return self._autodiff.gradient(along, some)

        return self._autodiff.compiled(push)

    @cached_property
    def _bent(self) -> Callable[..., Tensors]:
        """The change of J^T slopes along the vector, at constant slopes."""

        def bend(inputs: Tensors, values: Tensors, vector: Tensors, slopes: Tensors) -> Tensors:
            def along(values: Tensors) -> Tensors:
                return self._autodiff.products(self._slopes(inputs, values, slopes), vector)

            return self._autodiff.gradient(along, values)

        return self._autodiff.compiled(bend)


def _cast(slopes: Sequence[NDArray[Any]]) -> list[NDArray[np.float32]]:
    return [np.asarray(part, np.float32) for part in slopes]


def _flat(parts: Tensors) -> NDArray[np.float64]:
    return np.concatenate([np.asarray(part, np.float64).reshape(-1) for part in parts])


StartRun = Callable[[tuple[Any, Any], Mapping[str, Metric], BitSpace, str], Run]


@dataclass(frozen=True)
class FrameworkSubject:
    """model: of a Keras, whose module `keras` is; forward: it as a function of inputs and stored values; inputs,
    targets: in its order; start_run: makes the exact engine for ((x, y), metrics, space, engine)."""

    model: Any
    keras: Any
    autodiff: Autodiff
    forward: Any
    space: BitSpace
    inputs: tuple[NDArray[Any], ...]
    targets: Any
    start_run: StartRun

    @cached_property
    def golden_outputs(self) -> Outputs:
        """Without a fault."""
        return all_outputs(self.forward, self.inputs, golden_values(self.space))

    @cached_property
    def final_activation(self) -> str:
        """The function that the model ends in, "" for none."""
        return final_activation(self.model)

    @cached_property
    def differentiable(self) -> ForwardDerivatives:
        """The model as a function of the stored values."""
        return ForwardDerivatives(self.forward, self.space, self.autodiff)

    def users_loss(self, loss: Any, targets: Targets) -> Loss:
        """What a user gave as loss=."""
        return users_loss(loss, targets, self.keras, self.autodiff)

    def run(self, x: Any, y: Any, metrics: Mapping[str, Metric]) -> Run:
        """The exact engine on other data."""
        return self.start_run((x, y), metrics, self.space, "auto")
