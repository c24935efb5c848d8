"""Whether the RTL in a folder reads what the library says, bit for bit."""

from __future__ import annotations

import os
from dataclasses import dataclass

from fkeras.errors import Argument, InputError, whole
from fkeras.faults import FaultModel, fault_model, trial_upsets, whole_seed
from fkeras.rtl.folder import read_folder
from fkeras.rtl.simulate import Simulated, simulate
from fkeras.rtl.tools import require
from fkeras.rtl.vectors import vectors


@dataclass(frozen=True, slots=True)
class RtlCheck:
    """What `fkeras rtl-check` found. about: the protection; changed: what is not as fkeras writes it, a line each."""

    about: str
    changed: tuple[str, ...]
    stores: tuple[Simulated, ...]

    @property
    def agrees(self) -> bool:
        """Whether every store read what the library says, whoever wrote it."""
        return not any(store.n_mismatches for store in self.stores)

    def __str__(self) -> str:
        n_single, n_pairs = (sum(getattr(store, name) for store in self.stores) for name in ("n_single", "n_pairs"))
        n_wrong = sum(store.n_mismatches for store in self.stores)
        verdict = "the RTL reads what the library says" if self.agrees else f"the RTL disagrees: {n_wrong:,} mismatches"
        by_hand = [f"changed by hand: {line}" for line in self.changed]
        total = f"{verdict}; {n_single:,} cells hit one by one, {n_pairs:,} pairs"
        return "\n".join([self.about, *by_hand, *map(str, self.stores), total])


def rtl_check(
    folder: str | os.PathLike[str], *, faults: int | FaultModel | None = None, trials: int = 10, seed: int = 0
) -> RtlCheck:
    """Simulate the RTL in a folder as it is, and compare what it reads with the library.

    Every cell is hit alone, then every pair of cells in one codeword or triple; the same before every kind of pass, and
    what it counts is compared, too; then the fault sets of a campaign. Scrubs must begin by themselves, to the cycle.

    Arguments:
        folder: what `Mask.write_rtl` or `fkeras protect --rtl` wrote.
        faults: of the campaign, a number of flips or a fault model; None: no campaign.
        trials: of the campaign, from 0 up.
        seed: of the campaign.

    Raises:
        InputError: for no such folder, or an index that is damaged.
        EnvironmentSetupError: where Icarus Verilog or cocotb is missing.
    """
    memory = read_folder(folder)
    require("simulating RTL", "iverilog", "cocotb")
    whole("trials", trials, 0)
    changed = memory.changed(folder)
    model, start = None if faults is None else fault_model(faults), whole_seed(seed)
    upsets = [] if model is None else [trial_upsets(memory.space, model, start, trial) for trial in range(trials)]
    if any(draw.faults.n_stuck for draw in upsets):
        raise InputError(
            Argument("faults", model), ": cells that are hit are simulated, and none are stuck; name flips"
        )
    files = memory.sources(folder)
    results = [
        simulate(store, vectors(store.layout, memory.guard, memory.space, upsets), memory.clock_hz, files)
        for store in memory.stores
    ]
    return RtlCheck(memory.about, tuple(changed), tuple(results))
