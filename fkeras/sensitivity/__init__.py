"""Which bits matter: methods to score them, the ranking that they all make, and how good it is."""

from fkeras.sensitivity.quality import RankingQuality, ranking_quality
from fkeras.sensitivity.ranking import Ranking

__all__ = ["Ranking", "RankingQuality", "ranking_quality"]
