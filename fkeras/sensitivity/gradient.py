"""Rankings by the slope of the loss."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fkeras.engine import Evidence
from fkeras.memory.space import concatenate_values
from fkeras.sensitivity.flips import removals, word_slopes
from fkeras.sensitivity.positional import most_significant_first


def gradient_scores(evidence: Evidence) -> NDArray[np.float64]:
    """|dL/dtheta| (paper, eq. 1), most significant bits first; of registers the mean over the samples."""
    return most_significant_first(evidence.space, word_slopes(evidence.derivatives()))


def taylor_scores(evidence: Evidence) -> NDArray[np.float64]:
    """(dL/dtheta x theta) squared, most significant bits first.

    The first-order change of the loss when the weight is removed (Molchanov et al., CVPR 2019, eq. 8), as used on
    bits by Aspis (Schmedding et al., 2024).
    """
    theta = concatenate_values(evidence.space.tensors).astype(np.float64)
    return most_significant_first(evidence.space, np.square(removals(evidence.derivatives(), theta)))
