"""A read-only view of a model that computes with faulty words, whatever framework computes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np

from fkeras.errors import FkerasError, InputError, whole
from fkeras.faults import FaultSet

_READ_ONLY = (
    "fit",
    "fit_generator",
    "train_on_batch",
    "train_step",
    "compile",
    "set_weights",
    "load_weights",
    "save",
    "save_weights",
    "add_loss",
    "add_metric",
)
_CLOSED = "this faulty view is closed: its `with fkeras.injected(...)` block has ended"


class View(ABC):
    """A read-only view of a model with some words wrong: call it, `predict`, `evaluate`.

    It computes with the stored words of its faults in place of the quantizers' output and with everything else as
    the model has it. It does not train and is closed at the end of the `with` block.
    """

    def __init__(self, model: Any, faults: Any) -> None:
        if not isinstance(faults, FaultSet):
            kind = type(faults).__name__
            raise InputError(f"faults is {kind}; allowed is a FaultSet, as in fkeras.FaultSet([12, 977])")
        self.faults = faults
        self._model = model
        self._is_open = True

    def __repr__(self) -> str:
        return f"<faulty view of '{self._model.name}' with {len(self.faults)} faults>"

    def close(self) -> None:
        """End the view; calls raise from now on."""
        self._is_open = False

    def outputs(self, flat: Sequence[Any]) -> Any:
        """The faulty outputs as tensors, in the model's structure, for inputs in order. FkerasError once closed."""
        if not self._is_open:
            raise FkerasError(_CLOSED)
        return self._packed(self._tensors(flat))

    @abstractmethod
    def _flat(self, x: Any) -> tuple[Any, ...]:
        """Data as arrays in the order of the inputs."""

    @abstractmethod
    def _tensors(self, flat: Sequence[Any]) -> Sequence[Any]:
        """The faulty outputs, flat."""

    @abstractmethod
    def _packed(self, flat: Sequence[Any]) -> Any:
        """Flat outputs in the structure that the model itself returns."""

    @abstractmethod
    def _compiled(self) -> Any:
        """A Keras model around the view with the loss of the model and fresh copies of its metrics.

        Weight penalties are the model's own: a fault hits the stored words, not the latent weights.
        """

    def __call__(self, x: Any, training: bool = False) -> Any:
        """The faulty outputs as tensors, in inference mode."""
        if training:
            raise InputError("a faulty view computes in inference mode only; training=True is not allowed")
        return self.outputs(self._flat(x))

    def predict(self, x: Any, batch_size: int | None = None, verbose: Any = 0) -> Any:
        """The faulty outputs as numpy arrays, in batches of 32 unless said, as Keras' own `predict` makes them.

        verbose: taken so that calls written for a model work; a view prints nothing.
        """
        if not self._is_open:
            raise FkerasError(_CLOSED)
        flat = self._flat(x)
        rows = _batch_rows(batch_size)
        parts = [
            [np.asarray(output) for output in self._tensors([array[start : start + rows] for array in flat])]
            for start in range(0, flat[0].shape[0], rows)
        ]
        return self._packed([np.concatenate(pieces) for pieces in zip(*parts, strict=True)])

    def evaluate(
        self,
        x: Any,
        y: Any,
        batch_size: int | None = None,
        verbose: Any = 0,
        sample_weight: Any = None,
        return_dict: bool = False,
    ) -> Any:
        """Loss and metrics of a compiled model under the faults, as Keras' own `evaluate` gives them.

        verbose: taken so that calls written for a model work; a view prints nothing.
        """
        if not self._is_compiled():
            raise InputError(
                f"model '{self._model.name}' is not compiled; compile it with a loss, or use predict and "
                "a fkeras metric"
            )
        flat = self._flat(x)
        if not self._is_open:
            raise FkerasError(_CLOSED)
        for layer in self._model._flatten_layers():
            if getattr(layer, "_activity_regularizer", None) is not None:
                raise InputError(
                    f"evaluate: layer '{layer.name}' has an activity regularizer, whose loss a faulty view "
                    "does not compute; use predict and a fkeras metric"
                )
        inputs = flat[0] if len(flat) == 1 else list(flat)
        return self._compiled().evaluate(
            inputs,
            y,
            batch_size=_batch_rows(batch_size),
            verbose=0,
            sample_weight=sample_weight,
            return_dict=return_dict,
        )

    @abstractmethod
    def _is_compiled(self) -> bool:
        """Whether the model has a loss."""

    def __getattr__(self, name: str) -> Any:
        if name in _READ_ONLY:
            raise InputError(
                f"a faulty view is read-only: `{name}` is not allowed; use the model itself, or "
                "fkeras.layers for training with faults"
            )
        raise AttributeError(f"a faulty view has no attribute {name!r}; it has call, predict, evaluate and faults")


def _batch_rows(batch_size: int | None) -> int:
    return 32 if batch_size is None else whole("batch_size", batch_size, 1)
