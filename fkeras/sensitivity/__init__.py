"""Which bits matter: one method a file, the ranking they all make, and how good it is."""

from fkeras.sensitivity.quality import RankingQuality, ranking_quality
from fkeras.sensitivity.ranking import Ranking

__all__ = ["Ranking", "RankingQuality", "ranking_quality"]
