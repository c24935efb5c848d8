"""Slopes of functions of tensors, by whatever framework computes them; each as one function, nested where second
derivatives are asked for."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

Tensors = Sequence[Any]


@dataclass(frozen=True, slots=True)
class Autodiff(ABC):
    """module: that of the framework."""

    module: Any

    @abstractmethod
    def tensor(self, x: Any) -> Any:
        """A number as a tensor."""

    @abstractmethod
    def gradient(self, function: Callable[[Tensors], Any], point: Tensors) -> Tensors:
        """The slopes, at a list of tensors, of the sum of all numbers that a function of them gives; 0 where it does
        not depend on them."""

    def products(self, some: Tensors, others: Tensors) -> Tensors:
        """Of tensors and numbers, one by one."""
        return [part * other for part, other in zip(some, others, strict=True)]

    def compiled(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function, compiled where calling it again is faster then."""
        return function


class TensorFlow(Autodiff):
    """By gradient tapes."""

    def tensor(self, x: Any) -> Any:
        return self.module.convert_to_tensor(x)

    def gradient(self, function: Callable[[Tensors], Any], point: Tensors) -> Tensors:
        point = list(map(self.tensor, point))
        with self.module.GradientTape() as tape:
            tape.watch(point)
            numbers = function(point)
        slopes: Tensors = tape.gradient(numbers, point, unconnected_gradients="zero")
        return slopes

    def products(self, some: Tensors, others: Tensors) -> Tensors:
        return [part * self.module.cast(other, part.dtype) for part, other in zip(some, others, strict=True)]

    def compiled(self, function: Callable[..., Any]) -> Callable[..., Any]:
        compiled: Callable[..., Any] = self.module.function(function, autograph=False, reduce_retracing=True)
        compiled._omit_frequent_tracing_warning = True  # type: ignore[attr-defined]  # of other functions of one code
        return compiled


class Jax(Autodiff):
    """Backwards only, as the straight-through slopes of quantizers have no way forwards."""

    def tensor(self, x: Any) -> Any:
        return self.module.numpy.asarray(x)

    def gradient(self, function: Callable[[Tensors], Any], point: Tensors) -> Tensors:
        def total(point: Tensors) -> Any:
            return sum(part.sum() for part in self.module.tree_util.tree_leaves(function(point)))

        slopes: Tensors = self.module.grad(total)(list(map(self.tensor, point)))
        return slopes
