"""Sample sizes, intervals, sequential tests and rank correlation: pure functions of counts and values.

Only what needs nothing but the standard library is named here; the rest is taken from the module that owns it.
"""

from fkeras.statistics.estimate import Estimate
from fkeras.statistics.sample_size import leveugle

__all__ = ["Estimate", "leveugle"]
