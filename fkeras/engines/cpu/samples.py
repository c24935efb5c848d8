"""The data of a run, and what the fault-free network makes of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from fkeras.engines.cpu.channels import Floats
from fkeras.metrics.metric import Outputs
from fkeras.scoring import Scorecard


@dataclass(frozen=True, eq=False)
class Samples:
    """inputs: by name, (n, ...) each; golden_outputs of all samples; card: the metrics, bound to them."""

    n: int
    inputs: Mapping[str, Floats]
    golden_outputs: Outputs
    card: Scorecard

    def chunks(self, size: int) -> list[slice]:
        """The rows of consecutive chunks of at most `size` samples."""
        return [slice(start, min(start + size, self.n)) for start in range(0, self.n, size)]
