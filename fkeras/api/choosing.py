"""What is chosen: which bits matter most, and which to protect."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from typing import Any

from numpy.typing import ArrayLike

from fkeras.api.models import bit_space
from fkeras.api.results import keeping
from fkeras.api.runs import as_pair, start_run, stored_sets
from fkeras.campaigns import Requirement, parse_limit
from fkeras.campaigns.budget import MAX_TRIALS
from fkeras.campaigns.progress import Progress, terminal_bar
from fkeras.campaigns.remembering import RememberingRun
from fkeras.engine import Run
from fkeras.errors import InputError
from fkeras.faults import AssumedImmune, FaultModel, fault_model, whole_seed
from fkeras.memory import BitSet, BitSpace
from fkeras.metrics import MetricLike, resolve
from fkeras.protection import Choice, Target, choose
from fkeras.protection.choose import MOST_EVALUATIONS, Weights, require_golden_keeps, require_one_layout
from fkeras.protection.order import Aggregate, Granularity
from fkeras.sensitivity import Ranking
from fkeras.sensitivity.stored import stored_ranking
from fkeras.store import StoreLike

RankingMethod = str | Callable[..., ArrayLike] | None


def rank(
    model: Any,
    data: tuple[Any, Any] | None = None,
    *,
    method: RankingMethod = None,
    metric: MetricLike | None = None,
    loss: Any = None,
    seed: int = 0,
    space: BitSpace | None = None,
    store: StoreLike = None,
) -> Ranking:
    """Rank the bits of a model, most sensitive first.

    method: a name (`fkeras.sensitivity.methods` lists them with what each needs and costs), or a callable
    (space) or (space, evidence) -> one score per bit; None: the best for what is given. data: (x, y), y None for
    methods without targets. metric: what damage means; loss: a Keras loss or a function (y_true, y_pred) -> one
    number per sample; None: the metric's differentiable surrogate, else cross-entropy for integer targets, else mean
    squared error when shapes agree. store: as in `oracle`; a stored ranking is not made again. InputError for an
    unknown method and for what a method lacks.
    """
    from fkeras.backends.tf.evidence import ModelEvidence
    from fkeras.sensitivity.methods import make_ranking

    used = bit_space(model) if space is None else space
    damage, start = None if metric is None else resolve(metric), whole_seed(seed)
    pair = None if data is None else as_pair(data)

    def made() -> Ranking:
        return make_ranking(method, ModelEvidence(model, used, pair, damage, loss, start, start_run))

    with keeping(store, model, used, data, "auto") as keeper:
        entry = None if keeper is None else keeper.ranking(method, damage, loss, start)
        return stored_ranking(entry, used, made)


def protect(
    models: Any,
    data: tuple[Any, Any] | None = None,
    *,
    bits: int | None = None,
    share: float | None = None,
    overhead: float | None = None,
    faults: int | FaultModel | None = None,
    limits: Mapping[str, float] | None = None,
    metric: MetricLike | None = None,
    under: Callable[[BitSet], Any] = AssumedImmune,
    granularity: Granularity = "bit",
    aggregate: Aggregate = "mean",
    method: RankingMethod = None,
    max_failure_rate: float = 0.05,
    confidence: float = 0.95,
    max_trials: int = MAX_TRIALS,
    max_evaluations: int = MOST_EVALUATIONS,
    seed: int = 0,
    layers: str | Sequence[str] = "*",
    biases: bool = False,
    engine: str = "auto",
    names: Sequence[str] | None = None,
    store: StoreLike = None,
    executor: Any = None,
    progress: Progress = terminal_bar,
) -> Choice:
    """Choose a mask: bits to protect that are frozen, while the weights may change; `.mask.write("protection.json")`.

    models: one model, or a list of retrainings of one layout, which get one mask in common; names: of them, for
    reports. Size: `bits`, a `share` of them, an `overhead` (extra bits as a share of the memory); or, with none of
    these, the fewest with which a campaign passes (`faults`, `metric`, `limits` as in {"max_emd": 1.25}, and data) for
    every model. Given with a size, `faults` and `limits` measure what it does. under: what protects the bits, as
    `fkeras.TMR` or a function of the bits. granularity: whole bits, words or layers; aggregate: several rankings count
    by the mean or the largest normalised rank. store: rankings are kept as in `rank`, fault sets as in `endurance`;
    executor: as in `oracle`. InputError for models of different layouts, and where nothing passes.
    """
    given = list(models) if isinstance(models, list | tuple) else [models]
    numbered = [f"model {number}" for number in range(1, len(given) + 1)]
    called = numbered if names is None else list(names)
    if not given or len(called) != len(given):
        raise InputError(f"{len(given)} models with {len(called)} names; give at least one model, and a name for each")
    measured = None if metric is None else resolve(metric)
    target = None
    if faults is not None or limits:
        if faults is None or not limits or measured is None or data is None:
            raise InputError("a campaign that must pass needs faults=, metric=, limits= and data; give all or none")
        chosen = tuple(parse_limit(keyword, value, {measured.name: measured}) for keyword, value in limits.items())
        requirement = Requirement(chosen, max_failure_rate, confidence)
        target = Target(requirement, fault_model(faults), whole_seed(seed), max_trials, max_evaluations)
    with ExitStack() as stack:
        spaces = [bit_space(model, layers, biases) for model in given]
        require_one_layout(called, spaces)
        runs: list[Run | None] = [None] * len(given)
        if target is not None and measured is not None and data is not None:
            for number, (name, model, space) in enumerate(zip(called, given, spaces, strict=True)):
                keeper = stack.enter_context(keeping(store, model, space, data, engine))
                sets = stored_sets(keeper, model, data, measured, space, engine, executor)
                # The levels of a search have most of their fault sets in common.
                runs[number] = run = RememberingRun(stack.enter_context(sets))
                if bits is None and share is None and overhead is None:
                    require_golden_keeps(name, run, target.requirement)
        weights = [
            Weights(
                name,
                space,
                rank(model, data, method=method, metric=measured, seed=seed, space=space, store=store),
                run,
            )
            for name, model, space, run in zip(called, given, spaces, runs, strict=True)
        ]
        return choose(
            weights,
            bits=bits,
            share=share,
            overhead=overhead,
            target=target,
            kind=under,
            granularity=granularity,
            aggregate=aggregate,
            stated={"layers": layers if isinstance(layers, str) else list(layers), "biases": biases},
            progress=progress,
        )
