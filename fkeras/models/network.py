"""Networks: what a `.fkn` file holds; the CPU or the GPU engine measures, and no framework is needed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fkeras.engine import Run
from fkeras.errors import Argument, InputError, ModelError, UnsupportedError
from fkeras.faults import FaultSet
from fkeras.memory import BitSpace, Coverage
from fkeras.memory.space import Memory
from fkeras.metrics.metric import Metric, Outputs
from fkeras.models.kinds import (
    ON_NETWORKS,
    Data,
    FrameworkModel,
    Model,
    Shipped,
    StartRun,
    engine_parts,
    require_words,
    space_of,
)
from fkeras.network import Function, Network
from fkeras.network.derivatives import NetworkDerivatives
from fkeras.network.feeding import flat_data, flat_targets
from fkeras.network.fit import Misfit, golden_misfit, rounding_misfit
from fkeras.network.floats import storing
from fkeras.sensitivity.losses import Loss, Targets

if TYPE_CHECKING:
    from fkeras.engines.cpu.run import CpuRun


class NetworkModel(Model):
    """A network on its own."""

    def __init__(self, network: Network) -> None:
        self._network = network

    @property
    def name(self) -> str:
        """The name of the model that it describes."""
        return self._network.name

    @property
    def opened(self) -> Network:
        return self._network

    def bit_space(self, coverage: Coverage) -> BitSpace:
        return space_of(self._network, coverage)

    def network(self, memory: Memory | None) -> Network:
        require_words(self._network, memory)
        return self._network

    def identity(self) -> Mapping[str, str]:
        """All that it computes."""
        return {"network": self._network.digest}

    def state(self) -> str:
        """Nobody changes a network."""
        return self._network.digest

    def targets(self, y: Any) -> Any:
        return flat_targets(self._network.output_names, y)

    def subject(self, space: BitSpace, data: Data) -> NetworkSubject:
        return NetworkSubject(self._network, space, data)

    def start_run(self, data: Data, metrics: Mapping[str, Metric], space: BitSpace, engine: str) -> Run:
        if engine_parts(engine)[0] not in ON_NETWORKS:
            raise UnsupportedError(
                f"network '{self.name}' is measured without the framework that it came from, so there is no ",
                Argument("engine", engine), "; use ", Argument("engine", "auto"), ", or the model file itself"
            )  # fmt: skip
        return start_network(self._network, data, metrics, space, engine)

    def shipped(self, run: Run) -> Shipped:
        """Itself."""
        return Shipped(run_of, replace(self._network))

    def injected(self, faults: FaultSet, space: BitSpace) -> AbstractContextManager[Any]:
        raise UnsupportedError(
            f"network '{self.name}' is no Keras model, so there is no view of it to call; measure it (campaign, "
            "oracle, metric_under_faults), or load the model file itself"
        )


def shipped_network(run: Run) -> Shipped | None:
    """The network that a run computes with, as workers get it; None where it computes with none."""
    from fkeras.engines.cpu.run import CpuRun

    # A fresh one, without what it has computed and could again.
    return Shipped(run_of, replace(run.plan.network)) if isinstance(run, CpuRun) else None


def run_of(network: Network, data: Data, metrics: Mapping[str, Metric], space: BitSpace, engine: str) -> CpuRun:
    """The GPU engine where it is asked for, or there is a GPU; the CPU engine otherwise, and for what it cannot do.

    Nobody judges whether the network serves these data. Workers call this.
    """
    from fkeras.engines.cpu.run import CpuRun
    from fkeras.engines.gpu.setup import require_device, sees_gpu

    network, (name, _) = storing(network, space), engine_parts(engine)
    misfit = None
    if name == "gpu" or (name == "auto" and sees_gpu()):
        require_device()
        from fkeras.engines.gpu.run import GpuRun

        run = GpuRun(network, space, *data, metrics)
        misfit = run.misfit
        if misfit is None:
            return run
    cpu = CpuRun(network, space, *data, metrics)
    if misfit is not None and name == "gpu":
        cpu.engine = f"cpu ('{misfit.node}' {misfit.why})"
    return cpu


def start_network(network: Network, data: Data, metrics: Mapping[str, Metric], space: BitSpace, engine: str) -> Run:
    """An engine on a network without a framework to judge it."""
    x, _ = data
    network = storing(network, space)
    wrong = rounding_misfit(network, flat_data(network.inputs, x))
    if wrong is not None:
        raise ModelError(
            f"network '{network.name}' cannot be measured on these data without its framework: node '{wrong.node}' "
            f"{wrong.why}, and another order of additions rounds otherwise; measure the model file itself"
        )
    return run_of(network, data, metrics, space, engine)


UsersLoss = Callable[[Any, Targets], Loss]


class NetworkSubject:
    """A network and its data, as rankings see them.

    start: starts runs of the model that it is the network of, users_loss: differentiates functions of users; None: of a
    network on its own.
    """

    def __init__(
        self,
        network: Network,
        space: BitSpace,
        data: Data,
        start: StartRun | None = None,
        users_loss: UsersLoss | None = None,
    ) -> None:
        self.inputs: tuple[NDArray[Any], ...] = flat_data(network.inputs, data[0])
        self.targets = flat_targets(network.output_names, data[1])
        self._network, self._space = storing(network, space), space
        self._start, self._users_loss = start, users_loss

    @cached_property
    def golden_outputs(self) -> Outputs:
        """Without a fault."""
        outputs = self.differentiable.outputs(self.inputs)
        return outputs[0] if len(outputs) == 1 else outputs

    @property
    def final_activation(self) -> str:
        """The function that the network's (first) output comes straight out of, "" for none."""
        last = [node.operation for node in self._network.nodes if node.name == self._network.outputs[0]]
        return last[0].name if last and isinstance(last[0], Function) else ""

    @cached_property
    def differentiable(self) -> NetworkDerivatives:
        """The network as a function of the stored values."""
        return NetworkDerivatives(self._network, [tensor.path for tensor in self._space.tensors], self._space.registers)

    def users_loss(self, loss: Any, targets: Targets) -> Loss:
        """What a user gave as loss=, of a model that has a framework to differentiate it."""
        if self._users_loss is not None:
            return self._users_loss(loss, targets)
        raise InputError(
            f"network '{self._network.name}' knows the losses of its metrics, and no ", Argument("loss", loss),
            "; leave it out, or rank the model file itself",
        )  # fmt: skip

    def run(self, x: Any, y: Any, metrics: Mapping[str, Metric]) -> Run:
        """The exact engine on other data."""
        if self._start is not None:
            return self._start((x, y), metrics, self._space, "auto")
        return start_network(self._network, (x, y), metrics, self._space, "auto")


