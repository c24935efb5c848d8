"""The metric under a fault set, for tests that look for faults themselves."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fkeras.faults import FaultSet
    from fkeras.memory import BitSpace
    from fkeras.runs.remembering import RememberingRun
    from fkeras.study import Study


class MetricUnderFaults:
    """The `metric_under_faults` fixture: `metric_under_faults(faults)`, or `metric_under_faults(faults, "emd")`.

    faults: a FaultSet, its text, or flat indices to flip. Each fault set is measured once. In a hypothesis test the
    search is led towards more damage.
    """

    def __init__(self, resilience: Study) -> None:
        self._resilience = resilience
        self._runs: dict[str, RememberingRun] = {}

    def __call__(self, faults: FaultSet | str | Any, metric: str | None = None) -> float:
        from fkeras.runs.remembering import RememberingRun

        name = self._resilience.which(metric)
        self._resilience.require_unchanged()
        if name not in self._runs:
            self._runs[name] = RememberingRun(self._resilience.run([name]))
        run = self._runs[name]
        chosen = as_faults(faults, run.space)
        run.space.require_layout(chosen.layout_digest, "this fault set")
        value = float(run.fault_sets([chosen])[name].values[0])
        strategies = sys.modules.get("fkeras.strategies")
        if strategies is not None:
            better_down = run.metrics[name].better == "lower"
            strategies.aim_at(value if better_down else -value, f"damage to {name}")
        return value


def as_faults(faults: FaultSet | str | Any, space: BitSpace) -> FaultSet:
    """A FaultSet from one, from its text, or from flat indices to flip."""
    import numpy as np

    from fkeras.faults import FaultSet

    if isinstance(faults, str):
        return FaultSet.parse(faults, space)
    return faults if isinstance(faults, FaultSet) else FaultSet(np.asarray(faults))
