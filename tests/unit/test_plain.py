"""What `plain` writes, JSON holds and `restored` reads."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from typing import Literal

import pytest

from fkeras.campaigns import Outcome
from fkeras.campaigns.verdict import AnyOutcome, VerdictRecord
from fkeras.plain import FLAT, plain, restored


@dataclass(frozen=True)
class Part:
    name: str
    value: float
    ends: tuple[float, float] | None = None


@dataclass(frozen=True)
class Whole:
    n: int
    verdict: VerdictRecord = field(metadata=FLAT)
    outcomes: tuple[AnyOutcome, ...]
    parts: dict[str, Part]
    mean: float = 0.0


def test_values_survive():
    parts = {"a": Part("a", math.inf), "b": Part("b", -0.1, (-math.inf, 2.0))}
    whole = Whole(3, VerdictRecord(Outcome.NOT_RUN, 1, 60, 0.0, 0.5), (Outcome.PASS, ""), parts)
    text = json.dumps(plain(whole), allow_nan=False)
    again = restored(Whole, json.loads(text))
    assert again == whole
    assert isinstance(again.verdict.outcome, Outcome)
    assert isinstance(again.outcomes[0], Outcome)
    assert restored(Whole, {**json.loads(text), "novelty": 1}) == whole


def test_a_flat_part_stands_among_the_fields_of_its_owner():
    whole = plain(Whole(3, VerdictRecord(Outcome.PASS, 1, 60, 0.0, 0.5), (), {}))
    assert list(whole) == ["n", "outcome", "failures", "trials", "share_low", "share_high", "outcomes", "parts", "mean"]
    # Other ways between processes than JSON know no subclasses of str.
    assert type(whole["outcome"]) is str


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (int, 1.5),
        (int, True),
        (int, "1"),
        (float, True),
        (float, "much"),
        (str, 1),
        (bool, 1),
        (bool, "yes"),
        (Literal["lower", "higher"], "sideways"),
        (tuple[float, float], [1.0]),
        (Outcome, "MAYBE"),
        (Part, {"name": "a"}),
        (dict[str, int], {"a": "b"}),
    ],
)
def test_what_is_of_another_kind_is_refused(kind, value):
    with pytest.raises((TypeError, ValueError)):
        restored(kind, value)


def test_json_knows_one_kind_of_number():
    assert [type(restored(kind, value)) for kind, value in [(int, 2.0), (float, 2), (float, "inf")]] == [
        int,
        float,
        float,
    ]
