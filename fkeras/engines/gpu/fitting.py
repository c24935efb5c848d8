"""Which networks the device computes exactly, and where one is not."""

from __future__ import annotations

from fkeras.engines.cpu.plan import Plan
from fkeras.engines.gpu.operations import OPERATIONS
from fkeras.memory import BitSpace
from fkeras.network import Affine, AveragePool, Bias, Merge, Node, Relu
from fkeras.network.fit import Misfit
from fkeras.network.sums import WeightedSum


def device_misfit(plan: Plan, space: BitSpace) -> Misfit | None:
    """What the device would not compute as the processor does; None where there is nothing."""
    network, grids, words = plan.network, plan.grids, {tensor.path for tensor in space.tensors}
    if space.registers:
        return Misfit(space.registers[0].path, "is a register, whose faults the CPU engine measures")
    for node in network.before(network.outputs):
        operation = node.operation
        if type(operation) not in OPERATIONS:
            return Misfit(node.name, f"is a {type(operation).__name__}, which the GPU engine does not know")
        stored = [name for name in operation.parameters if name in network.tensors]
        if stored and not isinstance(operation, WeightedSum | Bias):
            return Misfit(node.name, f"reads the stored words '{stored[0]}' otherwise than as weights or a bias")
        if not grids[node.name].reproducible and words.intersection(stored):
            return Misfit(node.name, "reads stored words in sums that are not exact in float32")
        if grids[node.name].reproducible and grids[node.name].step is None and _rounds_twice(node):
            return Misfit(node.name, "rounds what a processor rounds in steps, which GPUs round at once")
    return None


def _rounds_twice(node: Node) -> bool:
    """Whether a node rounds a product or a quotient, unless that is exact."""
    operation = node.operation
    if isinstance(operation, Relu):
        return bool(operation.slope)
    if isinstance(operation, Merge):
        return operation.kind in ("multiply", "average")
    return isinstance(operation, Affine | AveragePool)
