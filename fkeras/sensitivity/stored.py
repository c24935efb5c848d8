"""Rankings in a store: the order with its scores, made once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from fkeras.memory import BitSpace
from fkeras.sensitivity.ranking import Ranking
from fkeras.store import Entry, Table


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
