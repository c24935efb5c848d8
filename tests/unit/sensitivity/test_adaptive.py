"""The adaptive ranking on a made-up network whose damage, bit by bit and sample by sample, is a table."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
import pytest

from fkeras.engine import GoldenScore, Scores
from fkeras.errors import InputError
from fkeras.memory import BitSpace, FixedPoint, Float, WordTensor
from fkeras.sensitivity.adaptive import PASSES, adaptive_scores
from fkeras.sensitivity.positional import flip_steps, word_numbers
from fkeras.statistics.ranks import spearman

N_WORDS, N_SAMPLES, GOLDEN = 300, 1000, 5.0


@dataclass
class TableRun:
    """Damage looked up in a table; says how much was asked for."""

    damage: np.ndarray
    engine: str = "table"
    batch_size: int = 7

    def __post_init__(self) -> None:
        self.golden = {"table": GoldenScore(GOLDEN, 0.0, 0, None)}
        self.flipped: list[np.ndarray] = []

    def batches(self, bits: np.ndarray):
        yield from np.split(np.arange(bits.size)[::-1], range(self.batch_size, bits.size, self.batch_size))

    def flips(self, bits: np.ndarray) -> dict[str, Scores]:
        self.flipped.append(bits)
        nothing = np.zeros(bits.size, np.int64)
        return {"table": Scores(GOLDEN + self.damage[bits].mean(axis=1), nothing, nothing)}


@dataclass
class Slope:
    """Knows the slope of every sample and word."""

    per_sample: np.ndarray
    n_samples: int = N_SAMPLES
    loss: str = "table"
    space: BitSpace | None = None

    def gradient(self, rows: np.ndarray | None = None) -> np.ndarray:
        return (self.per_sample if rows is None else self.per_sample[:, rows]).mean(axis=1)

    def squared_jacobian_diagonal(self, stream) -> np.ndarray:
        return np.square(self.per_sample).mean(axis=1)


@dataclass
class Table:
    """Evidence whose every answer comes from a table (n_bits, n_samples)."""

    space: BitSpace
    damage_of: np.ndarray
    slope: Slope | None
    plain: Slope
    seed: int = 0
    n_samples: int = N_SAMPLES
    metric: None = None
    asked: list[np.ndarray] = field(default_factory=list)
    runs: list[TableRun] = field(default_factory=list)

    def __post_init__(self) -> None:
        for derivatives in filter(None, (self.slope, self.plain)):
            derivatives.space = self.space

    def damage(self) -> None:
        raise AssertionError("runs know the metric")

    def damage_derivatives(self) -> Slope | None:
        return self.slope

    def derivatives(self) -> Slope:
        return self.plain

    def run(self, rows: np.ndarray) -> TableRun:
        self.asked.append(rows)
        self.runs.append(TableRun(self.damage_of[:, rows]))
        return self.runs[-1]

    @property
    def work(self) -> float:
        """Bits x samples, as a share of the oracle's."""
        return (
            sum(
                sum(part.size for part in run.flipped) * rows.size
                for run, rows in zip(self.runs, self.asked, strict=True)
            )
            / self.damage_of.size
        )


@pytest.fixture
def table() -> Table:
    """Samples differ a lot in slope; large steps saturate, so that the slope misleads for top bits."""
    draw = np.random.default_rng(0)
    words = draw.integers(0, 64, N_WORDS).astype(np.uint32)
    codec = FixedPoint(6, 1)
    space = BitSpace(
        (
            WordTensor(
                "a/kernel",
                (N_WORDS,),
                codec,
                words,
                np.ones(N_WORDS, np.float32),
                codec.decode(words).astype(np.float32),
            ),
        )
    )
    slopes = draw.normal(size=(N_WORDS, 1)) + 2 * draw.normal(size=(N_WORDS, N_SAMPLES))
    shifts = slopes[word_numbers(space)] * flip_steps(space)[:, None]
    return Table(space, np.tanh(shifts) + 0.1 * shifts**2, Slope(slopes), Slope(slopes))


