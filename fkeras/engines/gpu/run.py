"""The GPU engine's run: the CPU engine's, whose workers compute on the device."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from fkeras.engines.cpu.forward import gathered
from fkeras.engines.cpu.run import CpuRun, Worker
from fkeras.engines.cpu.sites import Site
from fkeras.engines.gpu.behind import DeviceBehind
from fkeras.engines.gpu.channel import DeviceSite
from fkeras.engines.gpu.counting import counting_of
from fkeras.engines.gpu.fitting import device_misfit
from fkeras.engines.gpu.program import Device, scratch_bytes
from fkeras.engines.gpu.setup import require_device
from fkeras.engines.gpu.tails import DeviceSuffix
from fkeras.memory import BitSpace
from fkeras.metrics.metric import Metric, parts_of
from fkeras.network import Network
from fkeras.network.fit import Misfit, outputs_misfit


class GpuRun(CpuRun):
    """The CPU engine's numbers, computed by JAX on the first device.

    Where the winning class decides, flips and fault sets are counted on the device. For other metrics the processor
    finds the states that flips lead to, the device computes what lies behind them, and the processor scores.
    misfit: why nothing may be asked of it, None where everything may.
    """

    engine = "gpu"
    batch_size = 256

    def __init__(self, network: Network, space: BitSpace, x: Any, y: Any, metrics: Mapping[str, Metric]) -> None:
        super().__init__(network, space, x, y, metrics)
        require_device()
        self.misfit = device_misfit(self.plan, space, self._samples.inputs)
        if self.misfit is None:
            self._device = Device(self.plan)
            self._counting = counting_of(self.plan, self._samples)
            self._suffixes: dict[str, DeviceSuffix] = {}
            self._on_cpu = self._behind
            self._behind = DeviceBehind(self._device, space, self._samples, self._counting)
            self.misfit = self._golden_misfit()

    def _worker_of(self, number: int) -> Worker | None:
        if self._counting is not None and number >= len(self.space.tensors):
            return None  # flips of registers are counted where fault sets are
        return super()._worker_of(number)

    def _worker_at(self, site: Site) -> Worker | None:
        decided = self._on_cpu.flips
        if self._counting is not None:
            return DeviceSite(self._device, site, self.space, self._samples, self._counting, decided)
        return self._site_worker(site, decided, self._suffix)

    def _suffix(self, end: str) -> DeviceSuffix:
        if end not in self._suffixes:
            self._suffixes[end] = DeviceSuffix(self._device, end)
        return self._suffixes[end]

    def _golden_misfit(self) -> Misfit | None:
        """Whether the device computes without a fault what the processor does."""
        network, plan = self.plan.network, self.plan
        rows = scratch_bytes() // (self._device.scratch(network.nodes) + self._device.held(network.shapes))

        def outputs(part: slice) -> dict[str, Any]:
            inputs = {name: x[part] for name, x in self._samples.inputs.items()}
            return {name: np.asarray(x) for name, x in self._device.golden(network.outputs, inputs).items()}

        computed = gathered(outputs, slice(0, self.n_samples), max(1, rows))
        golden = parts_of(self.golden_outputs)
        return outputs_misfit(network, plan.golden_grids, [computed[name] for name in network.outputs], golden)
