"""Choosing a mask: so many bits, or as few as make a campaign pass, for one set of weights or for several."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from fkeras.campaigns import Outcome, Requirement, Setting, UntilDecided, run_campaign
from fkeras.campaigns.protection_curve import protection_curve
from fkeras.campaigns.verdict import worst
from fkeras.engine import Run
from fkeras.errors import Argument, InputError, Name
from fkeras.faults import FaultModel, Protection, protection
from fkeras.memory import BitSet, BitSpace
from fkeras.progress import Progress, silent
from fkeras.protection.mask import Mask
from fkeras.protection.order import Aggregate, Granularity, Order, common_order
from fkeras.sensitivity import Ranking

MOST_EVALUATIONS = 20_000
"""A mask is chosen once: levels close to the limit may take their thousand trials."""

Kind = Callable[[BitSet], Any]
"""What protects bits: fkeras.TMR, or a function of the bits."""


@dataclass(frozen=True, slots=True)
class Target:
    """A campaign that must pass; max_evaluations: the most fault sets that the search may measure, per model."""

    requirement: Requirement
    faults: FaultModel
    seed: int
    max_trials: int
    max_evaluations: int = MOST_EVALUATIONS


@dataclass(frozen=True, slots=True, eq=False)
class Weights:
    """One set of weights: a name for reports, its memory and ranking, and an engine where there is a target."""

    name: str
    space: BitSpace
    ranking: Ranking
    run: Run | None = None


@dataclass(frozen=True, slots=True)
class Campaigned:
    """A campaign under a mask of `n_bits`: verdict, trials over the limit, one-sided bounds on their share."""

    n_bits: int
    outcome: str
    failures: int
    trials: int
    share_low: float
    share_high: float

    def __str__(self) -> str:
        return f"{self.outcome} with {self.n_bits:,} bits ({self.failures} of {self.trials} trials over the limit)"


@dataclass(frozen=True, slots=True)
class ModelChoice:
    """What the common mask is to one set of weights, beside a mask of its own.

    shared: the share of its own first bits, as many as the mask has, that the mask covers; common, own: the campaigns
    under the mask, and under its own: of the same size, or the smallest that passes where the mask is the smallest.
    None without a target.
    """

    name: str
    content_digest: str
    method: str
    ranking_sha256: str
    shared: float
    common: Campaigned | None
    own: Campaigned | None

    def __str__(self) -> str:
        parts = [f"{self.name}: the mask has {self.shared:.1%} of the bits that it would choose for itself"]
        if self.common is not None and self.own is not None:
            more = self.common.n_bits - self.own.n_bits
            parts += [str(self.common), f"its own: {self.own}", f"{more:+,} bits"]
        return "; ".join(parts)


@dataclass(frozen=True, slots=True, eq=False)
class Choice:
    """A mask, and how it came about: `.mask.write(path)` keeps it, `str` sums it up, `.to_dict()` has it all."""

    mask: Mask
    granularity: str
    n_units: int
    protection: str
    models: tuple[ModelChoice, ...]

    def __str__(self) -> str:
        n_bits = self.mask.n_bits
        share = len(self.mask.bits) / n_bits if n_bits else 0.0
        units = "" if self.granularity == "bit" else f" in {self.n_units:,} {self.granularity}s"
        lines = [
            f"{len(self.mask.bits):,} of {n_bits:,} bits ({share:.1%}){units}, mask sha {self.mask.digest[:8]}",
            self.protection,
        ]
        assumed = self.mask.provenance["assumptions"]
        if "requirement" in assumed:
            lines.append(f"required: {assumed['requirement']}, under {assumed['faults']}, seed {assumed['seed']}")
        if len(self.models) > 1:
            lines += map(str, self.models)
        else:  # the mask is its own
            lines += [f"{one.name}: {one.common}" for one in self.models if one.common is not None]
        return "\n".join(lines)

    @property
    def outcome(self) -> str:
        """The worst verdict under the mask: FAIL, INCONCLUSIVE or PASS; "" where nothing was required."""
        return worst(one.common.outcome for one in self.models if one.common is not None)

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "n_bits": self.mask.n_bits,
            "n_protected": len(self.mask.bits),
            "granularity": self.granularity,
            "n_units": self.n_units,
            "protection": self.protection,
            "sha256": self.mask.digest,
            "models": [asdict(one) for one in self.models],
        }


def choose(
    weights: Sequence[Weights],
    *,
    bits: int | None = None,
    share: float | None = None,
    overhead: float | None = None,
    target: Target | None = None,
    kind: Kind,
    granularity: Granularity = "bit",
    aggregate: Aggregate = "mean",
    stated: Mapping[str, Any] | None = None,
    progress: Progress = silent,
) -> Choice:
    """Choose one mask for all the weights, which have one layout.

    As many whole units, best first, as fit into `bits`, a `share` of the bits, or an `overhead` (extra bits under
    `kind` as a share of the memory); or, with neither, the fewest with which `target` passes for all weights. The last
    is found by a search on one seed's faults: see `ProtectionCurve`. stated: plain values for the mask's file.
    """
    space = weights[0].space
    require_one_layout([one.name for one in weights], [one.space for one in weights])
    order = common_order([one.ranking for one in weights], space, granularity, aggregate)

    def guard(units: Order, n_units: int) -> Protection:
        return protection(kind(units.first(n_units)), space)

    n_units = _sized(order, guard, len(space), bits, share, overhead)
    is_smallest = n_units is None
    if n_units is None:
        if target is None:
            raise InputError(
                "how many bits? give ", Argument("bits"), ", ", Argument("share"), " or ", Argument("overhead"),
                ", or what must pass: ", Argument("faults"), " and ", Argument("limits"), ", with data"
            )  # fmt: skip
        n_units = _smallest_for_all(weights, order, guard, target, progress)
    chosen = guard(order, n_units)
    models = []
    for one in weights:
        own = common_order([one.ranking], space, granularity, aggregate) if len(weights) > 1 else order
        at = own.within(len(chosen.bits))
        common = own_result = None
        if target is not None:
            common = own_result = _campaigned(one, chosen, target, progress)
            if len(weights) > 1:
                smallest = _smallest(one, own, guard, target, progress) if is_smallest else at
                own_result = _campaigned(one, guard(own, smallest), target, progress)
        covered = np.isin(own.first(at).bits, chosen.bits.bits)
        models.append(
            ModelChoice(
                one.name,
                one.space.content_digest,
                one.ranking.method,
                hashlib.sha256(one.ranking.order.astype("<i8").tobytes()).hexdigest(),
                float(covered.mean()) if covered.size else 1.0,
                common,
                own_result,
            )
        )
    description = chosen.describe(len(space))
    provenance = {
        "granularity": granularity,
        "n_units": n_units,
        "aggregate": aggregate if len(weights) > 1 else None,
        "assumptions": {"protection": description, **_assumed(target, len(space)), **(stated or {})},
        "models": [asdict(one) for one in models],
    }
    return Choice(Mask.of(chosen.bits, space, provenance), granularity, n_units, description, tuple(models))


def require_one_layout(names: Sequence[str], spaces: Sequence[BitSpace]) -> None:
    """LayoutError for memories that cannot have a mask in common."""
    for name, space in zip(names[1:], spaces[1:], strict=True):
        space.require_layout(spaces[0].layout_digest, f"the mask of {names[0]}, to be shared by {name},")


def require_golden_keeps(name: str, run: Run, requirement: Requirement) -> None:
    """InputError for a limit that the fault-free network breaks: no mask is large enough."""
    for limit in requirement.limits:
        golden = run.golden[limit.metric].value
        if limit.is_broken_without_faults(golden):
            raise InputError(
                f"{name}: the golden model breaks {limit} already, its {limit.metric} is {golden:.6g}; no protection "
                "can help: ask for a looser limit"
            )


def _sized(
    order: Order,
    guard: Callable[[Order, int], Protection],
    n_bits: int,
    bits: int | None,
    share: float | None,
    overhead: float | None,
) -> int | None:
    """The number of units that fit; None where no size is stated."""
    given = {"bits": bits, "share": share, "overhead": overhead}
    stated = {name: value for name, value in given.items() if value is not None}
    if len(stated) > 1:
        raise InputError(f"{' and '.join(f'{name}=' for name in stated)} are two sizes; keep one")
    if bits is not None:
        if isinstance(bits, bool) or not isinstance(bits, int | np.integer) or not 0 <= bits <= n_bits:
            most = f"{n_bits:,}, the bits of the memory"
            raise InputError(Argument("bits", bits), f"; allowed are whole numbers from 0 to {most}")
        return order.within(int(bits))
    if share is not None:
        if not _is_number(share) or not 0 <= share <= 1:
            raise InputError(Argument("share", share), "; allowed are shares of the bits from 0 to 1")
        return order.within(round(share * n_bits))
    if overhead is None:
        return None
    if not _is_number(overhead) or not overhead >= 0:
        allowed = "; allowed are extra bits as a share of the memory, from 0 up"
        raise InputError(Argument("overhead", overhead), allowed)
    if guard(order, len(order)).extra_bits == 0:
        raise InputError(
            Argument("overhead"), " needs a protection that adds bits; write ",
            Argument("under", Name("fkeras.TMR")), " too, or give ", Argument("share")
        )  # fmt: skip
    low, high = 0, len(order)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if guard(order, middle).extra_bits <= overhead * n_bits else (low, middle - 1)
    return low


def _is_number(value: object) -> bool:
    return isinstance(value, int | float | np.number) and not isinstance(value, bool)


def _smallest_for_all(
    weights: Sequence[Weights],
    order: Order,
    guard: Callable[[Order, int], Protection],
    target: Target,
    progress: Progress,
) -> int:
    """The fewest units found with which the campaign passes for all weights."""
    n_units, settled = 0, 0
    while settled < len(weights):
        # A larger mask than the others needed is judged by all of them again: damage need not fall with every bit.
        settled = 0
        for one in weights:
            found = _smallest(one, order, guard, target, progress, n_units)
            settled = settled + 1 if found == n_units else 0
            n_units = found
    return n_units


def _smallest(
    one: Weights,
    order: Order,
    guard: Callable[[Order, int], Protection],
    target: Target,
    progress: Progress,
    start: int = 0,
) -> int:
    """The fewest units, from `start` up, with which the campaign of one set of weights passes."""
    if _campaigned(one, guard(order, start), target, progress).outcome == Outcome.PASS.value:
        return start
    run, setting, plan = _campaign(one, guard(order, start), target)
    curve = protection_curve(
        run,
        setting,
        plan,
        target.requirement,
        lambda n_units: guard(order, n_units),
        len(order),
        start=start,
        max_evaluations=target.max_evaluations,
        progress=progress,
    )
    if curve.smallest is None:
        tried = max((point.k for point in curve.points), default=start)
        if tried >= len(order):
            why = "not even with all bits protected: ask for fewer faults, a looser limit, or another protection"
        else:
            why = f"none of the {tried:,} best units is enough, and max_evaluations is used up: raise it"
        raise InputError(f"{one.name}: {target.requirement} does not pass under {target.faults!r}; {why}")
    return curve.smallest


def _campaign(one: Weights, chosen: Protection, target: Target) -> tuple[Run, Setting, UntilDecided]:
    run = one.run
    assert run is not None
    setting = Setting(target.faults, chosen, target.seed, run.engine, run.n_samples, run.space)
    return run, setting, UntilDecided(target.requirement, target.max_trials)


def _campaigned(one: Weights, chosen: Protection, target: Target, progress: Progress) -> Campaigned:
    result = run_campaign(*_campaign(one, chosen, target), progress)
    verdict = result.judge(target.requirement)
    share = verdict.share
    return Campaigned(len(chosen.bits), verdict.outcome.value, verdict.failures, verdict.trials, share.low, share.high)


def _assumed(target: Target | None, n_bits: int) -> dict[str, Any]:
    if target is None:
        return {}
    return {
        "faults": target.faults.describe(n_bits),
        "requirement": str(target.requirement),
        "seed": target.seed,
        "note": "sizes and verdicts hold for this seed's faults and these weights; another seed is proof",
    }
