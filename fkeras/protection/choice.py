"""Choosing a mask: so many bits, or as few as make a campaign pass, for one set of weights or for several."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from fkeras.campaigns import Outcome, Requirement, Setting, UntilDecided, run_campaign
from fkeras.campaigns.protection_curve import protection_curve
from fkeras.campaigns.verdict import AnyOutcome, VerdictRecord, worst
from fkeras.engine import Run
from fkeras.errors import Argument, InputError, Name, is_number, is_whole
from fkeras.faults import Protection, protection
from fkeras.faults.protections import described
from fkeras.memory import BitSet, BitSpace
from fkeras.plain import FLAT, plain
from fkeras.progress import Progress, silent
from fkeras.protection.mask import Mask
from fkeras.protection.order import Aggregate, Granularity, Order, common_order
from fkeras.sensitivity import Ranking

if TYPE_CHECKING:
    from fkeras.protection.free import FreeChoice

MOST_EVALUATIONS = 20_000
"""A mask is chosen once: levels close to the limit may take their thousand trials."""

Kind = Callable[[BitSet], Any]
"""What protects bits: fkeras.TMR, or a function of the bits, which may give a list."""
Level = Callable[[int], Protection]
"""The protection of so many units of an order, the best ones."""


@dataclass(frozen=True, slots=True)
class Campaigned:
    """A campaign under a mask of `n_bits`, and its verdict."""

    n_bits: int
    verdict: VerdictRecord = field(metadata=FLAT)

    def __str__(self) -> str:
        outcome, failures, trials = self.verdict.outcome, self.verdict.failures, self.verdict.trials
        return f"{outcome} with {self.n_bits:,} bits ({failures} of {trials} trials over the limit)"


@dataclass(frozen=True, slots=True, eq=False)
class Campaign:
    """A campaign that must pass; max_evaluations: the most fault sets that the search for a mask may measure."""

    run: Run
    setting: Setting
    plan: UntilDecided
    max_evaluations: int = MOST_EVALUATIONS
    progress: Progress = silent

    @property
    def assumptions(self) -> dict[str, Any]:
        """Plain values for the mask's file."""
        return {
            "faults": self.setting.fault_model.describe(len(self.setting.space)),
            "requirement": str(self.plan.requirement),
            "seed": self.setting.seed,
            "note": "sizes and verdicts hold for this seed's faults and these weights; another seed is proof",
        }

    def under(self, guard: Protection, n_bits: int) -> Campaigned:
        """What it gives under a mask of so many bits."""
        result = run_campaign(self.run, replace(self.setting, protection=guard), self.plan, self.progress)
        return Campaigned(n_bits, result.judge(self.plan.requirement).record)

    def smallest(self, name: str, level: Level, most: int, start: int = 0) -> int:
        """The fewest units, from `start` up to `most`, with which it passes. InputError where it does not."""
        if self.under(level(start), 0).verdict.outcome is Outcome.PASS:
            return start
        requirement, setting = self.plan.requirement, replace(self.setting, protection=level(start))
        curve = protection_curve(
            self.run, setting, self.plan, requirement, level, most, start, self.max_evaluations, self.progress
        )
        if curve.smallest is not None:
            return curve.smallest
        tried = max((point.k for point in curve.points), default=start)
        if tried >= most:
            why = "not even with all bits protected: ask for fewer faults, a looser limit, or another protection"
        else:
            why = f"none of the {tried:,} best units is enough, and max_evaluations is used up: raise it"
        raise InputError(f"{name}: {requirement} does not pass under {self.setting.fault_model!r}; {why}")


@dataclass(frozen=True, slots=True, eq=False)
class Weights:
    """One set of weights: a name for reports, its memory and ranking, and what must pass, if anything."""

    name: str
    space: BitSpace
    ranking: Ranking
    campaign: Campaign | None = None


