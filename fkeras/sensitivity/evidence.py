"""What ranking methods may ask about a model: derivatives, and exact runs on chosen samples."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from fkeras.engine import Run
from fkeras.errors import Argument, InputError, Name
from fkeras.memory import BitSpace
from fkeras.metrics.inputs import take
from fkeras.metrics.metric import DatasetMetric, Metric, Outputs, SampleMetric
from fkeras.sensitivity.derivatives import Differentiable, LossDerivatives
from fkeras.sensitivity.losses import Loss, Targets, damage_loss, implied_metric, resolve_loss


class Subject(Protocol):
    """A model and its data, as rankings see them."""

    @property
    def inputs(self) -> tuple[NDArray[Any], ...]:
        """Arrays in the order of the model's inputs."""

    @property
    def targets(self) -> Any:
        """One array or a tuple of them."""

    @property
    def golden_outputs(self) -> Outputs:
        """Without a fault."""

    @property
    def final_activation(self) -> str:
        """The function that the model ends in, "" for none."""

    @property
    def differentiable(self) -> Differentiable:
        """The model as a function of the stored values."""

    def users_loss(self, loss: Any, targets: Targets) -> Loss:
        """What a user gave as loss=."""

    def run(self, x: Any, y: Any, metrics: Mapping[str, Metric]) -> Run:
        """The exact engine on other data."""


class SubjectEvidence:
    """A model, its data, a metric and a loss, each used only when a method asks for it.

    subject: makes the model and its data; None without data.
    """

    def __init__(
        self, space: BitSpace, subject: Callable[[], Subject] | None, metric: Metric | None, loss: Any, seed: int
    ) -> None:
        self.space, self.metric, self.seed = space, metric, seed
        self._loss, self._make = loss, subject

    @cached_property
    def _subject(self) -> Subject:
        if self._make is None:
            without = "; without data there are 'msb' and 'random'"
            raise InputError("this ranking needs data: pass ", Argument("data", Name("(x, y)")), without)
        return self._make()

    @cached_property
    def n_samples(self) -> int:
        """Samples in the data, 0 without any."""
        return 0 if self._make is None else int(self._subject.inputs[0].shape[0])

    def derivatives(self) -> LossDerivatives:
        """Derivatives of the loss, or of the outputs alone without targets."""
        one = self._subject
        loss = (
            None
            if one.targets is None
            else resolve_loss(
                self._loss, self.metric, one.final_activation, one.targets, one.golden_outputs, one.users_loss
            )
        )
        return self._derivatives(loss)

    def damage(self) -> SampleMetric:
        """The metric, or the one that the targets suggest."""
        if isinstance(self.metric, DatasetMetric):
            raise InputError(
                f"metric '{self.metric.name}' is one number for the whole data set; this ranking looks at "
                "samples: give a metric per sample, or use ",
                Argument("method", "displacement"),
            )
        if self.metric is None:
            return implied_metric(self._subject.targets, self._subject.golden_outputs)
        return self.metric

    def damage_derivatives(self) -> LossDerivatives | None:
        """Derivatives of the damage, exact to first order for EMD; of a surrogate, or None, for other metrics."""
        one = self._subject
        loss = damage_loss(
            self.damage(), self._loss, one.final_activation, one.targets, one.golden_outputs, one.users_loss
        )
        return None if loss is None else self._derivatives(loss)

    def run(self, rows: NDArray[np.int64]) -> Run:
        """The exact engine on `rows`."""
        inputs, y, damage = take(self._subject.inputs, rows), self._subject.targets, self.damage()
        targets = tuple(np.asarray(part)[rows] for part in y) if isinstance(y, tuple) else np.asarray(y)[rows]
        return self._subject.run(inputs[0] if len(inputs) == 1 else list(inputs), targets, {damage.name: damage})

    def _derivatives(self, loss: Loss | None) -> LossDerivatives:
        return LossDerivatives(self._subject.differentiable, self.space, self._subject.inputs, loss)
