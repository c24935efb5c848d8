"""How far a flip moves the outputs, whatever the targets are."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fkeras.engine import Evidence
from fkeras.faults import RandomStream
from fkeras.sensitivity.positional import flip_steps, word_numbers


def displacement_scores(evidence: Evidence) -> NDArray[np.float64]:
    """Expected squared displacement of the outputs under each flip, to first order; bits of all significances mixed.

    The exact step of the flip squared, times the diagonal of the mean of J^T J, J the outputs' derivatives in theta.
    """
    stream = RandomStream("fkeras-displacement/1", evidence.seed, evidence.space.layout_digest)
    diagonal = evidence.derivatives().squared_jacobian_diagonal(stream)
    scores: NDArray[np.float64] = np.square(flip_steps(evidence.space)) * diagonal[word_numbers(evidence.space)]
    return scores
