"""The text of an endurance campaign says what was measured, at every look."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from fkeras.campaigns import Endurance, Limit, Requirement
from fkeras.campaigns.accumulation import OneByOne
from fkeras.campaigns.endurance import Histories
from fkeras.engine import GoldenScore
from fkeras.faults import TMR, protection
from fkeras.memory import BitSpace, FixedPoint, WordTensor
from fkeras.report.endurance import endurance_text

CODEC = FixedPoint(4, 0)
ZEROS = np.zeros(300, np.float32)
SPACE = BitSpace((WordTensor("d/kernel", (300,), CODEC, CODEC.encode(ZEROS), np.ones(300), ZEROS),))


def result_of(requirement):
    looks = np.array([1.0, 20, 1000])
    values = np.tile([1.0, 2.0, 4.0], (100, 1))
    values[:3, 1] = 3.5
    broken = values > 3
    broken[0, 2] = False
    zeros = np.zeros(values.shape, np.int64)
    table = Histories(looks, values, zeros, zeros, broken)
    return Endurance(
        "emd",
        "lower",
        None,
        GoldenScore(1.0, 0.25, 0, None),
        requirement,
        table,
        None if requirement is None else table,
        OneByOne(),
        protection([1, 2, 3], SPACE),
        7,
        SPACE,
        "cpu",
        64,
    )


def test_what_protects_the_memory_takes_an_area():
    text = endurance_text(replace(result_of(None), protection=TMR(range(300))))
    assert "hit like the others, never scrubbed; area +50.0%, assumed to be that of the extra bits\n" in text


def test_with_a_limit():
    text = endurance_text(result_of(Requirement((Limit("emd", "max", 3.0),))))
    lines = [" ".join(line.split()) for line in text.splitlines()]
    assert lines == [
        "survives 1 flip, not 1,000 flips (max_emd=3, broken by then in at most 5 % of trials, 100 trials, each at "
        "0.95 confidence)",
        "",
        "flips trials emd mean [95 %] middle 80 % of trials failed by then [95 %]",
        "1 100 1 [1, 1] 1 to 1 0 [0, 3.62 %]",
        "20 100 2.045 [1.994, 2.096] 2 to 2 3 [0.623, 8.52 %]",
        "1,000 100 4 [4, 4] 4 to 4 100 [96.4, 100 %]",
        "",
        "1,200 bits, 64 samples, distinct bits flip one after another, seed 7",
        "protection bits: 3 bits (0.2%) assumed immune",
        "golden emd 1 +- 0.25 (data)",
        # (0..1: 1) + (1..20: 19 * (1 + 2.045) / 2) + (20..1000: 980 * (2.045 + 4) / 2), over 1,000.
        "average of emd from 0 to 1,000 flips: 2.9920 [2.9665, 3.0175] at 95 %",
        "the claim rests on one-sided bounds at 0.95 of these 100 trials; intervals in the table are two-sided",
        "1 of the trials broke a limit and kept it at a later look: failed all the same",
    ]


def test_trials_of_a_survey_have_a_table_of_their_own():
    close = result_of(Requirement((Limit("emd", "max", 3.0),)))
    broken = close.proof.broken
    for trials in (30, 100):
        survey = replace(
            close.proof, looks=np.array([1.0, 500, 2000]), values=close.proof.values[:trials], broken=broken[:trials]
        )
        lines = endurance_text(replace(close, survey=survey)).splitlines()
        rows = [[line.split()[0] for line in table.splitlines()[2:]] for table in "\n".join(lines).split("\n\n")[1:3]]
        assert rows == [["1", "20", "1,000"], ["500", "2,000"]]
        assert lines[2] == "closer looks, on which the claim rests:"
        assert lines[8] == "a first survey, other trials, whose failures between its own looks are not seen:"


def test_without_a_limit():
    text = endurance_text(result_of(None))
    assert text.startswith("emd at 3 looks up to 1,000 flips\n")
    assert "failed" not in text
