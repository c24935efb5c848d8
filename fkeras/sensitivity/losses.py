"""Which differentiable loss stands for the damage: the user's, the metric's surrogate, or the task's usual one."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fkeras.errors import Argument, InputError, Name
from fkeras.metrics.classification import THRESHOLD, are_probabilities, class_labels, is_single_score, mispredictions
from fkeras.metrics.metric import Metric, Outputs, SampleMetric
from fkeras.metrics.regression import mean_squared_error
from fkeras.network.derivatives import TINY

Array = NDArray[Any]
Arrays = tuple[Array, ...]
Targets = Array | Arrays
FLOOR = 1e-7
"""Keras' epsilon: the smallest probability whose logarithm is taken."""


class Loss(ABC):
    """A loss of every sample, summed over a batch; outputs are arrays (batch, ...), a tuple of all that a model has.

    name: for reports; targets: one array (n, ...) or a tuple of them, of which a batch's are given to the methods.
    Its link leads from the outputs to coordinates in which it is convex and its curvature mild: logits, shares of mass.
    """

    name: str
    targets: Targets

    @abstractmethod
    def per_sample(self, targets: Any, outputs: Arrays) -> Array:
        """The loss of each sample, (batch,)."""

    @abstractmethod
    def slope(self, targets: Any, outputs: Arrays) -> Arrays:
        """The slopes of the sum in the outputs."""

    def slope_along(self, targets: Any, outputs: Arrays, direction: Arrays) -> Arrays:
        """By how much the slopes change along a direction of the outputs: the second derivatives times it."""
        moved = tuple(y + 1j * TINY * d for y, d in zip(outputs, direction, strict=True))
        return tuple(part.imag / TINY for part in self.slope(targets, moved))

    def linked(self, outputs: Arrays) -> Arrays:
        """The coordinates."""
        return outputs

    def unlinked(self, outputs: Arrays, slopes: Arrays) -> Arrays:
        """Slopes in the coordinates as slopes in the outputs."""
        return slopes

    def curvature(self, targets: Any, outputs: Arrays, direction: Arrays) -> Arrays:
        """The second derivatives in the coordinates, times a direction of the coordinates."""
        return self.slope_along(targets, outputs, direction)


@dataclass(frozen=True, slots=True)
class SquaredError(Loss):
    """The mean over a sample's numbers of the squared difference."""

    targets: Targets
    name: str = "squared_error"

    def per_sample(self, targets: Any, outputs: Arrays) -> Array:
        return np.asarray(np.square(outputs[0] - targets).reshape(len(targets), -1).mean(axis=1))

    def slope(self, targets: Any, outputs: Arrays) -> Arrays:
        difference = outputs[0] - targets
        return (2 * difference / max(difference[:1].size, 1),)


@dataclass(frozen=True, slots=True)
class CrossEntropy(Loss):
    """Of class numbers, or of 0 and 1 for a single score.

    scores: the outputs are "probabilities", "logits", or "shares" told apart at 0.5, whose logit's tangent counts.
    """

    targets: Targets
    scores: str
    binary: bool
    name: str = "cross_entropy"

    def _logits(self, values: Array) -> Array:
        z = values.reshape(-1, 1) if self.binary else values
        if self.scores == "logits":
            return z
        if self.scores == "shares":
            return 4 * (z - THRESHOLD)
        odds = np.log(_at_least(z, FLOOR))
        return odds - np.log(_at_least(1 - z, FLOOR)) if self.binary else odds

    def per_sample(self, targets: Any, outputs: Arrays) -> Array:
        z = self._logits(outputs[0]).astype(np.float64)
        if self.binary:
            return np.asarray(np.logaddexp(0, z[:, 0]) - targets.reshape(-1) * z[:, 0])
        most = z.max(axis=1, keepdims=True)
        total = most[:, 0] + np.log(np.exp(z - most).sum(axis=1))
        return np.asarray(total - np.take_along_axis(z, targets.reshape(-1, 1).astype(np.intp), 1)[:, 0])

    def _shares(self, z: Array) -> Array:
        if self.binary:
            return np.asarray(1 / (1 + np.exp(-z)))
        powers = np.exp(z - z.real.max(axis=1, keepdims=True))
        return np.asarray(powers / powers.sum(axis=1, keepdims=True))

    def slope(self, targets: Any, outputs: Arrays) -> Arrays:
        slope = self._shares(self._logits(outputs[0]))
        labels = targets.reshape(-1, 1)
        slope = slope - (labels if self.binary else labels == np.arange(slope.shape[1]))
        return self.unlinked(outputs, (slope,))

    def linked(self, outputs: Arrays) -> Arrays:
        return (self._logits(outputs[0]),)

    def unlinked(self, outputs: Arrays, slopes: Arrays) -> Arrays:
        values, (slope,) = outputs[0], slopes
        p = values.reshape(slope.shape)
        if self.scores == "shares":
            slope = 4 * slope
        elif self.scores == "probabilities":
            inverse = np.where(p.real > FLOOR, 1 / _at_least(p, FLOOR), 0)
            if self.binary:
                inverse = inverse + np.where(1 - p.real > FLOOR, 1 / _at_least(1 - p, FLOOR), 0)
            slope = slope * inverse
        return (slope.reshape(values.shape),)

    def curvature(self, targets: Any, outputs: Arrays, direction: Arrays) -> Arrays:
        share, (along,) = self._shares(self._logits(outputs[0])), direction
        if self.binary:
            return (share * (1 - share) * along,)
        return (share * (along - (share * along).sum(axis=1, keepdims=True)),)


