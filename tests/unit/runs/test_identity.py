"""What tells stored campaigns apart: protections by all that they do, and by nothing else."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from fkeras.faults import TMR, KnownWords, RangeCheck, Recoded, protection
from fkeras.memory import BitSpace, FixedPoint, WordTensor
from fkeras.protection import read_words, write_words
from fkeras.runs.identity import described
from fkeras.sensitivity import Ranking


def space_of(*values):
    golden = np.array(values, np.float32)
    codec = FixedPoint(4, 3)
    return BitSpace((WordTensor("d/kernel", (len(values),), codec, codec.encode(golden), golden * 0 + 1, golden),))


SPACE, OTHER = space_of(1, 2, 3), space_of(1, 2, 6)


def identity(*parts):
    return described(protection(list(parts), SPACE))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (KnownWords(), RangeCheck()),
        (KnownWords(), Recoded()),
        (KnownWords(), KnownWords(0.02)),
        (KnownWords(), KnownWords(stored=True)),
        (KnownWords(importance=[1, 2, 3]), KnownWords(importance=[1, 2, 4])),
        (KnownWords(of=SPACE), KnownWords(of=[SPACE, OTHER])),
        (RangeCheck(), RangeCheck("clamp")),
        (RangeCheck(), RangeCheck(scrub_interval_seconds=6)),
        (Recoded(), Recoded(seed=1)),
    ],
    ids=repr,
)
def test_checks_that_do_something_else_are_something_else(one, other):
    assert identity(one) != identity(other)
    assert identity(TMR([0]), one) != identity(TMR([0]), other)
    assert identity(TMR([0]), one) != identity(TMR([1]), one)
    assert identity(one) == identity(replace(one))


def test_a_ranking_that_was_read_from_a_store_weighs_the_same():
    ranking = Ranking.from_scores(np.arange(12.0), SPACE)
    read = replace(ranking, reused=True)
    assert identity(KnownWords(importance=ranking)) == identity(KnownWords(importance=read))
    other = Ranking.from_scores(np.arange(12.0)[::-1], SPACE)
    assert identity(KnownWords(importance=ranking)) != identity(KnownWords(importance=other))


def test_checks_in_files_are_told_apart_by_what_is_in_them(tmp_path):
    for name, check in (("a", KnownWords()), ("b", KnownWords(margin=1)), ("c", KnownWords())):
        write_words(check, SPACE, tmp_path / name)
    a, b, c = (identity(read_words(tmp_path / name)) for name in "abc")
    assert a == c
    assert a != b
