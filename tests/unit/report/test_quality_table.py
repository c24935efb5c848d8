"""The table of rankings' quality."""

from __future__ import annotations

import numpy as np
import pytest

from fkeras.errors import InputError
from fkeras.report.quality import quality_table
from fkeras.sensitivity.quality import PositionQuality, RankingQuality, TopQuality
from fkeras.statistics import Estimate


def exactly(value: float) -> Estimate:
    return Estimate(value, value, value, 0.95, "")


def quality(method: str, rho: Estimate, ceiling: float | None = None, positions=(0, 1)) -> RankingQuality:
    by_position = tuple(PositionQuality(position, 5, exactly(0.25)) for position in positions)
    tops = (TopQuality(0.01, Estimate(0.02, 0.03, 0.05, 0.95, "")),)
    return RankingQuality(method, 10, rho, by_position, exactly(0.5), tops, np.zeros(11), np.zeros(11), ceiling)


def test_a_row_per_ranking_with_intervals_and_the_ceiling():
    text = quality_table(
        [quality("msb", Estimate(0.7, 0.75, 0.8, 0.95, ""), 0.99), quality("random", exactly(0.0))], "github"
    )
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines()]
    assert rows[0] == ["ranking", "rho", "area", "top 1 %", "rho, bit 0", "rho, bit 1"]
    assert rows[2] == ["msb", "0.750 [0.700, 0.800]", "0.500", "3.0 % [2.0, 5.0]", "0.250", "0.250"]
    assert rows[3][:3] == ["random", "0.000", "0.500"]
    assert rows[4][:2] == ["noise ceiling", "0.990"]


def test_nothing_and_rankings_of_different_words_are_refused():
    with pytest.raises(InputError, match="no quality was given"):
        quality_table([])
    with pytest.raises(InputError, match="bits of different words"):
        quality_table([quality("msb", exactly(0.5)), quality("msb", exactly(0.5), positions=(0, 1, 2))])
