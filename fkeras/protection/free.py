"""Checks that cost no bit beside a mask: which one leaves the fewest bits to protect, and the proof on other trials.

What chooses and what judges have nothing in common: the check and the size are searched for on the trials of a seed of
their own. Then sizes are judged on the stated seed's trials, from all bits down to the size that was found, and the
first that does not pass ends it. In a sequence that is fixed beforehand, each test keeps the confidence that it states
for all of them together (Maurer, Hothorn and Lehmacher, 1995): a wrong PASS takes one on the first size that is not
enough.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from fkeras.campaigns import Outcome, Requirement
from fkeras.errors import Argument, InputError
from fkeras.faults import FaultModel, KnownWords, RandomStream, RangeCheck, Recoded, draw_trial, protection
from fkeras.faults.word_checks import WordCheck
from fkeras.memory import BitSet, BitSpace
from fkeras.plain import plain
from fkeras.protection.behind import ranking_behind
from fkeras.protection.choice import Choice, Kind, Level, Weights, choose, smallest_for_all
from fkeras.protection.order import Aggregate, Granularity, Order, common_order

_DRAWS = 20
"""Draws from which the rate is taken that tables are made for."""

RELEVANT_SAVING = 0.1
"""The least that a check must save, of the bits needed without any: less is within what another seed changes, and a
decoder in front of every word is not had for nothing."""
_SAVING = f"{RELEVANT_SAVING:.0%}"
MOST_LIMITS = 0.1
"""The most bits that limits per channel may have, as a share of the memory: those of a narrow tensor repeat its words,
and what repeats the words is a second copy of them in logic."""


@dataclass(frozen=True, slots=True)
class TriedCheck:
    """A check, and the fewest bits beside it with which a campaign passed; None: a cheaper one does about as well."""

    check: str
    n_bits: int | None

    def __str__(self) -> str:
        return f"{self.check} {f'not {_SAVING} fewer' if self.n_bits is None else f'{self.n_bits:,} bits'}"


@dataclass(frozen=True, slots=True)
class FreeChoice:
    """Which check was chosen, and what it saves, on the trials of a seed that judged nothing.

    check: None where none leaves relevantly fewer bits to protect than bare words; n_bits, n_bits_without: the fewest
    bits to protect with it, and without any check, None where not even all are enough; tried: the cheapest first.
    """

    check: WordCheck | None
    n_bits: int
    n_bits_without: int | None
    tried: tuple[TriedCheck, ...]
    seed: int

    def __str__(self) -> str:
        without = "not even all" if self.n_bits_without is None else f"{self.n_bits_without:,}"
        tried = ", ".join(map(str, self.tried[1:]))
        chosen = (
            f"beside {self.check!r}: {self.n_bits:,} bits" if self.check else f"no check saves {_SAVING} of the bits"
        )
        others = f" ({tried})" if tried else ""
        return f"{chosen}, {without} without a check{others}; found on the trials of seed {self.seed}"

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "check": None if self.check is None else repr(self.check),
            "n_bits": self.n_bits,
            "n_bits_without": self.n_bits_without,
            "tried": plain(self.tried),
            "seed": self.seed,
        }


def free_checks(space: BitSpace, faults: FaultModel, seed: int) -> tuple[WordCheck, ...]:
    """The checks to choose among, the cheapest in hardware first; tables are made for the rate of the faults."""
    draws = [len(draw_trial(space, faults, seed, trial).faults) for trial in range(_DRAWS)]
    rate = float(f"{np.clip(np.mean(draws) / max(1, len(space)), 1e-9, 0.4):.2g}")
    return (
        RangeCheck("undo"),
        RangeCheck("zero"),
        RangeCheck("clamp"),
        RangeCheck(per="channel"),
        KnownWords(bit_error_rate=rate),
        Recoded(bit_error_rate=rate),
    )


@dataclass(frozen=True, eq=False)
class _Search:
    """A mask for all the weights beside one check or another; covered: what protects the bits of the mask."""

    weights: Sequence[Weights]
    covered: Kind
    granularity: Granularity
    aggregate: Aggregate

    def kind(self, check: WordCheck | None) -> Kind:
        """What protects bits beside a check."""
        if check is None:
            return self.covered

        def beside(bits: BitSet) -> list[Any]:
            covering = self.covered(bits)
            return [check, *(covering if isinstance(covering, list | tuple) else [covering])]

        return beside

    def ranked(self, check: WordCheck | None) -> list[Weights]:
        """The weights with their bits ranked by what flips do as they are read through a check."""
        if check is None:
            return list(self.weights)
        return [replace(model, ranking=ranking_behind(check, model.space, model.ranking)) for model in self.weights]

    def order(self, check: WordCheck | None) -> Order:
        """The units of the mask beside a check, those to protect first."""
        key = repr(check)
        if key not in self._orders:
            rankings = [model.ranking for model in self.ranked(check)]
            space = self.weights[0].space
            self._orders[key] = common_order(rankings, space, self.granularity, self.aggregate)
        return self._orders[key]

    @cached_property
    def _orders(self) -> dict[str, Order]:
        return {}

    def level(self, check: WordCheck | None, model: Weights) -> Level:
        """The protection of a model with so many units of the mask."""
        kind, order = self.kind(check), self.order(check)
        return lambda n_units: protection(kind(order.first(n_units)), model.space)

    def passes(self, check: WordCheck | None, n_units: int) -> bool:
        """Whether the campaigns of all weights pass."""
        return all(
            model.campaign is not None
            and model.campaign.under(self.level(check, model)(n_units), n_units).verdict.outcome is Outcome.PASS
            for model in self.weights
        )

    def smallest(self, check: WordCheck | None, most: int) -> int | None:
        """The fewest units found, up to `most`, with which all pass; None where `most` are too few."""
        if not self.passes(check, most):
            return None
        return smallest_for_all(self.weights, lambda model: self.level(check, model), most)

    def judged(self, check: WordCheck | None, smallest: int) -> int:
        """The fewest units that pass, from all of them down to `smallest`, until a size does not."""
        most = len(self.order(check))
        more, sizes = most - smallest, {smallest}
        while more:
            sizes.add(smallest + more)
            more //= 2
        passing = most
        for n_units in sorted(sizes, reverse=True):
            if not self.passes(check, n_units):
                break
            passing = n_units
        return passing

    def applies(self, check: WordCheck) -> bool:
        """Whether a check changes what is read of any weights, and is possible for all."""
        try:
            guards = [check.on(model.space) for model in self.weights]
        except InputError:
            return False
        if isinstance(check, RangeCheck) and check.per == "channel":
            guards = [guard for guard in guards if guard.constant_bits <= MOST_LIMITS * len(guard.space)]
        return any(len(guard.bits) for guard in guards)

    @cached_property
    def rehearsed(self) -> _Search:
        """The same on the trials of a seed of its own."""

        def other(model: Weights) -> Weights:
            campaign = model.campaign
            if campaign is None:
                return model
            seed = int(RandomStream("fkeras-free/1", campaign.setting.seed).integers(1, 1 << 31)[0])
            return replace(model, campaign=replace(campaign, setting=replace(campaign.setting, seed=seed)))

        return replace(self, weights=[other(model) for model in self.weights])


def choose_free(
    weights: Sequence[Weights],
    *,
    kind: Kind,
    granularity: Granularity = "bit",
    aggregate: Aggregate = "mean",
    stated: Mapping[str, Any] | None = None,
) -> Choice:
    """Choose one mask for all the weights and the check beside it, which need the fewest bits to protect.

    Arguments as for `choose`. A check is taken only where it saves a relevant share of the bits needed without any,
    compared with every cheaper one.
    """
    campaign = weights[0].campaign
    if campaign is None:
        raise InputError(
            Argument("free", True), " chooses by what must pass; give ", Argument("faults"), " and ",
            Argument("limits"), ", with data"
        )  # fmt: skip
    space = weights[0].space
    search = _Search(weights, kind, granularity, aggregate)
    search.level(RangeCheck(), weights[0])(0)  # where `kind` has a check of its own, that is said at once
    rehearsal = search.rehearsed
    rehearsed = rehearsal.weights[0].campaign
    assert rehearsed is not None
    seed = rehearsed.setting.seed
    n_all = len(search.order(None))
    best, check = rehearsal.smallest(None, n_all), None
    tried = [_tried("no check", best, search.order(None))]
    relevant = max(1, math.ceil(RELEVANT_SAVING * (len(space) if best is None else _n_bits(search.order(None), best))))
    for other in free_checks(space, rehearsed.setting.fault_model, seed):
        most_bits = len(space) if best is None else _n_bits(search.order(check), best) - relevant
        if most_bits < 0 or not rehearsal.applies(other):
            continue
        order = rehearsal.order(other)
        n_units = rehearsal.smallest(other, order.within(most_bits))
        tried.append(_tried(repr(other), n_units, order))
        if n_units is not None:
            best, check = n_units, other
    if best is None:
        requirement: Requirement = campaign.plan.requirement
        raise InputError(
            f"{weights[0].name}: {requirement} does not pass under {rehearsed.setting.fault_model!r}, with no check of "
            "words and not even with all bits protected: ask for fewer faults, a looser limit, or another protection"
        )
    order = search.order(check)
    found = FreeChoice(check, _n_bits(order, best), tried[0].n_bits, tuple(tried), seed)
    note = "check and size were found on the trials of another seed, so that the verdict keeps its confidence"
    choice = choose(
        search.ranked(check),
        bits=_n_bits(order, search.judged(check, best)),
        kind=search.kind(check),
        granularity=granularity,
        aggregate=aggregate,
        stated={**(stated or {}), "free": found.to_dict(), "note": note},
    )
    return replace(choice, free=found)


def _n_bits(order: Order, n_units: int) -> int:
    return len(order.first(n_units))


def _tried(check: str, n_units: int | None, order: Order) -> TriedCheck:
    return TriedCheck(check, None if n_units is None else _n_bits(order, n_units))
