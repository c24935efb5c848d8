"""The CPU engine's run: single flips by channel where the plan allows, else by what lies behind the fault."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from fkeras.arithmetic.passes import Floats
from fkeras.engine import Scores
from fkeras.engines.cpu.activations import Activations
from fkeras.engines.cpu.behind import Behind
from fkeras.engines.cpu.forward import gathered
from fkeras.engines.cpu.plan import Plan, plan_of
from fkeras.engines.cpu.samples import Samples
from fkeras.engines.cpu.sites import Site
from fkeras.engines.cpu.suffix import Suffix
from fkeras.engines.cpu.worker import CellWorker, Flips, SiteWorker, cells_of
from fkeras.faults import FaultSet
from fkeras.memory import BitSpace
from fkeras.metrics.inputs import read_only
from fkeras.metrics.metric import Metric, Outputs
from fkeras.network import Network, grid_of
from fkeras.network.feeding import flat_data, flat_targets
from fkeras.scoring import Scorecard


class Worker(Protocol):
    """Who flips the bits of one tensor."""

    def release(self) -> None:
        """Let go of golden activations."""
        ...

    def blocks(self, bits: NDArray[np.int64]) -> Sequence[NDArray[np.intp]]:
        """Positions within `bits` that are best measured together."""
        ...

    def flips(self, bits: NDArray[np.int64]) -> dict[str, Scores]:
        """Each of `bits` flipped alone."""
        ...


class CpuRun:
    """The outputs of a network under faults, by channel updates where the arithmetic is exact."""

    engine = "cpu"
    batch_size = 8

    def __init__(self, network: Network, space: BitSpace, x: Any, y: Any, metrics: Mapping[str, Metric]) -> None:
        """space: of tensors that the network stores."""
        arrays = flat_data(network.inputs, x)
        inputs = {part.name: array.astype(np.float32) for part, array in zip(network.inputs, arrays, strict=True)}
        self.plan = plan_of(network, space, {name: grid_of(array) for name, array in inputs.items()})
        self.golden_outputs: Outputs = read_only(_outputs(self.plan, inputs))
        card = Scorecard(metrics, flat_targets(network.output_names, y), self.golden_outputs)
        self.space, self.metrics, self.golden, self.n_samples = space, dict(metrics), card.golden, len(arrays[0])
        self._samples = Samples(self.n_samples, inputs, self.golden_outputs, card)
        self._behind = Behind(self.plan, space, self._samples)
        self._activations = Activations(self.plan, self._samples)
        self._workers: dict[int, Worker | None] = {}

    def worker(self, tensor: int) -> Worker | None:
        """Who flips the bits of an array, of all single flips at once; None where nobody can."""
        if tensor not in self._workers:
            checked = any(register.limits is not None for register in self.space.registers)
            self._workers[tensor] = None if checked else self._worker_of(tensor)
        return self._workers[tensor]

    def _worker_of(self, number: int) -> Worker | None:
        n_stored = len(self.space.tensors)
        if number < n_stored:
            site = self.plan.sites.get(number)
            return None if site is None else self._worker_at(site)
        cells = cells_of(self.plan, self.space.registers[number - n_stored])
        if cells is None:
            return None
        decided, suffix = self._behind.flips, self._suffix
        return CellWorker(self.plan, *cells, self.space, self._samples, self._activations, decided, suffix)

    def _suffix(self, end: str) -> Suffix:
        """What computes outputs from `end` on."""
        return self.plan.suffix(end)

    def _worker_at(self, site: Site) -> Worker | None:
        return self._site_worker(site, self._behind.flips, self._suffix)

    def _site_worker(self, site: Site, decided: Flips, suffix: Callable[[str], Suffix]) -> SiteWorker | None:
        if self.plan.flow(site) is None:
            return None
        return SiteWorker(self.plan, site, self.space, self._samples, self._activations, decided, suffix)

    def batches(self, bits: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
        """Positions within `bits` that are best measured together: faults of a tensor, channel by channel."""
        tensor = self.space.locate(bits).tensor
        for number in np.unique(tensor).tolist():
            here, worker = np.flatnonzero(tensor == number), self.worker(number)
            if worker is None:
                yield from np.split(here, range(self.batch_size, here.size, self.batch_size))
            else:
                yield from (here[block] for block in worker.blocks(bits[here]))

    def flips(self, bits: NDArray[np.int64]) -> dict[str, Scores]:
        """Each bit flipped alone."""
        tensor = self.space.locate(bits).tensor
        results = {name: Scores.zeros(bits.size) for name in self.metrics}
        for number in np.unique(tensor).tolist():
            here, worker = np.flatnonzero(tensor == number), self.worker(number)
            flipping = self._behind if worker is None else worker
            for other in (self._behind, *self._workers.values()):
                if other is not None and other is not flipping:
                    other.release()
            for name, scores in flipping.flips(bits[here]).items():
                results[name].fill(here, scores)
        return results

    def fault_sets(self, faults: Sequence[FaultSet]) -> dict[str, Scores]:
        """Each fault set injected alone."""
        return self._behind.fault_sets(faults)


def _outputs(plan: Plan, inputs: Mapping[str, Floats]) -> Outputs:
    """The fault-free outputs: one array, or a tuple for several outputs."""
    golden = plan.golden(plan.network.outputs)
    n = len(next(iter(inputs.values())))
    tensors = gathered(lambda rows: golden(inputs, rows), slice(0, n), golden.rows)
    outputs = tuple(tensors[name] for name in plan.network.outputs)
    return outputs[0] if len(outputs) == 1 else outputs
