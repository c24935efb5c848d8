"""Whether a network is what a framework computes: on the data at hand, not on anybody's word."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from fkeras.engine import GoldenScore, Run
from fkeras.engines.cpu.classes import BY_CLASS
from fkeras.engines.cpu.run import CpuRun
from fkeras.metrics.metric import Outputs, parts_of
from fkeras.network.fit import Misfit, outputs_misfit, unreproducible


@dataclass(frozen=True, eq=False)
class Judge:
    """What a framework computes without a fault, and how its outputs score."""

    golden_outputs: Outputs
    golden: Mapping[str, GoldenScore]


def misfit(run: CpuRun, judge: Run | Judge) -> Misfit | None:
    """Why a network's numbers may differ from the framework's on the same data; None where they cannot.

    Its quantizers must round only what everybody computes alike; its golden outputs must be the framework's, and so
    must the classes be where a metric counts them.
    """
    network, plan = run.plan.network, run.plan
    found = unreproducible(network, plan.grids)
    if found is None:
        found = outputs_misfit(network, plan.golden_grids, *(parts_of(one.golden_outputs) for one in (run, judge)))
    if found is None:
        for name, metric in run.metrics.items():
            computed, expected = (np.asarray(one.golden[name].per_sample) for one in (run, judge))
            if metric.identity.endswith(BY_CLASS) and not np.array_equal(computed, expected):
                return Misfit(network.output_names[0], "has two classes that are as good as equal in a sample")
    return found
