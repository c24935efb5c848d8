"""Whether two things happen together more often than chance has it (Fisher's exact test, one-sided)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def chance_of_together(together: int, first: int, second: int, n: int) -> float:
    """The probability that, of n trials, `first` and `second` independently chosen ones share `together` or more.

    >>> round(chance_of_together(4, 4, 5, 20), 6)  # 5/20 * 4/19 * 3/18 * 2/17
    0.001032
    """
    shared = np.arange(together, min(first, second) + 1)
    log_shares = _log_choices(first, shared) + _log_choices(n - first, second - shared) - _log_choices(n, second)
    return min(1.0, float(np.exp(log_shares).sum()))


def _log_choices(n: int, k: NDArray[np.int64] | int) -> NDArray[np.float64]:
    from scipy.special import betaln

    k = np.asarray(k)
    possible = (k >= 0) & (k <= n)
    inside = np.where(possible, k, 0)
    return np.where(possible, -np.log(n + 1) - betaln(n - inside + 1, inside + 1), -np.inf)
