"""A judge of rankings has no favourites: the oracle is best, its reverse is worst, scale does not count."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from fkeras.sensitivity.quality import area_share, damage_curve, flips_for_top, ranking_quality
from fkeras.sensitivity.ranking import Ranking

damages = st.lists(st.integers(0, 1000), min_size=2, max_size=60).map(lambda values: np.array(values, np.float64))


@dataclass
class Measured:
    delta: np.ndarray
    layout_digest: str = "layout"
    group_deltas: None = None

    @property
    def bits(self) -> np.ndarray:
        return np.arange(self.delta.size)

    @property
    def positions(self) -> np.ndarray:
        return self.bits % 3


@given(damages, st.randoms(use_true_random=False))
def test_no_order_beats_the_oracle_or_is_worse_than_its_reverse(damage, random):
    order = list(range(damage.size))
    random.shuffle(order)
    shuffled, best = damage[order], np.sort(damage)[::-1]
    assert area_share(best[::-1]) - 1e-9 <= area_share(shuffled) <= area_share(best) + 1e-9
    assert (damage_curve(shuffled) <= damage_curve(best) + 1e-12).all()
    for share in (0.01, 0.1, 0.5):
        assert flips_for_top(best, share) <= flips_for_top(shuffled, share) <= 1


@given(damages, st.floats(0.001, 1000))
def test_the_unit_of_the_metric_does_not_count(damage, unit):
    ranking = Ranking.from_scores(np.arange(damage.size)[::-1].astype(float))
    one, other = (ranking_quality(ranking, Measured(values)) for values in (damage, damage * unit))
    assert np.isclose(one.area.best, other.area.best)
    assert one.rho.best == other.rho.best


@given(damages)
def test_only_the_order_of_the_scores_counts(damage):
    scores = np.sin(np.arange(damage.size) * 7.0)
    one, other = (ranking_quality(Ranking.from_scores(values), Measured(damage)) for values in (scores, np.exp(scores)))
    assert [estimate for _, estimate in one.rows()] == [estimate for _, estimate in other.rows()]


@given(damages)
def test_a_damage_curve_never_falls_and_ends_at_everything(damage):
    curve = damage_curve(damage)
    assert curve[0] == 0
    assert (np.diff(curve) >= 0).all()
    assert curve[-1] == (1 if damage.any() else 0)
