"""What the fault-free network is, and what it must be before anybody asks what faults do to it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from fkeras.campaigns.dead_tensors import DeadTensor
from fkeras.campaigns.limits import GoldenLimit
from fkeras.memory import BitSpace
from fkeras.metrics.chance import Chance


@dataclass(frozen=True, slots=True)
class FaultFree:
    """What is known of a network and its data before faults are drawn.

    golden: metrics of the fault-free network, by name; chance: those of them that have one; dead: tensors whose flips
    change nothing; is_all_dead: whether these are the whole memory, bit by bit; is_constant: whether every sample has
    the same output.
    """

    golden: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))
    chance: Mapping[str, Chance] = field(default_factory=lambda: MappingProxyType({}))
    dead: tuple[DeadTensor, ...] = ()
    is_all_dead: bool = False
    is_constant: bool = False

    def __or__(self, other: FaultFree) -> FaultFree:
        """With what is known of other metrics of the same network."""
        return replace(self, golden={**self.golden, **other.golden}, chance={**self.chance, **other.chance})

    def with_dead(self, dead: tuple[DeadTensor, ...], space: BitSpace) -> FaultFree:
        """The same with these tensors of a memory."""
        n_dead = sum(tensor.n_tried for tensor in dead)
        return replace(self, dead=dead, is_all_dead=n_dead == len(space) > 0)


@dataclass(frozen=True, slots=True)
class GoldenRequirement:
    """What the fault-free network must be: within `limits`, and better than chance unless `allow_chance`.

    how_to_allow: what to write to allow it, in the words of who asks.
    """

    limits: tuple[GoldenLimit, ...] = ()
    allow_chance: bool = False
    how_to_allow: str = "allow_chance=True"

    def problems(self, known: FaultFree) -> tuple[str, ...]:
        """Why nothing that faults do to this network would mean anything, in sentences; () where it is sound."""
        return tuple(self._problems(known))

    def _problems(self, known: FaultFree) -> Iterator[str]:
        for limit in self.limits:
            value = known.golden.get(limit.metric)
            if value is not None and limit.is_broken_without_faults(value):
                yield f"golden {limit.metric} {value:.6g} breaks {limit}: look at data, labels and model before faults"
        if known.is_all_dead:
            dead = "; ".join(map(str, known.dead))
            yield f"no flip of any bit changes an output, so there is nothing to survive ({dead})"
        for name, chance in known.chance.items():
            if chance.is_blind:
                yield (
                    f"metric '{name}' is {chance.value:.6g} whatever the outputs are, so it cannot tell what faults "
                    "do: correct the metric"
                )
            elif not chance.is_beaten and not self.allow_chance:
                same = "; the network gives every sample the same output" if known.is_constant else ""
                yield (
                    f"golden {name} {known.golden[name]:.6g} is no better than chance, {chance.value:.6g} for the best "
                    f"prediction that needs no input{same}: look at the labels and at the scaling of the inputs, or "
                    f"allow it: {self.how_to_allow}"
                )
