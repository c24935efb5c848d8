"""Quality of a ranking: known answers on a handful of bits."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from fkeras.errors import InputError, LayoutError
from fkeras.sensitivity.quality import (
    area_share,
    damage_curve,
    flips_for_top,
    noise_ceiling,
    ranking_quality,
)
from fkeras.sensitivity.ranking import Ranking


@dataclass
class Measured:
    delta: np.ndarray
    positions: np.ndarray
    bits: np.ndarray
    group_deltas: np.ndarray | None = None
    layout_digest: str = "layout"


def measured(delta, groups=None, width=2) -> Measured:
    values = np.asarray(delta, np.float64)
    bits = np.arange(values.size)
    return Measured(values, bits % width, bits, groups)


def test_the_oracle_itself_is_perfect():
    judge = measured([0.5, -4.0, 1.0, 0.0, 2.0, -0.25])
    quality = ranking_quality(Ranking.from_scores(np.abs(judge.delta)), judge)
    assert quality.rho.best == pytest.approx(1.0)
    assert quality.area.best == pytest.approx(1.0)
    assert [one.flips.best for one in quality.top] == pytest.approx([1 / 6, 1 / 6, 1 / 6, 1 / 6])
    assert np.array_equal(quality.curve, quality.oracle_curve)


def test_damage_counts_by_its_size_not_its_sign():
    judge = measured([0.5, -4.0, 1.0, 0.0, 2.0, -0.25])
    flipped = measured(-judge.delta)
    ranking = Ranking.from_scores([3.0, 1.0, 2.0, 6.0, 5.0, 4.0])
    assert ranking_quality(ranking, judge).rho == ranking_quality(ranking, flipped).rho


def test_the_reverse_order_is_as_bad_as_can_be():
    quality = ranking_quality(Ranking.from_scores([1.0, 2.0, 3.0, 4.0]), measured([4.0, 3.0, 2.0, 1.0]))
    assert quality.rho.best == pytest.approx(-1.0)
    assert quality.area.best == pytest.approx(-1.0)
    assert quality.top[0].flips.best == 1.0


def test_rho_within_each_bit_position():
    quality = ranking_quality(Ranking.from_scores([3.0, 1.0, 2.0, 2.0, 1.0, 3.0]), measured([3, 3, 2, 2, 1, 1]))
    assert [(one.position, one.n_bits, one.rho.best) for one in quality.by_position] == [
        (0, 3, pytest.approx(1.0)),
        (1, 3, pytest.approx(-1.0)),
    ]


def test_the_curve_is_the_share_of_all_damage():
    assert damage_curve([3.0, 0.0, 1.0]).tolist() == [0.0, 0.75, 0.75, 1.0]


def test_infinite_damage_outweighs_all_other():
    assert damage_curve([1.0, np.inf, 5.0, np.inf]).tolist() == [0.0, 0.0, 0.5, 0.5, 1.0]


def test_no_damage_at_all_has_a_flat_curve_and_a_full_area():
    assert damage_curve(np.zeros(3)).tolist() == [0.0] * 4
    assert area_share(np.zeros(3)) == 1.0


def test_area_of_a_hand_computed_order():
    # order 1, 2, 3 of damages 3, 2, 1: curves (0, 1/6, 1/2, 1) and (0, 1/2, 5/6, 1), means 5/12 and 7/12
    assert area_share(np.array([1.0, 2.0, 3.0])) == pytest.approx(-1.0)
    assert area_share(np.array([3.0, 1.0, 2.0])) == pytest.approx(((0 + 3 / 6 + 4 / 6 + 1) / 4 - 0.5) / (7 / 12 - 0.5))


def test_flips_until_the_last_of_the_top_bits_is_met():
    damage = np.array([1.0, 9.0, 2.0, 8.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0])
    assert flips_for_top(damage, 0.1) == 0.2
    assert flips_for_top(damage, 0.2) == 0.4


def test_of_equally_damaging_bits_the_first_met_count():
    assert flips_for_top(np.array([0.0, 1.0, 1.0, 1.0]), 0.5) == 0.75


def test_tied_scores_share_their_rank():
    quality = ranking_quality(Ranking.from_scores([1.0, 1.0, 1.0]), measured([3.0, 2.0, 1.0]))
    assert quality.rho.best == 0.0


def test_an_oracle_of_some_bits_judges_those():
    judge = Measured(np.array([1.0, 5.0]), np.array([1, 0]), np.array([7, 2]))
    quality = ranking_quality(Ranking.from_scores(np.arange(8.0)), judge)
    assert (quality.n_bits, quality.rho.best) == (2, pytest.approx(-1.0))


def test_intervals_come_from_sample_groups():
    draw = np.random.default_rng(0)
    groups = np.linspace(1, 3, 200)[:, None] + draw.normal(size=(200, 30))
    judge = measured(groups.mean(axis=1), groups)
    quality = ranking_quality(Ranking.from_scores(np.linspace(1, 3, 200)), judge)
    assert quality.rho.low < quality.rho.best <= quality.rho.high < 1
    assert "bootstrap over samples" in quality.rho.method
    assert quality.ceiling is not None
    # true reliability: variance of the signal 1/3 over itself plus noise 1/30
    assert quality.ceiling == pytest.approx((1 / 3) / (1 / 3 + 1 / 30), abs=0.05)


def test_without_groups_the_interval_says_that_noise_is_unknown():
    quality = ranking_quality(Ranking.from_scores([2.0, 1.0]), measured([2.0, 1.0]))
    assert (quality.rho.low, quality.rho.high) == (quality.rho.best, quality.rho.best)
    assert "unknown" in quality.rho.method
    assert quality.ceiling is None


def test_identical_groups_have_the_highest_ceiling():
    assert noise_ceiling(np.arange(10.0)[:, None] * np.ones((1, 4))) == pytest.approx(1.0)


def test_another_layout_is_refused():
    ranking = Ranking(np.array([0, 1]), np.array([1.0, 0.0]), "msb", "other")
    with pytest.raises(LayoutError, match="'msb' belongs to layout other, the oracle to layout"):
        ranking_quality(ranking, measured([1.0, 2.0]))


def test_bits_beyond_the_ranking_are_refused():
    with pytest.raises(InputError, match="up to 3; the ranking has 2 bits"):
        ranking_quality(Ranking.from_scores([1.0, 2.0]), measured([1.0, 2.0, 3.0, 4.0]))


def test_rows_name_every_number():
    quality = ranking_quality(Ranking.from_scores([4.0, 3.0, 2.0, 1.0]), measured([4.0, 3.0, 2.0, 1.0]))
    assert [name for name, _ in quality.rows()] == [
        "rho",
        "area",
        "top 1 %",
        "top 5 %",
        "top 10 %",
        "top 20 %",
        "rho, bit 0",
        "rho, bit 1",
    ]