@dataclass(frozen=True, slots=True)
class OfCells(Loss):
    """A sum over cells of the output's shares of mass: their squared difference from the target's, or, where the
    targets are dual potentials, the shares times these.

    cells: their places in a flat output.
    """

    name: str
    targets: Targets
    cells: NDArray[np.intp]
    squared: bool

    def _mass(self, values: Array) -> Array:
        return values.reshape(len(values), -1)[:, self.cells]

    def linked(self, outputs: Arrays) -> Arrays:
        mass = self._mass(outputs[0])
        total = mass.sum(axis=1, keepdims=True)
        return (np.where(total.real != 0, mass / np.where(total.real != 0, total, 1), 0),)

    def per_sample(self, targets: Any, outputs: Arrays) -> Array:
        (share,) = self.linked(outputs)
        return np.asarray((np.square(share - targets) if self.squared else share * targets).sum(axis=1))

    def slope(self, targets: Any, outputs: Arrays) -> Arrays:
        (share,) = self.linked(outputs)
        return self.unlinked(outputs, (2 * (share - targets) if self.squared else targets + 0 * share,))

    def unlinked(self, outputs: Arrays, slopes: Arrays) -> Arrays:
        values, (slope,) = outputs[0], slopes
        (share,), mass = self.linked(outputs), self._mass(values)
        total = mass.sum(axis=1, keepdims=True)
        of_mass = (slope - (slope * share).sum(axis=1, keepdims=True)) / np.where(total.real != 0, total, 1)
        whole = np.zeros((len(values), int(np.prod(values.shape[1:]))), of_mass.dtype)
        whole[:, self.cells] = np.where(total.real != 0, of_mass, 0)  # a cell has one place
        return (whole.reshape(values.shape),)

    def curvature(self, targets: Any, outputs: Arrays, direction: Arrays) -> Arrays:
        return (2 * direction[0] if self.squared else 0 * direction[0],)


def _at_least(values: Array, floor: float) -> Array:
    """The numbers, none below `floor`; complex ones by their real parts."""
    return np.where(values.real > floor, values, np.asarray(floor, values.real.dtype))


UsersLoss = Callable[[Any, Targets], Loss]
"""(what a user gave as loss=, targets) -> a Loss."""


