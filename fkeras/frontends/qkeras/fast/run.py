"""The fast engine's run: single flips by channel where the plan allows, everything else by the reference."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fkeras.engine import Scores
from fkeras.faults import FaultSet
from fkeras.frontends.qkeras.fast.plan import Plan, plan_of
from fkeras.frontends.qkeras.fast.tail import Tail
from fkeras.frontends.qkeras.fast.worker import SiteWorker
from fkeras.frontends.qkeras.reference import ReferenceRun
from fkeras.memory import BitSpace
from fkeras.metrics.metric import Metric

FEWEST_FLIPS = 4
"""For fewer flips of a tensor at once the golden values that lie before it are not worth computing."""


class FastRun:
    """The reference's numbers, by channel updates where the arithmetic is exact."""

    engine = "fast"

    def __init__(self, model: Any, space: BitSpace, x: Any, y: Any, metrics: Mapping[str, Metric]) -> None:
        self._reference = ReferenceRun(model, space, x, y, metrics)
        self.space, self.metrics, self.n_samples = space, dict(metrics), self._reference.n_samples
        self.golden, self.batch_size = self._reference.golden, self._reference.batch_size
        self.golden_outputs = self._reference.golden_outputs
        self._model = model
        self._workers: dict[int, SiteWorker | None] = {}
        self._tail: Tail | None = None

    @cached_property
    def _plan(self) -> Plan:
        return plan_of(self._model, self.space, self._reference.inputs)

    def worker(self, tensor: int) -> SiteWorker | None:
        """Who flips the bits of a tensor; None where that is the reference."""
        if tensor not in self._workers:
            site = self._plan.sites.get(tensor)
            pointwise = None if site is None else self._plan.pointwise(site)
            self._workers[tensor] = (
                None
                if site is None or pointwise is None
                else SiteWorker(self._model, self._plan, site, pointwise, self._reference)
            )
        return self._workers[tensor]

    def batches(self, bits: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
        """Positions within `bits` that are best measured together: the faults of one channel."""
        tensor = self.space.locate(bits).tensor
        for number in np.unique(tensor).tolist():
            here, worker = np.flatnonzero(tensor == number), self.worker(number)
            if worker is None:
                yield from np.split(here, range(self.batch_size, here.size, self.batch_size))
            else:
                channel = worker.site.faults(self.space, bits[here]).channel
                yield from (here[channel == one] for one in np.unique(channel))

    def flips(self, bits: NDArray[np.int64]) -> dict[str, Scores]:
        """Each bit flipped alone."""
        tensor = self.space.locate(bits).tensor
        results = {name: Scores.zeros(bits.size) for name in self.metrics}
        for number in np.unique(tensor).tolist():
            here, worker = np.flatnonzero(tensor == number), self.worker(number)
            for other in self._workers.values():
                if other is not None and other is not worker:
                    other.release()
            part = self._behind(number, bits[here]) if worker is None else worker.flips(bits[here])
            for name, scores in part.items():
                results[name].fill(here, scores)
        return results

    def _behind(self, number: int, bits: NDArray[np.int64]) -> dict[str, Scores]:
        """Each bit of a tensor without a site flipped alone: by what lies behind it, if that is worth its making."""
        if self._tail is None or self._tail.tensor != number:
            if bits.size < FEWEST_FLIPS:
                return self._reference.flips(bits)
            self._tail = None  # its golden values go before others come
            self._tail = Tail(self._reference, number)
        return self._tail.flips(bits)

    def fault_sets(self, faults: Sequence[FaultSet]) -> dict[str, Scores]:
        """Each fault set injected alone."""
        return self._reference.fault_sets(faults)
