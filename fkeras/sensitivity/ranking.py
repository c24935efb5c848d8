"""A ranking: the bits of a memory, most sensitive first."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fkeras.errors import InputError
from fkeras.memory import BitSet, BitSpace
from fkeras.store import Entry, Table

NEAR = 1e-6
"""Scores that differ by less than this share of themselves may change places from machine to machine."""


@dataclass(frozen=True, slots=True, eq=False)
class Ranking:
    """A permutation of the bits of a space; `ranking[:k]` is the set of its first k bits.

    Arguments:
        order: (n_bits,) int64 flat indices, most sensitive first.
        scores: (n_bits,) float64 by flat index, never NaN; only their order matters.
        method: what made it.
        layout_digest: the layout that it belongs to, None: unknown.
        reused: whether it was read from a store.
    """

    order: NDArray[np.int64]
    scores: NDArray[np.float64]
    method: str
    layout_digest: str | None = None
    reused: bool = False

    def __post_init__(self) -> None:
        if self.order.shape != self.scores.shape or not np.array_equal(np.sort(self.order), np.arange(len(self.order))):
            raise InputError(f"ranking '{self.method}': order must name each of {self.scores.size} bits once")
        for array in (self.order, self.scores):
            array.flags.writeable = False

    @classmethod
    def from_scores(cls, scores: ArrayLike, space: BitSpace | None = None, method: str = "scores") -> Ranking:
        """Rank by score by flat index, largest first, ties by flat index. InputError for a wrong length or a NaN."""
        values = np.array(scores, np.float64)
        if values.ndim != 1 or (space is not None and values.size != len(space)):
            wanted = "one score per bit" if space is None else f"{len(space)}, one per bit of the space"
            raise InputError(f"ranking '{method}': scores of shape {values.shape}; allowed are {wanted}")
        if np.isnan(values).any():
            raise InputError(
                f"ranking '{method}': {int(np.isnan(values).sum())} scores are NaN; give every bit a number"
            )
        order = np.argsort(-values, kind="stable").astype(np.int64)
        return cls(order, values, method, None if space is None else space.layout_digest)

    def __len__(self) -> int:
        return int(self.order.size)

    def __repr__(self) -> str:
        return f"<Ranking '{self.method}' of {len(self):,} bits>"

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        printer.text(repr(self))  # not field by field, as hypothesis prints dataclasses

    def __getitem__(self, part: slice) -> BitSet:
        if not isinstance(part, slice):
            raise InputError(f"ranking[{part!r}]: write ranking[:k] for the first k bits; ranking.order[i] is one bit")
        if part.step not in (None, 1) or any(
            end is not None and not 0 <= end <= len(self) for end in (part.start, part.stop)
        ):
            raise InputError(
                f"ranking[{part.start}:{part.stop}:{part.step}]: allowed are bounds from 0 to {len(self)} "
                "without a step"
            )
        start = f"{part.start}" if part.start else ""
        stop = "" if part.stop is None else f"{part.stop}"
        near_tie = "" if part.stop is None else self.near_tie(part.stop)
        return BitSet(self.order[part], self.layout_digest, f"ranking({self.method!r})[{start}:{stop}]", near_tie)

    def near_tie(self, k: int, order: NDArray[np.int64] | None = None) -> str:
        """Whether chance decides which bits are the first k: "near-tie at 4,040: 12 bits share the score", or "".

        Bits k and k + 1 are as good as equal when their scores differ by less than 1e-6 of themselves, as between
        machines; of equal ones the first by flat index come first. order: a part of the bits in this order.

        >>> Ranking.from_scores([3.0, 1.0, 1.0, 1.0]).near_tie(2)
        'near-tie at 2: 3 bits share the score'
        """
        within = self.order if order is None else order
        if not 0 < k < len(within):
            return ""
        scores = self.scores[within]
        last = scores[k - 1]
        with np.errstate(invalid="ignore"):
            alike = (scores == last) | (np.isfinite(last) & (np.abs(scores - last) <= NEAR * np.abs(last)))
        if not alike[k]:
            return ""
        shared = "share the score" if (scores[alike] == last).all() else f"have scores within {NEAR:g} of one another"
        return f"near-tie at {k:,}: {int(alike.sum()):,} bits {shared}"

    def fraction(self, share: float) -> BitSet:
        """The first `share` (0 to 1) of the bits, rounded to the nearest whole number of bits."""
        if not 0 <= share <= 1:
            raise InputError(f"fraction({share!r}): allowed are shares from 0 to 1")
        return self[: round(share * len(self))]


def stored_ranking(entry: Entry, space: BitSpace, make: Callable[[], Ranking]) -> Ranking:
    """The ranking in `entry`, a table of rank, bit, score, method; made and stored if it is not there yet.

    Other processes that want the same ranking wait meanwhile and read it.
    """
    found = _read(entry.known(), space)
    if found is not None:
        return found
    with entry.alone():
        found = _read(entry.known(), space)
        if found is not None:
            return found
        if entry.known():
            entry.notice(f"{entry.folder}: no ranking of {len(space):,} bits, so it is left out and made again")
            entry.discard()
        ranking = make()
        entry.append(
            {
                "rank": np.arange(len(ranking)),
                "bit": ranking.order,
                "score": ranking.scores[ranking.order],
                "method": np.full(len(ranking), ranking.method),
            }
        )
        # Of two that were made without locks, everybody must use the same.
        entry.finish()
        kept = _read(entry.known(), space)
        return ranking if kept is None else replace(kept, reused=False)


def _read(table: Table, space: BitSpace) -> Ranking | None:
    every = np.arange(len(space))
    if not table or not np.array_equal(np.sort(table["bit"]), every) or not np.array_equal(table["rank"], every):
        return None
    if np.isnan(table["score"]).any():
        return None
    scores = np.empty(len(space))
    scores[table["bit"]] = table["score"]
    return Ranking(table["bit"].copy(), scores, str(table["method"][0]), space.layout_digest, reused=True)
