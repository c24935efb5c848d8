"""The data of a run, and what the fault-free network makes of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from fkeras.arithmetic.passes import Floats
from fkeras.engines.cpu.classes import ClassScores
from fkeras.metrics.metric import Outputs
from fkeras.scoring import Scorecard


@dataclass(frozen=True, eq=False)
class Samples:
    """inputs: by name, (n, ...) each; golden_outputs of all samples; card: the metrics, bound to them."""

    n: int
    inputs: Mapping[str, Floats]
    golden_outputs: Outputs
    card: Scorecard

    @cached_property
    def class_scores(self) -> ClassScores:
        """What the samples score where a class wins; for metrics that look at nothing else."""
        return ClassScores(self.card, self.golden_outputs)

    def chunks(self, size: int, rows: slice | None = None) -> list[slice]:
        """The rows of consecutive chunks of at most `size` samples, of all or of some."""
        first, stop = (0, self.n) if rows is None else (rows.start, rows.stop)
        return [slice(start, min(start + size, stop)) for start in range(first, stop, size)]
