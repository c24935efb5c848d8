"""What ranking methods may ask about a TensorFlow model: derivatives and exact runs on chosen samples."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fkeras.engine import Run
from fkeras.errors import Argument, InputError, Name
from fkeras.frontends.qkeras.derivatives import TensorFlowDerivatives
from fkeras.frontends.qkeras.forward import forward_of, golden_values
from fkeras.frontends.qkeras.losses import damage_loss, implied_metric, resolve_loss
from fkeras.frontends.qkeras.reference import all_outputs
from fkeras.frontends.qkeras.tracing import flat_data, flat_targets
from fkeras.memory import BitSpace
from fkeras.metrics.inputs import take
from fkeras.metrics.metric import DatasetMetric, Metric, Outputs, SampleMetric

StartRun = Callable[[Any, tuple[Any, Any], Mapping[str, Metric], BitSpace], Run]


class ModelEvidence:
    """A model, its data, a metric and a loss, each used only when a method asks for it.

    start_run: makes the exact engine for (model, (x, y), metrics, space).
    """

    def __init__(
        self,
        model: Any,
        space: BitSpace,
        data: tuple[Any, Any] | None,
        metric: Metric | None,
        loss: Any,
        seed: int,
        start_run: StartRun,
    ) -> None:
        self.space, self.metric, self.seed = space, metric, seed
        self._model, self._loss, self._start_run = model, loss, start_run
        self._inputs = None if data is None else flat_data(model, data[0])
        self._y = None if data is None else flat_targets(model, data[1])
        self.n_samples = 0 if self._inputs is None else int(self._inputs[0].shape[0])

    def derivatives(self) -> TensorFlowDerivatives:
        """Derivatives of the loss, or of the outputs alone without targets."""
        loss = (
            None
            if self._y is None
            else resolve_loss(self._loss, self.metric, self._model, self._y, self._golden_outputs)
        )
        return TensorFlowDerivatives(self._model, self.space, self._required_inputs(), loss)

    def damage(self) -> SampleMetric:
        """The metric, or the one that the targets suggest."""
        if isinstance(self.metric, DatasetMetric):
            raise InputError(
                f"metric '{self.metric.name}' is one number for the whole data set; this ranking looks at "
                "samples: give a metric per sample, or use ",
                Argument("method", "displacement"),
            )
        return implied_metric(self._y, self._golden_outputs) if self.metric is None else self.metric

    def damage_derivatives(self) -> TensorFlowDerivatives | None:
        """Derivatives of the damage, exact to first order for EMD; of a surrogate, or None, for other metrics."""
        loss = damage_loss(self.damage(), self._loss, self._model, self._y, self._golden_outputs)
        return None if loss is None else TensorFlowDerivatives(self._model, self.space, self._required_inputs(), loss)

    def run(self, rows: NDArray[np.int64]) -> Run:
        """The exact engine on `rows`."""
        inputs = take(self._required_inputs(), rows)
        damage = self.damage()
        y = [np.asarray(part)[rows] for part in self._y] if isinstance(self._y, tuple) else np.asarray(self._y)[rows]
        return self._start_run(
            self._model,
            (inputs[0] if len(inputs) == 1 else list(inputs), tuple(y) if isinstance(y, list) else y),
            {damage.name: damage},
            self.space,
        )

    def _required_inputs(self) -> tuple[NDArray[Any], ...]:
        if self._inputs is None:
            without = "; without data there are 'msb' and 'random'"
            raise InputError("this ranking needs data: pass ", Argument("data", Name("(x, y)")), without)
        return self._inputs

    @cached_property
    def _golden_outputs(self) -> Outputs:
        inputs = self._required_inputs()
        return all_outputs(forward_of(self._model, self.space), inputs, golden_values(self.space))
