"""What tells fault models and protections apart in a store: every parameter, the time of an exposure too."""

from __future__ import annotations

import json

from fkeras.faults import (
    SECDED,
    TMR,
    AssumedImmune,
    CellLayout,
    ClusteredUpsets,
    Exposure,
    FlipCount,
    Parity,
    protection,
)
from fkeras.runs.identity import described


def test_each_parameter_tells_them_apart(space):
    timed = FlipCount(3, exposure_seconds=60)
    things = [
        AssumedImmune([1]), TMR([1]), TMR([2]), TMR([1], 60), TMR([1], 60, "itself"), Parity([1]), SECDED([1]),
        SECDED([1], 60), SECDED([1], 60, "itself"), SECDED([1], on_detected="keep"), FlipCount(3), timed,
        Exposure(60, upsets_per_second=1), ClusteredUpsets(3, {1: 1.0}), ClusteredUpsets(timed, {1: 1.0}),
        ClusteredUpsets(3, {2: 1.0}), ClusteredUpsets(3, {1: 1.0}, CellLayout(copies="adjacent")),
    ]  # fmt: skip
    made = [json.dumps(described(thing), sort_keys=True) for thing in things]
    assert len(set(made)) == len(things)


def test_a_protection_in_a_memory_is_the_one_that_was_asked_for(space):
    asked = SECDED([1, 2], 60)
    assert described(protection(asked, space)) == described(asked)
