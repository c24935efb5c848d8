"""The golden activations around a site, chunk by chunk of samples: what its faults are added to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fkeras.frontends.qkeras.fast.channels import Floats
from fkeras.frontends.qkeras.fast.golden import gathered
from fkeras.frontends.qkeras.fast.plan import Plan
from fkeras.frontends.qkeras.fast.pointwise import Pointwise
from fkeras.frontends.qkeras.fast.sites import Faults, Inputs, Site
from fkeras.frontends.qkeras.fast.states import Channel
from fkeras.frontends.qkeras.fast.suffix import floats_per_sample
from fkeras.frontends.qkeras.graph import Key
from fkeras.frontends.qkeras.reference import ReferenceRun

HELD_BYTES = 192 * 2**20
"""Bounds the golden activations that are held at once."""
SCRATCH_BYTES = 4 * 2**20
"""Bounds one activation while they are made; a quantizer needs some ten times that."""


@dataclass(frozen=True, slots=True, eq=False)
class Chunk:
    """The golden activations of some samples.

    sums (n, channels, height, width) and levels (n, channels, height x width) of the site; its inputs; sums and levels
    of the chain, (n, values) each; tensors that the suffix reads.
    """

    rows: slice
    sums: Floats
    levels: Floats
    inputs: Inputs
    chain: tuple[Floats, Floats] | None
    tensors: Mapping[Key, NDArray[Any]]

    def channel(self, number: int, faults: Faults) -> Channel:
        """One output channel, and its faults."""
        sums, levels = (np.ascontiguousarray(part[:, number]) for part in (self.sums, self.levels))
        return Channel(number, sums, levels, self.inputs.places(faults), faults.delta.astype(np.float32))


class Activations:
    """Makes the chunks of a data set, and keeps the last one."""

    def __init__(self, model: Any, plan: Plan, site: Site, pointwise: Pointwise, reference: ReferenceRun) -> None:
        self._site, self._pointwise, self._chain = site, pointwise, plan.chain(site)
        self._data, self._n_samples = reference.inputs, reference.n_samples
        suffix = plan.suffix(model, plan.end(site))
        self._read = (*suffix.side, *(() if self._chain else (site.end,)))
        links = () if self._chain is None else self._chain.links
        inputs = [one.call.inputs[0] for one in (site, *(link.site for link in links))]
        self._golden = plan.golden(model, [*inputs, *self._read])
        self._scratch_rows = int(max(1, SCRATCH_BYTES // (4 * floats_per_sample(plan.graph, plan.graph.calls))))
        self._held: Chunk | None = None
        one_sample = sum(part.nbytes for part in self._parts(slice(0, 1)).values())
        self._size = int(np.clip(HELD_BYTES // one_sample, 1, self._n_samples))

    @property
    def chunks(self) -> list[slice]:
        """The rows of each chunk."""
        starts = range(0, self._n_samples, self._size)
        return [slice(start, min(start + self._size, self._n_samples)) for start in starts]

    def __call__(self, rows: slice) -> Chunk:
        """One chunk."""
        if self._held is None or self._held.rows != rows:
            self.release()
            parts = gathered(self._parts, rows, self._scratch_rows)
            self._held = Chunk(
                rows,
                parts["sums"],
                parts["levels"],
                Inputs(parts["inputs"], self._site.window.stride),
                None if self._chain is None else (parts["chain sums"], parts["chain levels"]),
                {key: parts[key] for key in self._read},
            )
        return self._held

    def release(self) -> None:
        """Let go of what is held."""
        self._held = None

    def _parts(self, rows: slice) -> dict[Any, NDArray[Any]]:
        tensors = self._golden(self._data, rows)
        padded = self._site.padded(tensors[self._site.call.inputs[0]])
        sums = self._site.sums(padded)
        levels = self._pointwise.levels(sums)
        parts = {key: tensors[key] for key in self._read}
        parts |= {"sums": np.moveaxis(sums, 3, 1), "inputs": self._site.phases(padded)}
        parts["levels"] = np.moveaxis(levels, 3, 1).reshape(len(levels), levels.shape[3], -1)
        if self._chain is not None:
            parts["chain sums"], parts["chain levels"] = self._chain.golden(tensors)
        return parts
