"""What ranking methods may ask about a TensorFlow model: derivatives and exact runs on chosen samples."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fkeras.backends.tf.derivatives import TensorFlowDerivatives
from fkeras.backends.tf.forward import forward_of, golden_values
from fkeras.backends.tf.losses import Loss, resolve_loss
from fkeras.backends.tf.tracing import flat_data
from fkeras.engine import Run
from fkeras.errors import InputError
from fkeras.memory import BitSpace
from fkeras.metrics.metric import Metric, Outputs
from fkeras.scoring import joined

CHUNK = 1024
StartRun = Callable[[Any, tuple[Any, Any], Mapping[str, Metric], BitSpace], Run]


class ModelEvidence:
    """A model, its data, a metric and a loss, each used only when a method asks for it.

    start_run: makes the exact engine for (model, (x, y), metrics, space).
    """

    def __init__(self, model: Any, space: BitSpace, data: tuple[Any, Any] | None, metric: Metric | None, loss: Any,
                 seed: int, start_run: StartRun) -> None:
        self.space, self.metric, self.seed = space, metric, seed
        self._model, self._loss, self._start_run = model, loss, start_run
        self._inputs = None if data is None else flat_data(model, data[0])
        self._y = None if data is None else data[1]
        self.n_samples = 0 if self._inputs is None else int(self._inputs[0].shape[0])

    def derivatives(self, rows: NDArray[np.int64] | None = None) -> TensorFlowDerivatives:
        """Derivatives of the loss (of the outputs alone without targets) on `rows`, all samples unless given."""
        inputs = self._some_inputs(rows)
        loss = self._resolved(inputs, rows) if self._y is not None else None
        return TensorFlowDerivatives(self._model, self.space, inputs, loss)

    def run(self, rows: NDArray[np.int64]) -> Run:
        """The exact engine on `rows`."""
        if self.metric is None or self._y is None:
            raise InputError("an exact run needs metric= and data=(x, y)")
        inputs = self._some_inputs(rows)
        x = inputs[0] if len(inputs) == 1 else list(inputs)
        return self._start_run(self._model, (x, _some(self._y, rows)), {self.metric.name: self.metric}, self.space)

    def _some_inputs(self, rows: NDArray[np.int64] | None) -> tuple[NDArray[Any], ...]:
        if self._inputs is None:
            raise InputError("this ranking needs data: pass data=(x, y), or method='msb', which needs none")
        return self._inputs if rows is None else tuple(array[rows] for array in self._inputs)

    def _resolved(self, inputs: tuple[NDArray[Any], ...], rows: NDArray[np.int64] | None) -> Loss:
        y = self._y if rows is None else _some(self._y, rows)
        return resolve_loss(self._loss, self.metric, self._model, y, self._golden_outputs(inputs))

    def _golden_outputs(self, inputs: tuple[NDArray[Any], ...]) -> Outputs:
        forward, values = forward_of(self._model, self.space), golden_values(self.space)
        parts = [tuple(output.numpy() for output in forward([array[start:start + CHUNK] for array in inputs], values))
                 for start in range(0, inputs[0].shape[0], CHUNK)]
        outputs = joined(parts)
        return outputs[0] if len(outputs) == 1 else outputs


def _some(y: Any, rows: NDArray[np.int64]) -> Any:
    return tuple(np.asarray(part)[rows] for part in y) if isinstance(y, tuple) else np.asarray(y)[rows]