@dataclass(frozen=True, slots=True)
class ModelChoice:
    """What the common mask is to one set of weights, beside a mask of its own.

    shared: the share of its own first bits, as many as the mask has, that the mask covers; common, own: the campaigns
    under the mask, and under its own: of the same size, or the smallest that passes where the mask is the smallest.
    None where nothing must pass.
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
    """A mask, and how it came about: `.mask.write(path)` keeps it, `str` sums it up, `.to_dict()` has it all.

    free: the check beside it that costs no bit, where one was asked for; what it saves.
    """

    mask: Mask
    granularity: str
    n_units: int
    protection: str
    models: tuple[ModelChoice, ...]
    free: FreeChoice | None = None

    def __str__(self) -> str:
        n_bits = self.mask.n_bits
        share = len(self.mask.bits) / n_bits if n_bits else 0.0
        units = "" if self.granularity == "bit" else f" in {self.n_units:,} {self.granularity}s"
        lines = [
            f"{len(self.mask.bits):,} of {n_bits:,} bits ({share:.1%}){units}, mask sha {self.mask.digest[:8]}",
            self.protection,
            *([] if self.free is None else [str(self.free)]),
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
    def outcome(self) -> AnyOutcome:
        """The worst verdict under the mask: FAIL, INCONCLUSIVE or PASS; "" where nothing was required."""
        return worst(one.common.verdict.outcome for one in self.models if one.common is not None)

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "n_bits": self.mask.n_bits,
            "n_protected": len(self.mask.bits),
            "granularity": self.granularity,
            "n_units": self.n_units,
            "protection": self.protection,
            "sha256": self.mask.digest,
            "free": None if self.free is None else self.free.to_dict(),
            "models": plain(self.models),
        }


def choose(
    weights: Sequence[Weights],
    *,
    bits: int | None = None,
    share: float | None = None,
    overhead: float | None = None,
    kind: Kind,
    granularity: Granularity = "bit",
    aggregate: Aggregate = "mean",
    stated: Mapping[str, Any] | None = None,
) -> Choice:
    """Choose one mask for all the weights, which have one layout.

    As many whole units, best first, as fit into `bits`, a `share` of the bits, or an `overhead` (extra bits under
    `kind` as a share of the memory); or, with none of them, the fewest with which the campaigns of all weights pass.
    The last is found by a search on one seed's faults: see `ProtectionCurve`. stated: plain values for the mask's file.
    """
    space, required = weights[0].space, weights[0].campaign
    require_one_layout([one.name for one in weights], [one.space for one in weights])

    def order_by(some: Sequence[Weights]) -> Order:
        return common_order([one.ranking for one in some], space, granularity, aggregate)

    def level_of(order: Order, model: Weights) -> Level:
        # In the model's own memory: a check of its words is made from them.
        return lambda n_units: protection(kind(order.first(n_units)), model.space)

    def model_choice(model: Weights, bits: BitSet) -> ModelChoice:
        own = order_by([model])
        n_own = own.within(len(bits))
        covered = np.isin(own.first(n_own).bits, bits.bits)
        guard = protection(kind(bits), model.space)
        campaigned = None if model.campaign is None else model.campaign.under(guard, len(bits))
        campaigned_own = campaigned
        if model.campaign is not None and len(weights) > 1:
            level = level_of(own, model)
            n_own = model.campaign.smallest(model.name, level, len(own)) if size is None else n_own
            campaigned_own = model.campaign.under(level(n_own), len(own.first(n_own)))
        return ModelChoice(
            model.name,
            model.space.content_digest,
            model.ranking.method,
            hashlib.sha256(model.ranking.order.astype("<i8").tobytes()).hexdigest(),
            float(covered.mean()) if covered.size else 1.0,
            campaigned,
            campaigned_own,
        )

    order = order_by(weights)
    size = _sized(order, level_of(order, weights[0]), len(space), bits, share, overhead)
    n_units = smallest_for_all(weights, lambda model: level_of(order, model), len(order)) if size is None else size
    chosen = order.first(n_units)
    models = tuple(model_choice(model, chosen) for model in weights)
    description = described(protection(kind(chosen), space), space)
    assumptions = {} if required is None else required.assumptions
    provenance = {
        "granularity": granularity,
        "n_units": n_units,
        "aggregate": aggregate if len(weights) > 1 else None,
        "assumptions": {"protection": description, **assumptions, **(stated or {})},
        "models": plain(models),
    }
    return Choice(Mask.of(chosen, space, provenance), granularity, n_units, description, models)


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
    level: Level,
    n_bits: int,
    bits: int | None,
    share: float | None,
    overhead: float | None,
) -> int | None:
    """The number of units that fit; None where no size is stated."""
    sizes = {"bits": bits, "share": share, "overhead": overhead}
    stated = {name: value for name, value in sizes.items() if value is not None}
    if len(stated) > 1:
        raise InputError(f"{' and '.join(f'{name}=' for name in stated)} are two sizes; keep one")
    if bits is not None:
        if not is_whole(bits, 0, n_bits):
            most = f"{n_bits:,}, the bits of the memory"
            raise InputError(Argument("bits", bits), f"; allowed are whole numbers from 0 to {most}")
        return order.within(int(bits))
    if share is not None:
        if not (is_number(share) and 0 <= share <= 1):
            raise InputError(Argument("share", share), "; allowed are shares of the bits from 0 to 1")
        return order.within(round(share * n_bits))
    if overhead is None:
        return None
    if not (is_number(overhead) and overhead >= 0):
        allowed = "; allowed are extra bits as a share of the memory, from 0 up"
        raise InputError(Argument("overhead", overhead), allowed)
    if level(len(order)).extra_bits == 0:
        raise InputError(
            Argument("overhead"), " needs a protection that adds bits; write ",
            Argument("under", Name("fkeras.TMR")), " too, or give ", Argument("share")
        )  # fmt: skip
    low, high = 0, len(order)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if level(middle).extra_bits <= overhead * n_bits else (low, middle - 1)
    return low


def smallest_for_all(weights: Sequence[Weights], level_of: Callable[[Weights], Level], most: int) -> int:
    """The fewest units found with which the campaigns of all weights pass."""
    n_units, settled = 0, 0
    while settled < len(weights):
        # A larger mask than the others needed is judged by all of them again: damage need not fall with every bit.
        settled = 0
        for model in weights:
            if model.campaign is None:
                raise InputError(
                    "how many bits? give ", Argument("bits"), ", ", Argument("share"), " or ", Argument("overhead"),
                    ", or what must pass: ", Argument("faults"), " and ", Argument("limits"), ", with data"
                )  # fmt: skip
            smallest = model.campaign.smallest(model.name, level_of(model), most, n_units)
            settled = settled + 1 if smallest == n_units else 0
            n_units = smallest
    return n_units
