"""Which tensors of a space the shortcuts can serve, one site each, and what they need to know of the network."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from fkeras.arithmetic.changes import Changes
from fkeras.engines.cpu.forward import Golden
from fkeras.engines.cpu.rows import Row, Rows
from fkeras.engines.cpu.sites import Site, site_of
from fkeras.engines.cpu.suffix import Suffix
from fkeras.memory import BitSpace, Register, WordTensor
from fkeras.network import Grid, Network
from fkeras.network.fit import rounds_reproducibly
from fkeras.recent import Recent


@dataclass(frozen=True, eq=False)
class Plan:
    """A network on data of known grids.

    grids: of every tensor with any one word wrong and anything in registers; golden_grids: with none wrong; tensors,
    registers: of the space.
    """

    network: Network
    inputs: Mapping[str, Grid]
    grids: Mapping[str, Grid]
    golden_grids: Mapping[str, Grid]
    tensors: tuple[WordTensor, ...]
    registers: tuple[Register, ...]
    _suffixes: dict[str, Suffix] = field(default_factory=dict)

    @cached_property
    def sites(self) -> Mapping[int, Site]:
        """The sites by tensor number."""
        sites = {}
        for number, tensor in enumerate(self.tensors):
            site = site_of(self.network, self.grids, number, tensor)
            if site is not None and self._rounds_reproducibly_behind(site.node.name):
                sites[number] = site
        return sites

    def _rounds_reproducibly_behind(self, name: str) -> bool:
        return all(rounds_reproducibly(node, self.grids) for node in self.network.behind([name]))

    @cached_property
    def rows(self) -> Rows:
        """Exact layers in a row, as passes."""
        sums = (register for register in self.registers if register.memory == "accumulators")
        return Rows(self.network, self.grids, {register.tensor: 2 * register.largest for register in sums})

    def golden(self, names: Iterable[str]) -> Golden:
        """What computes the golden values of some tensors."""
        return Golden(self.network, self.golden_grids, self.rows, names)

    def suffix(self, end: str) -> Suffix:
        """What computes outputs from `end` on; prepared once."""
        if end not in self._suffixes:
            self._suffixes[end] = Suffix(self.network, end)
        return self._suffixes[end]

    def flow(self, site: Site) -> tuple[Row, Changes] | None:
        """The row that everything flows through that a site changes, and what its words change there; None where that
        takes other sums than exact ones in a row."""
        at = self.rows.at(site)
        changes = None if at is None else at[0].changes(at[1])
        return None if at is None or changes is None else (at[0], changes)

    def holder(self, tensor: str) -> tuple[Row, int, float] | None:
        """The row that a tensor of levels stands in, its number there and its step; None where it stands in none, or
        what is behind it does not round reproducibly."""
        return self.rows.holding(tensor) if self._rounds_reproducibly_behind(tensor) else None


_plans: Recent[Plan] = Recent(4)


def plan_of(network: Network, space: BitSpace, inputs: Mapping[str, Grid]) -> Plan:
    """The plan for a network, a space of it and data of these grids; the last ones are kept."""
    return _plans.get(
        (network, space.content_digest, *inputs.values()),
        lambda: Plan(
            network,
            inputs,
            network.grids(inputs, registers=space.registers),
            network.grids(inputs, network.values),
            space.tensors,
            space.registers,
        ),
    )
