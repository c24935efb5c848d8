"""What a metric is: how bad the outputs are, per sample or over the whole data set.

A metric is bound once to the targets and to the golden (fault-free) outputs; what comes out, a `Scorer`,
scores any rows of any faulty outputs. Non-finite and otherwise undefined outputs are outcomes: they get
the metric's worst value and are counted, so no NaN ever reaches a mean or a verdict.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from fkeras.metrics.constant import mean_target

Direction = Literal["lower", "higher"]
Outputs = Any
"""One array (n, ...) or, for a model with several outputs, a tuple of arrays with the same n."""
Rows = slice | NDArray[np.intp]
"""Which samples of the data set the given outputs belong to."""


def parts_of(outputs: Outputs) -> tuple[NDArray[Any], ...]:
    """All outputs, the only one too, as a tuple."""
    return outputs if isinstance(outputs, tuple) else (outputs,)


@dataclass(frozen=True, slots=True)
class SampleScores:
    """One number per sample.

    values: (n,) float64, never NaN; undefined samples carry the metric's worst value.
    undefined: (n,) bool, the samples whose output has no defined score.
    """

    values: NDArray[np.float64]
    undefined: NDArray[np.bool_]


class Scorer(Protocol):
    """A sample metric bound to targets and golden outputs."""

    golden: SampleScores
    """The scores of the golden outputs, (n_samples,)."""

    def score(self, outputs: Outputs, rows: Rows) -> SampleScores:
        """Score `outputs` (as many samples as `rows` selects) against the targets of `rows`."""


@dataclass(frozen=True, slots=True)
class SampleMetric:
    """A metric that gives each sample a number; its value over a data set is the mean.

    name: how reports and limits call it (`max_<name>=`); better: which direction is better;
    bounds: (lowest, highest) possible value of one sample, or None when it has none;
    bind: (targets, golden outputs) -> Scorer;
    per_sample_sensitivity: True for classification, where a bit counts as sensitive when one sample that was
    right becomes wrong, whatever the mean does (paper, section 4.1);
    identity: text that two metrics share only when they compute the same thing (it enters cache keys);
    surrogate: name of the differentiable loss that stands in for it ("emd_cells", "cross_entropy",
    "squared_error"), or None;
    constant: (targets, golden outputs) -> outputs that predict the same for every sample as well as that can be done,
    None where nothing does.
    """

    name: str
    better: Direction
    bounds: tuple[float, float] | None
    bind: Callable[[Any, Outputs], Scorer]
    per_sample_sensitivity: bool = False
    identity: str = ""
    surrogate: str | None = None
    constant: Callable[[Any, Outputs], Outputs | None] = mean_target

    @property
    def worst(self) -> float:
        """The value that an undefined sample gets."""
        return worst_value(self.better, self.bounds)


@dataclass(frozen=True, slots=True)
class DatasetMetric:
    """A metric that is one number for the whole data set (AUC, efficiency at a fixed rate).

    function: (targets, outputs) -> float. A NaN or an exception for undefined outputs counts as undefined.
    constant: as in `SampleMetric`.
    """

    name: str
    better: Direction
    bounds: tuple[float, float] | None
    function: Callable[[Any, Outputs], float]
    identity: str = ""
    constant: Callable[[Any, Outputs], Outputs | None] = mean_target

    @property
    def worst(self) -> float:
        """The value that an undefined result gets."""
        return worst_value(self.better, self.bounds)


Metric = SampleMetric | DatasetMetric


def worst_value(better: Direction, bounds: tuple[float, float] | None) -> float:
    """The worst end of a metric's values."""
    if bounds is None:
        return np.inf if better == "lower" else -np.inf
    return bounds[1] if better == "lower" else bounds[0]


USERS = "user:"
"""Begins the identity of a user's function."""
UNNAMED = "unnamed-"
"""Begins the identity of a function that nobody gave one; what it computes cannot be read off it."""


def declared_identity(metric: Metric) -> str | None:
    """The metric's identity, None where it holds a function without one."""
    return None if not metric.identity or UNNAMED in metric.identity else metric.identity


def is_own(metric: Metric) -> bool:
    """Whether all that a metric computes is code of fkeras, so that no other code has its identity."""
    computes: list[Any] = [metric.bind if isinstance(metric, SampleMetric) else metric.function]
    while computes and USERS not in metric.identity:
        code = computes.pop()
        if isinstance(code, partial):
            computes += [code.func, *filter(callable, code.args)]
        elif not str(getattr(code, "__module__", "")).startswith(f"{__package__}."):
            return False
    return not computes
