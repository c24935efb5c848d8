"""Which networks the device computes exactly, and where one is not."""

from __future__ import annotations

from collections.abc import Mapping

from fkeras.arithmetic.passes import Floats
from fkeras.engines.cpu.plan import Plan
from fkeras.engines.gpu.operations import OPERATIONS
from fkeras.engines.gpu.registers import why_no_words, why_not
from fkeras.memory import BitSpace
from fkeras.network import Bias
from fkeras.network.fit import Misfit
from fkeras.network.sums import WeightedSum


def device_misfit(plan: Plan, space: BitSpace, inputs: Mapping[str, Floats]) -> Misfit | None:
    """What the device would not compute as the processor does; None where there is nothing."""
    network, grids, words = plan.network, plan.grids, {tensor.path for tensor in space.tensors}
    for register in space.registers:
        stated = inputs.get(register.tensor) if not register.quantizer else None
        if why := why_not(register) or ("" if stated is None else why_no_words(register, stated)):
            return Misfit(register.path, why)
    for node in network.before(network.outputs):
        operation = node.operation
        if type(operation) not in OPERATIONS:
            return Misfit(node.name, f"is a {type(operation).__name__}, which the GPU engine does not know")
        stored = [name for name in operation.parameters if name in network.tensors]
        if stored and not isinstance(operation, WeightedSum | Bias):
            return Misfit(node.name, f"reads the stored words '{stored[0]}' otherwise than as weights or a bias")
        if not grids[node.name].reproducible and words.intersection(stored):
            return Misfit(node.name, "reads stored words in sums that are not exact in float32")
    return None