def resolve_loss(
    loss: Any, metric: Metric | None, final_activation: str, y: Any, outputs: Outputs, users_loss: UsersLoss
) -> Loss:
    """The loss of `loss=`, else the metric's surrogate, else cross-entropy or squared error as the targets suggest.

    final_activation: the function that the model ends in, "" for none; outputs: the golden ones (n, ...), or a tuple.
    InputError names `loss=` when nothing fits.
    """
    if loss is not None:
        return users_loss(loss, _own_targets(y, outputs))
    surrogate = metric.surrogate if isinstance(metric, SampleMetric) else None
    if surrogate == "emd_cells":
        scorer: Any = metric.bind(y, outputs)  # type: ignore[union-attr]
        return OfCells("emd_cells", scorer.target_mass.astype(np.float32), scorer.cells, squared=True)
    single = not isinstance(outputs, tuple) and not isinstance(y, tuple | list)
    if single and (surrogate == "cross_entropy" or (surrogate is None and _looks_like_classes(y, outputs))):
        return _cross_entropy(final_activation, class_labels(y, outputs), outputs)
    if single and np.shape(y) == outputs.shape and np.asarray(y).dtype.kind in "biuf":
        return SquaredError(np.asarray(y, np.float32))
    raise InputError(
        f"no loss fits targets of shape {_shape(y)} and outputs of shape {_shape(outputs)}"
        f"{'' if metric is None else f' (metric {metric.name!r} has no surrogate that does)'}; pass loss=, "
        "a Keras loss or a function (y_true, y_pred) -> one number per sample"
    )


def damage_loss(
    metric: SampleMetric, loss: Any, final_activation: str, y: Any, outputs: Outputs, users_loss: UsersLoss
) -> Loss | None:
    """The loss whose slope is the metric's own where that is known, or a surrogate's; None when nothing fits.

    EMD: the output's normalized masses weighted by the golden optimum's dual potentials, its exact first order.
    """
    if metric.surrogate == "emd_cells":
        scorer: Any = metric.bind(y, outputs)
        potentials = scorer.potentials(np.arange(len(scorer.golden.values)))
        return OfCells("emd", potentials.astype(np.float32), scorer.cells, squared=False)
    try:
        return resolve_loss(loss, metric, final_activation, y, outputs, users_loss)
    except InputError:
        return None


def implied_metric(y: Any, outputs: Outputs) -> SampleMetric:
    """Mispredictions for class targets, mean squared error for targets shaped like the outputs; else an InputError."""
    if y is not None and not isinstance(outputs, tuple) and not isinstance(y, tuple | list):
        if _looks_like_classes(y, outputs):
            return mispredictions()
        if np.shape(y) == outputs.shape:
            return mean_squared_error()
    raise InputError(
        f"targets of shape {_shape(y)} and outputs of shape {_shape(outputs)} suggest no metric; pass ",
        Argument("metric"),
        ", for instance ",
        Argument("metric", "accuracy"),
        " or fkeras.metrics.emd(coordinates)",
    )


def _shape(data: Any) -> Any:
    return [np.shape(part) for part in data] if isinstance(data, tuple | list) else np.shape(data)


def _looks_like_classes(y: Any, outputs: Array) -> bool:
    targets = np.asarray(y)
    if targets.dtype.kind not in "biu" or outputs.ndim > 2:
        return False
    if targets.shape != outputs.shape or (outputs.ndim == 2 and outputs.shape[1] == 1):
        return targets.ndim == 1 or targets.shape[1:] == (1,)
    return bool(targets.ndim == 1 or (((targets == 0) | (targets == 1)).all() and (targets.sum(axis=1) == 1).all()))


def _cross_entropy(final_activation: str, labels: Array, outputs: Array) -> Loss:
    binary = is_single_score(outputs)
    if final_activation == ("sigmoid" if binary else "softmax"):
        scores = "probabilities"
    else:  # other single scores within [0, 1] (a clipped line, say) are told apart at 0.5 as well
        scores = "shares" if binary and are_probabilities(outputs) else "logits"
    return CrossEntropy(labels.astype(np.int32), scores, binary)


def _own_targets(y: Any, outputs: Outputs) -> Targets:
    if y is None:
        raise InputError("loss= needs targets: pass ", Argument("data", Name("(x, y)")))
    if isinstance(outputs, tuple):
        if not isinstance(y, tuple | list) or len(y) != len(outputs):
            raise InputError(f"the model has {len(outputs)} outputs; y must be a tuple of as many arrays")
        return tuple(_one_target(part) for part in y)
    return _one_target(y)


def _one_target(y: Any) -> Array:
    targets = np.asarray(y)
    return targets.astype(np.float32) if targets.dtype == np.float64 else targets
