"""How far a flip moves the outputs, whatever the targets are."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fkeras.engine import Evidence
from fkeras.faults import RandomStream
from fkeras.sensitivity.flips import curvatures, displacements, loss_changes


def displacement_scores(evidence: Evidence) -> NDArray[np.float64]:
    """Expected squared displacement of the outputs under each flip, to first order; bits of all significances mixed.

    The exact step of the flip squared, times the diagonal of the mean of J^T J, J the outputs' derivatives in theta; of
    a register the mean over samples of both, as the step of a flip is another one in each sample.
    """
    stream = RandomStream("fkeras-displacement/1", evidence.seed, evidence.space.layout_digest)
    return displacements(evidence.derivatives(), stream)


def loss_change_scores(evidence: Evidence) -> NDArray[np.float64]:
    """|g step| + step^2 c / 2: how much the loss may change under each flip, significances mixed.

    step: what the flip adds to the value; g: dL/dtheta; c: the diagonal of the Gauss-Newton matrix, which unlike the
    Hessian's has no terms that cancel. The slope counts without its sign: where it would undo the curvature, the
    step is too large for either to be trusted. The diagonal is estimated without bias and may come out below 0; its
    size is taken.
    """
    stream = RandomStream("fkeras-loss-change/1", evidence.seed, evidence.space.layout_digest)
    derivatives = evidence.derivatives()
    return np.abs(loss_changes(derivatives)) + 0.5 * np.abs(curvatures(derivatives, stream))