FEW_SAMPLES = 32
"""On which a network that derivatives are taken of must compute what the framework computes."""


def ranks(
    network: Network,
    space: BitSpace,
    x: Any,
    golden_outputs: Callable[[Sequence[NDArray[Any]]], Sequence[NDArray[Any]]] | None = None,
) -> bool:
    """Whether derivatives of a network are those of its model: it holds the space's words, and on the first samples
    both compute the same.

    golden_outputs: what the framework computes; None where it is known to be the same.
    """
    stored = storing(network, space).tensors
    for tensor in space.tensors:
        if tensor.path not in stored or not np.array_equal(stored[tensor.path].golden, tensor.golden):
            return False
    few = [part[:FEW_SAMPLES] for part in flat_data(network.inputs, x)]
    if rounding_misfit(network, few) is not None:
        return False
    return golden_outputs is None or golden_misfit(network, few, golden_outputs(few)) is None


def start_judged(
    asked: FrameworkModel, network: Network, data: Data, metrics: Mapping[str, Metric], space: BitSpace, engine: str
) -> tuple[Run, Misfit | None]:
    """An engine on a model's network, and why this may compute on the data something else than its framework."""
    from fkeras.engines.cpu.fitting import misfit

    x, y = data
    run = run_of(network, data, metrics, space, engine)
    outputs = tuple(asked.golden_outputs(flat_data(network.inputs, x)))
    golden = outputs[0] if len(outputs) == 1 else outputs
    return run, misfit(run, golden, flat_targets(network.output_names, y))


def start_checked(
    asked: FrameworkModel, network: Network, data: Data, metrics: Mapping[str, Metric], space: BitSpace, engine: str
) -> Run:
    """An engine on a model's network. ModelError where this does not compute on the data what its framework
    computes."""
    run, wrong = start_judged(asked, network, data, metrics, space, engine)
    if wrong is not None:
        raise ModelError(
            f"model '{asked.name}' cannot be measured on these data: '{wrong.node}' {wrong.why}, so what faults do to "
            "it would be guessed; quantize what it reads, or look whether the data are scaled as in training"
        )
    return run
