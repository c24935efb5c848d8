"""The golden activations around a site, chunk by chunk of samples: what its faults are added to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from fkeras.engines.cpu.channels import Floats
from fkeras.engines.cpu.forward import SCRATCH_BYTES, floats_per_sample, gathered
from fkeras.engines.cpu.plan import Plan
from fkeras.engines.cpu.pointwise import Pointwise
from fkeras.engines.cpu.samples import Samples
from fkeras.engines.cpu.sites import Faults, Inputs, Site
from fkeras.engines.cpu.states import Channel

HELD_BYTES = 192 * 2**20
"""Bounds the golden activations that are held at once."""


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
    tensors: Mapping[str, Floats]

    def channel(self, number: int, faults: Faults) -> Channel:
        """One output channel, and its faults."""
        sums, levels = (np.ascontiguousarray(part[:, number]) for part in (self.sums, self.levels))
        return Channel(number, sums, levels, self.inputs.places(faults), faults.delta.astype(np.float32))


class Activations:
    """Makes the chunks of a data set, and keeps the last one."""

    def __init__(self, plan: Plan, site: Site, pointwise: Pointwise, samples: Samples) -> None:
        self._site, self._pointwise, self._chain = site, pointwise, plan.chain(site)
        self._samples = samples
        self._read = (*plan.suffix(plan.end(site)).side, *(() if self._chain else (site.end,)))
        links = () if self._chain is None else self._chain.links
        nodes = [reader.node for reader in (site, *(link.site for link in links))]
        self._golden = plan.golden([site.node.inputs[0], *(node.name for node in nodes), *self._read])
        self._held: Chunk | None = None
        self._rows = max(1, min(self._golden.rows, SCRATCH_BYTES // (4 * floats_per_sample(plan.network, nodes))))
        one_sample = sum(part.nbytes for part in self._parts(slice(0, 1)).values())
        self._size = int(np.clip(HELD_BYTES // one_sample, 1, samples.n))

    @property
    def chunks(self) -> list[slice]:
        """The rows of each chunk."""
        return self._samples.chunks(self._size)

    def __call__(self, rows: slice) -> Chunk:
        """One chunk."""
        if self._held is None or self._held.rows != rows:
            self.release()
            parts = gathered(self._parts, rows, self._rows)
            self._held = Chunk(
                rows,
                parts["sums"],
                parts["levels"],
                Inputs(parts["inputs"], self._site.window.stride),
                None if self._chain is None else (parts["chain sums"], parts["chain levels"]),
                {name: parts[f"tensor {name}"] for name in self._read},
            )
        return self._held

    def release(self) -> None:
        """Let go of what is held."""
        self._held = None

    def _parts(self, rows: slice) -> dict[str, Floats]:
        tensors = self._golden(self._samples.inputs, rows)
        sums = self._site.sums(tensors)
        levels = self._pointwise.levels(sums)
        parts = {f"tensor {name}": tensors[name] for name in self._read}
        parts |= {"sums": np.moveaxis(sums, 3, 1), "inputs": self._site.phases(tensors[self._site.node.inputs[0]])}
        parts["levels"] = np.moveaxis(levels, 3, 1).reshape(len(levels), levels.shape[3], -1)
        if self._chain is not None:
            parts["chain sums"], parts["chain levels"] = self._chain.golden(tensors)
        return parts
