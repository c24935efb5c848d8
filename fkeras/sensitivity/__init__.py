"""Which bits matter: one method a file, and the ranking they all make."""

from fkeras.sensitivity.ranking import Ranking

__all__ = ["Ranking"]
