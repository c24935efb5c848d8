"""Resilience against area: designs that nothing beats in both, and the smallest that meets a requirement."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np

from fkeras.campaigns import FixedTrials, Outcome, Requirement, Setting, run_campaign
from fkeras.campaigns.verdict import VerdictRecord
from fkeras.engine import Run
from fkeras.errors import InputError
from fkeras.faults import SECDED, TMR, BlindScrubbing, FaultModel, Parity, protection
from fkeras.faults.protected import Protectable
from fkeras.memory import BitSet, BitSpace
from fkeras.plain import FLAT, plain
from fkeras.progress import Progress, silent
from fkeras.protection.behind import ranking_behind
from fkeras.protection.free import free_checks
from fkeras.rtl.area import AreaMeter
from fkeras.rtl.folder import weight_memory
from fkeras.rtl.tools import require
from fkeras.sensitivity import Ranking

SHARES = (0.1, 0.2, 0.33, 0.5, 0.635, 0.8)
"""Of the bits, the most sensitive first, under TMR."""
BESIDE_TMR, SHARES_BESIDE = ("range check", "recoded words"), (0.1, 0.2, 0.33)
SHARES_SCRUBBED = (0.1, 0.33)
"""Where all other bits are scrubbed too, blindly."""
SCRUBS = 240
"""So many scrubs in an exposure: every minute of four hours."""
Designs = Mapping[str, Protectable]


@dataclass(frozen=True, slots=True)
class FrontPoint:
    """A design: what it takes, and what a campaign under it gives.

    cells: stored bits; area: in gate equivalents, measured; overhead: to the words without protection; on_front:
    whether no other design is both smaller and over the limit in fewer trials.
    """

    design: str
    cells: int
    area: float
    overhead: float
    verdict: VerdictRecord = field(metadata=FLAT)
    on_front: bool = False

    @property
    def share(self) -> float:
        """The share of trials over the limit."""
        return self.verdict.failures / self.verdict.trials


@dataclass(frozen=True, slots=True)
class Front:
    """Designs by area. skipped: designs that are nothing to build here, and why."""

    points: tuple[FrontPoint, ...]
    requirement: str
    faults: str
    seed: int
    skipped: tuple[tuple[str, str], ...] = ()

    @property
    def front(self) -> tuple[FrontPoint, ...]:
        """The designs that none beats in both."""
        return tuple(point for point in self.points if point.on_front)

    @property
    def smallest(self) -> FrontPoint | None:
        """The smallest design that passes, None where none does."""
        return next((point for point in self.points if point.verdict.outcome is Outcome.PASS), None)

    def __str__(self) -> str:
        from tabulate import tabulate

        rows = []
        for point in self.points:
            verdict = point.verdict
            bounds = f"{point.share:.1%} [{verdict.share_low:.1%}, {verdict.share_high:.1%}]"
            area = (f"{point.cells:,}", f"{point.area:,.0f}", f"{point.overhead:+.1%}")
            over = f"{verdict.failures} of {verdict.trials}"
            rows.append(("*" if point.on_front else "", point.design, *area, over, bounds, str(verdict.outcome)))
        headers = ("", "design", "cells", "gate eq.", "measured", "over", "share, bounds", "verdict")
        align = ("left", "left", *["right"] * 5, "left")
        lines = [tabulate(rows, headers, tablefmt="plain", colalign=align, disable_numparse=True)]
        lines += [f"skipped: {design}: {why}" for design, why in self.skipped]
        lines.append(f"required: {self.requirement}, under {self.faults}, seed {self.seed}; *: none is better in both")
        best = self.smallest
        if best is None:
            return "\n".join([*lines, "no design passes: ask for fewer faults, a looser limit or other designs"])
        said = f"the smallest that passes: {best.design}, {best.area:,.0f} gate equivalents ({best.overhead:+.1%})"
        whole = next((point for point in self.points if point.design == WHOLE), None)
        if whole is not None and whole is not best:
            said += f", {1 - best.area / whole.area:.1%} less than {WHOLE}"
        return "\n".join([*lines, f"{said}; chosen on this seed's faults, another seed is proof"])

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {**plain(self), "smallest": None if self.smallest is None else self.smallest.design}


NOTHING, WHOLE = "nothing", "TMR of all bits"


def designs(space: BitSpace, ranking: Ranking, faults: FaultModel, seed: int) -> dict[str, Protectable]:
    """The designs that are compared unless others are named: TMR of the first bits of a ranking, codes per word,
    checks for the rate of the faults and both, in time nothing but scrubs, some of each scrubbed from a good copy or
    from itself, and TMR or SECDED of one tensor alone."""
    every = BitSet(np.arange(len(space)), space.layout_digest)
    checks: dict[str, Any] = {check.name: check for check in reversed(free_checks(space, faults, seed))}
    kinds: dict[str, Any] = {
        "TMR": TMR,
        "SECDED": SECDED,
        "parity and reload": partial(Parity, on_detected="reload"),
    }
    whole = {f"{kind} of all {'bits' if kind == 'TMR' else 'words'}": make for kind, make in kinds.items()}
    named: dict[str, Protectable] = {NOTHING: None}
    named |= {f"TMR of {100 * share:.4g} %": TMR(ranking.fraction(share)) for share in SHARES}
    named |= {name: make(every) for name, make in whole.items()}
    named |= checks
    beside_tmr: dict[str, list[Any]] = {}
    for name in BESIDE_TMR:
        with suppress(InputError):  # a check that is not possible here is skipped by itself, and says why
            behind = ranking_behind(checks[name], space, ranking)
            for share in SHARES_BESIDE:
                beside_tmr[f"{name}, TMR of {100 * share:.4g} %"] = [checks[name], TMR(behind.fraction(share))]
    named |= beside_tmr
    if exposure_seconds := getattr(faults, "exposure_seconds", None):
        seconds = exposure_seconds / SCRUBS
        each = f"scrubbed every {seconds:.4g} s"
        named |= {f"{name}, {each}": make(every, scrub_interval_seconds=seconds) for name, make in whole.items()}
        named |= {f"{name}, {each}": replace(check, scrub_interval_seconds=seconds) for name, check in checks.items()}
        named[f"blind scrubbing every {seconds:.4g} s"] = BlindScrubbing(every, seconds)
        for share in SHARES_SCRUBBED:
            bits = ranking.fraction(share)
            everywhere: list[Any] = [TMR(bits, seconds), BlindScrubbing(every - bits, seconds)]
            named[f"TMR of {100 * share:.4g} %, all {each}"] = everywhere
        itself: dict[str, Any] = {"scrub_interval_seconds": seconds, "scrub_from": "itself"}
        for kind, make in (("TMR of all bits", TMR), ("SECDED of all words", SECDED)):
            named[f"{kind}, {each} from itself"] = make(every, **itself)
        for name, beside in beside_tmr.items():
            named[f"{name}, {each} from itself"] = [replace(part, **itself) for part in beside]
    if len(space.tensors) > 1:
        for number, tensor in enumerate(space.tensors):
            bits = BitSet(np.arange(space.offsets[number], space.offsets[number + 1]), space.layout_digest)
            named |= {f"{kind} of {tensor.path}": kinds[kind](bits) for kind in ("TMR", "SECDED")}
    return named


def protection_front(
    run: Run,
    setting: Setting,
    requirement: Requirement,
    trials: int,
    named: Designs,
    meter: AreaMeter,
    progress: Progress = silent,
) -> Front:
    """The designs on the same faults, each by a campaign of so many trials and by synthesis."""
    require("measuring area", "yosys")
    if not named:
        raise InputError("designs names none; give a dict of protections by name, or leave it out for the usual ones")
    space, plan = setting.space, FixedTrials(trials)
    points, skipped = [], []
    with progress(len(named), "design", "protection front") as advance:
        for name, protected in named.items():
            try:
                guard = protection(protected, space)
                memory = weight_memory(protected, space)
            except InputError as error:
                skipped.append((name, str(error)))
            else:
                area = meter.measured(memory)
                result = run_campaign(run, replace(setting, protection=guard), plan, silent)
                verdict = result.judge(requirement).record
                cells = sum(store.n_cells for store in area.stores)
                points.append(FrontPoint(name, cells, area.total, area.overhead, verdict))
            advance(1)
    by_area = sorted(points, key=lambda point: (point.area, point.share))
    described = setting.fault_model.describe(len(space))
    return Front(tuple(_marked(by_area)), str(requirement), described, setting.seed, tuple(skipped))


def _marked(points: list[FrontPoint]) -> Iterator[FrontPoint]:
    """The points, smallest first, with those marked that fail less often than all smaller ones."""
    least = float("inf")
    for point in points:
        yield replace(point, on_front=point.share < least)
        least = min(least, point.share)
