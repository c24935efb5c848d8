"""The one place where ranking methods are registered, with what each needs and costs."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fkeras.errors import Argument, InputError, Name
from fkeras.metrics.metric import SampleMetric
from fkeras.sensitivity.adaptive import adaptive_scores
from fkeras.sensitivity.derivative_methods import (
    displacement_scores,
    gradient_scores,
    hessian_scores,
    loss_change_scores,
    taylor_scores,
    upstream_hessian_scores,
)
from fkeras.sensitivity.evidence import SubjectEvidence
from fkeras.sensitivity.positional import msb_scores, random_scores
from fkeras.sensitivity.ranking import Ranking


@dataclass(frozen=True, slots=True)
class Method:
    """A way to score bits.

    scores: (evidence) -> (n_bits,); summary: one line; needs: of "x", "y", "metric" and "loss" (both are taken from
    the targets when they are not given); cost: in words, where the oracle's work is bits x samples.
    """

    scores: Callable[[SubjectEvidence], NDArray[np.float64]]
    summary: str
    needs: tuple[str, ...]
    cost: str


METHODS: dict[str, Method] = {
    "random": Method(
        lambda evidence: random_scores(evidence.space, evidence.seed), "chance, drawn from the seed", (), "none"
    ),
    "msb": Method(
        lambda evidence: msb_scores(evidence.space), "most significant bits first, words in order (paper)", (), "none"
    ),
    "gradient": Method(
        gradient_scores, "|dL/dw|, most significant bits first (paper)", ("x", "y", "loss"), "one backward pass"
    ),
    "taylor": Method(
        taylor_scores, "(w dL/dw)^2, most significant bits first (Aspis)", ("x", "y", "loss"), "one backward pass"
    ),
    "hessian": Method(
        hessian_scores,
        "eq. (3) over 8 eigenpairs, most significant bits first (paper)",
        ("x", "y", "loss"),
        "some tens of Hessian-vector products",
    ),
    "hessian_upstream": Method(
        upstream_hessian_scores,
        "the form of eq. (3) that the authors' code computes",
        ("x", "y", "loss"),
        "some tens of Hessian-vector products",
    ),
    "displacement": Method(
        displacement_scores,
        "expected squared displacement of the outputs, significances mixed",
        ("x",),
        "one backward pass in batches of 8",
    ),
    "loss_change": Method(
        loss_change_scores,
        "slope and curvature of the loss, significances mixed",
        ("x", "y", "loss"),
        "three backward passes, two of them in batches of 8",
    ),
    "adaptive": Method(
        partial(adaptive_scores, fewest_samples=40),
        "few exact flips where they decide most, corrected by the metric's slope",
        ("x", "y", "metric"),
        "1 % of the oracle's work, 40 samples' at least",
    ),
    "adaptive_tenth": Method(
        partial(adaptive_scores, share=0.1),
        "the same, closer to the oracle",
        ("x", "y", "metric"),
        "10 % of the oracle's work",
    ),
}

MOST_BITS_BY_DEFAULT = 100_000
"""Beyond these, flips that nobody asked for would take more than minutes."""

UserMethod = Callable[..., ArrayLike]


def make_ranking(method: str | UserMethod | None, evidence: SubjectEvidence) -> Ranking:
    """The ranking that a method makes; None stands for the default, which depends on whether there is a metric.

    A callable is called as method(space), or method(space, evidence) if it takes two arguments, and returns one
    score per bit. InputError lists the methods for an unknown name, and names what a method lacks.
    """
    if callable(method):
        name = getattr(method, "__name__", type(method).__name__)
        arguments: tuple[Any, ...] = (evidence.space, evidence) if _takes_two(method) else (evidence.space,)
        return Ranking.from_scores(method(*arguments), evidence.space, name)
    name = default_method(evidence) if method is None else method
    if name not in METHODS:
        raise InputError(
            f"no ranking method is called {name!r}; there are\n{methods_text()}\nor a function "
            "(space) or (space, evidence) -> one score per bit"
        )
    scorer = METHODS[name]
    if "x" in scorer.needs and evidence.n_samples == 0:
        metric = (" and ", Argument("metric")) if "metric" in scorer.needs else ()
        raise InputError(
            f"method '{name}' needs {', '.join(scorer.needs)}: pass ", Argument("data", Name("(x, y)")), *metric,
            "; without data there are 'msb' and 'random'"
        )  # fmt: skip
    return Ranking.from_scores(scorer.scores(evidence), evidence.space, name)


def default_method(evidence: SubjectEvidence) -> str:
    """The best method for what is there, by the measurements in docs/rankings.md.

    With a metric that grades every sample and up to 100,000 stored bits: adaptive; with data: displacement; with
    nothing: msb.
    Counts of right and wrong samples do not grade: most single flips change none of them, so that a ranking by them is
    mostly ties, and protects badly against many flips at once.
    """
    metric = evidence.metric
    graded = isinstance(metric, SampleMetric) and not metric.per_sample_sensitivity
    few = len(evidence.space) <= MOST_BITS_BY_DEFAULT and not evidence.space.registers
    if graded and evidence.n_samples and few:
        return "adaptive"
    return "displacement" if evidence.n_samples else "msb"


def methods_text() -> str:
    """One line per method."""
    return "\n".join(
        f"  {name}: {method.summary}; needs {', '.join(method.needs) or 'nothing'}; cost: {method.cost}"
        for name, method in METHODS.items()
    )


def _takes_two(method: UserMethod) -> bool:
    try:
        parameters = inspect.signature(method).parameters.values()
    except (TypeError, ValueError):
        return False
    return (
        sum(
            parameter.default is parameter.empty
            and parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD)
            for parameter in parameters
        )
        >= 2
    )
