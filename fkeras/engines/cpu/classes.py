"""Where the winning class counts: scores without a softmax, for all but ties; and ties that float64 sums decide.

A softmax keeps the order of its inputs, and where the best is ahead by more than rounding can close, the class that
wins is known from them. What is closer than that goes through the model's own operations. Behind other float layers
the last bits of a score depend on who computes it, so where the two best are as good as equal, the sums are made in
float64.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fkeras.arithmetic.passes import Floats, Ints, next_of, share_out
from fkeras.compiled import compiled
from fkeras.metrics.classification import THRESHOLD, is_single_score
from fkeras.metrics.metric import Outputs
from fkeras.network import Network
from fkeras.network.fit import TOLERANCE
from fkeras.network.pointwise import Function
from fkeras.scoring import Scorecard

AT_ONCE = 2**12
"""Rows that a thread looks at in a turn."""
LOOKING_COST = 4
"""Instructions that it takes to look at a score, about."""
BY_CLASS = ("accuracy", "mispredictions")
"""The identities of the metrics that look at the winning class only."""
CLEAR_PER_CLASS = 1e-5
"""A lead of this times the number of classes leaves a softmax's two best more than 1e-6 apart."""


def nearly_tied(outputs: Outputs) -> NDArray[np.bool_]:
    """The samples whose class any rounding may change, (k,) bool: the two best scores, or a single one and 0.5, are as
    good as equal. Outputs of other shapes have none."""
    tied: NDArray[np.bool_]
    if isinstance(outputs, tuple):
        tied = np.any([nearly_tied(one) for one in outputs], axis=0)
        return tied
    if is_single_score(outputs):
        tied = np.abs(outputs.reshape(len(outputs)) - THRESHOLD) <= TOLERANCE
        return tied
    if outputs.ndim != 2 or outputs.shape[1] == 0:
        return np.zeros(len(outputs), np.bool_)
    second, best = np.partition(outputs, (-2, -1), axis=1)[:, -2:].T
    tied = best - second <= TOLERANCE * np.maximum(1, np.abs(best))
    return tied


def counts_classes(card: Scorecard) -> bool:
    """Whether some metric looks at the winning class."""
    return any(metric.identity.endswith(BY_CLASS) for metric in card.metrics.values())


def decided_by_class(network: Network, end: str, card: Scorecard, golden_outputs: Any) -> bool:
    """Whether every metric follows from which entry of `end` is the largest."""
    behind = network.behind([end])
    return (
        all(metric.identity in BY_CLASS for metric in card.metrics.values())
        and network.outputs == (behind[0].name if behind else end,)
        and len(behind) < 2
        and all(node.operation == Function("softmax") for node in behind)
        and golden_outputs.ndim == 2
        and golden_outputs.shape[1] > 1
    )


def scores_by_class(card: Scorecard, golden_outputs: NDArray[Any]) -> dict[str, NDArray[np.float64]]:
    """By metric, what each sample scores where a class wins: (classes, n)."""
    n, n_classes = golden_outputs.shape
    one_hot = np.eye(n_classes, dtype=np.float32)
    return {
        name: np.stack([scorer.score(one_hot[[winner] * n], slice(None)).values for winner in range(n_classes)])
        for name, scorer in card.scorers.items()
    }


class ClassScores:
    """The scores of states whose class is clear, by metric."""

    def __init__(self, card: Scorecard, golden_outputs: NDArray[Any]) -> None:
        self._lead = CLEAR_PER_CLASS * golden_outputs.shape[1]
        self._values = scores_by_class(card, golden_outputs)

    def fill(
        self,
        samples: NDArray[np.intp],
        errors: Mapping[str, NDArray[np.float64]],
        undefined: Mapping[str, NDArray[np.bool_]],
        places: NDArray[np.intp],
        ends: Floats,
    ) -> NDArray[np.intp]:
        """Write the scores of the states at `places` whose class is clear; returns which of them are not, for others.

        samples, errors and undefined are of all states; ends (places, classes).
        """
        winner = winners(ends, self._lead)
        clear = winner >= 0
        for name, values in self._values.items():
            errors[name][places[clear]] = values[winner[clear], samples[places[clear]]]
            undefined[name][places[clear]] = False
        unclear: NDArray[np.intp] = np.flatnonzero(~clear)
        return unclear


def winners(scores: Floats, lead: float) -> Ints:
    """The class that wins each row of scores (k, classes) by at least `lead`, (k,).

    -1 where there is none, or where a score is not finite.
    """
    classes = np.empty(len(scores), np.int32)
    share_out(find_winners, scores, lead, classes, cost=scores.size * LOOKING_COST)
    return classes


@compiled
def find_winners(
    scores: Floats, lead: float, classes: Ints, turn: NDArray[np.int64]
) -> None:  # pragma: no cover - compiled
    """Fill in the classes; turn: shared by all threads."""
    while True:
        first = next_of(turn) * AT_ONCE
        if first >= scores.shape[0]:
            break
        for row in range(first, min(first + AT_ONCE, scores.shape[0])):
            best, second, winner = -np.inf, -np.inf, -1
            for c in range(scores.shape[1]):
                score = scores[row, c]
                if not np.isfinite(score):
                    winner = -1
                    break
                if score > best:
                    best, second, winner = score, best, c
                elif score > second:
                    second = score
            classes[row] = winner if best - second >= lead else -1
