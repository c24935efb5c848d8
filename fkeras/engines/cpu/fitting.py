"""Whether a network is what a framework computes: on the data at hand, not on anybody's word."""

from __future__ import annotations

from typing import Any

import numpy as np

from fkeras.engines.cpu.classes import BY_CLASS
from fkeras.engines.cpu.run import CpuRun
from fkeras.metrics.metric import Outputs, parts_of
from fkeras.network.fit import Misfit, outputs_misfit, unreproducible
from fkeras.scoring import Scorecard


def misfit(run: CpuRun, golden_outputs: Outputs, targets: Any) -> Misfit | None:
    """Why a network's numbers may differ from the framework's, whose fault-free outputs are `golden_outputs`; None
    where they cannot.

    Its quantizers must round only what everybody computes alike; its golden outputs must be the framework's, and so
    must the classes be where a metric counts them.
    """
    network, plan = run.plan.network, run.plan
    outputs = parts_of(run.golden_outputs), parts_of(golden_outputs)
    wrong = unreproducible(network, plan.grids) or outputs_misfit(network, plan.golden_grids, *outputs)
    by_class = {name: metric for name, metric in run.metrics.items() if metric.identity.endswith(BY_CLASS)}
    if wrong is None and by_class:
        for name, expected in Scorecard(by_class, targets, golden_outputs).golden.items():
            if not np.array_equal(np.asarray(run.golden[name].per_sample), np.asarray(expected.per_sample)):
                return Misfit(network.output_names[0], "has two classes that are as good as equal in a sample")
    return wrong