def agreement(scores: np.ndarray, table: Table) -> float:
    return spearman(scores, np.abs(table.damage_of.mean(axis=1)))


def plain_sampling(table: Table, share: float) -> float:
    rows = np.random.default_rng(1).choice(N_SAMPLES, round(share * N_SAMPLES), replace=False)
    return agreement(np.abs(table.damage_of[:, rows].mean(axis=1)), table)


def test_it_beats_plain_sampling_of_the_same_cost(table):
    assert agreement(adaptive_scores(table), table) > plain_sampling(table, 0.01) + 0.05


def test_more_work_comes_closer(table):
    one, ten = agreement(adaptive_scores(table), table), agreement(adaptive_scores(table, share=0.1), table)
    assert ten > one
    assert ten > 0.98


@pytest.mark.parametrize("share", [0.01, 0.1, 0.2])
def test_it_spends_what_it_says(table, share):
    adaptive_scores(table, share=share)
    assert table.work + PASSES / len(table.space) == pytest.approx(share, rel=0.15)


def test_no_sample_is_drawn_twice(table):
    adaptive_scores(table, share=0.25)
    rows = np.concatenate(table.asked)
    assert np.unique(rows).size == rows.size


def test_the_same_seed_asks_for_the_same_samples(table):
    adaptive_scores(table)
    first, table.asked = table.asked, []
    adaptive_scores(table)
    assert all(np.array_equal(a, b) for a, b in zip(first, table.asked, strict=True))


def test_without_a_slope_it_still_ranks(table):
    table.slope = None
    assert agreement(adaptive_scores(table, share=0.1), table) > plain_sampling(table, 0.05)


def test_a_slope_that_is_wrong_does_little_harm(table):
    table.slope = replace(table.slope, per_sample=np.random.default_rng(5).normal(size=(N_WORDS, N_SAMPLES)))
    assert agreement(adaptive_scores(table, share=0.1), table) > plain_sampling(table, 0.1) - 0.05


def test_bits_that_change_nothing_come_last(table):
    table.damage_of = table.damage_of.copy()
    table.damage_of[:60] = 0
    for slope in (table.slope, table.plain):
        slope.per_sample[:10] = 0
    assert set(np.argsort(adaptive_scores(table), kind="stable")[:60].tolist()) == set(range(60))


def test_infinite_damage_comes_first(table):
    table.damage_of = table.damage_of.copy()
    table.damage_of[37] = np.inf
    scores = adaptive_scores(table)
    assert np.flatnonzero(np.isinf(scores)).tolist() == [37]
    assert not np.isnan(scores).any()


def test_very_few_samples_are_enough_to_run(table):
    table.n_samples, table.damage_of = 3, table.damage_of[:, :3]
    assert np.isfinite(adaptive_scores(table)).all()


@pytest.mark.parametrize("share", [0.0, 0.3, -1.0])
def test_shares_out_of_range_are_refused(table, share):
    with pytest.raises(InputError, match=r"above 0 and up to 0\.25"):
        adaptive_scores(table, share=share)


@pytest.mark.parametrize("name", ["float32", "bfloat16"])
def test_words_of_floats_are_ranked_though_steps_are_huge(name):
    draw, codec = np.random.default_rng(0), Float(name)
    values = (draw.integers(-64, 64, 20) / 64).astype(np.float32)
    space = BitSpace((WordTensor("a/kernel", (20,), codec, codec.encode(values), values * 0 + 1, values),))
    slopes = draw.normal(size=(20, 1)) + 0.3 * draw.normal(size=(20, N_SAMPLES))
    damage = np.abs(np.tanh(slopes[word_numbers(space)] * flip_steps(space)[:, None]))
    damage[space.bit_positions == 1] = np.nan
    table = Table(space, damage, Slope(slopes), Slope(slopes))
    scores = adaptive_scores(table, share=0.2)
    assert np.isinf(scores[space.bit_positions == 1]).all()
    finite = space.bit_positions != 1
    assert np.isfinite(scores[finite]).all()
    assert spearman(scores[finite], damage.mean(axis=1)[finite]) > 0.9
