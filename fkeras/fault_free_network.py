"""The network of a study without faults: what it gives and what its registers hold, found out once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property, partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fkeras.campaigns import CampaignResult
from fkeras.campaigns.dead_tensors import DeadTensor, alive_by_trials, dead_tensors
from fkeras.campaigns.fault_free import FaultFree
from fkeras.campaigns.measured_campaign import DataPart, summary_of
from fkeras.engine import Run
from fkeras.errors import Argument, InputError, Name, StoreError
from fkeras.faults import FaultSet
from fkeras.memory import BitSpace
from fkeras.memory.layout import Words
from fkeras.metrics.chance import Chance, chance_of, is_constant
from fkeras.metrics.inputs import sample_count
from fkeras.metrics.metric import Metric, is_own
from fkeras.models.kinds import model_of
from fkeras.network.feeding import flat_data
from fkeras.network.floats import storing
from fkeras.network.ranges import golden_range
from fkeras.progress import Progress
from fkeras.recent import Recent
from fkeras.runs.identity import Keeper
from fkeras.runs.known import Golden, KnownRun, keep_golden, kept_golden
from fkeras.runs.stored_sets import StoredSets
from fkeras.scoring import Scorecard


class FaultFreeNetwork:
    """A model on its data, (x, y) or None, without faults; whoever shares this object finds out nothing twice."""

    def __init__(self, model: Any, data: tuple[Any, Any] | None) -> None:
        self._model, self._data = model, data
        self._chance: Recent[Chance | None] = Recent()
        self._dead: Recent[tuple[DeadTensor, ...]] = Recent()
        self._ranges: Recent[Mapping[str, tuple[Words, Words]]] = Recent()

    @property
    def data(self) -> tuple[Any, Any]:
        """The data. InputError where there are none."""
        if self._data is None:
            raise InputError("measuring needs ", Argument("data", Name("(x, y)")), ": the inputs and the targets")
        return self._data

    @cached_property
    def data_summary(self) -> tuple[DataPart, ...]:
        """What tells the data from other ones, for baselines."""
        return summary_of(self.data)

    def of_run(self, run: Run, space: BitSpace, engine: str, keeper: Keeper) -> FaultFree:
        """What a run of an engine says of the network, kept for whoever asks next."""
        golden = {name: score.value for name, score in run.golden.items()}
        outputs = getattr(run, "golden_outputs", None)  # a project's own run need not have any
        if outputs is None:
            return FaultFree(golden)
        targets, known = self._targets, run.known.chance if isinstance(run, KnownRun) else {}

        def chance(name: str) -> Chance | None:
            return known[name] if name in known else chance_of(run.metrics[name], targets, outputs)

        keys = {name: (space.content_digest, engine, name) for name in run.metrics}
        is_new = any(key not in self._chance for key in keys.values())
        chances = {name: self._chance.get(key, partial(chance, name)) for name, key in keys.items()}
        if is_new and not isinstance(run, KnownRun):
            own = [name for name, metric in run.metrics.items() if is_own(metric)]
            scores = {name: run.golden[name] for name in own}
            _keep(keeper, run, Golden(run.engine, outputs, scores, {name: chances[name] for name in own}))
        luck = {name: chance for name, chance in chances.items() if chance is not None}
        return FaultFree(golden, luck, is_constant=is_constant(outputs))

    def run(self, metrics: Mapping[str, Metric], space: BitSpace, keeper: Keeper, start: Callable[[], Run]) -> Run:
        """What `start` starts: not before faults must be measured, where all else is kept."""
        documents = keeper.golden(metrics)
        try:
            golden = None if documents is None else kept_golden(documents)
        except ValueError as error:
            keeper.notice(str(error))
            golden = None
        if documents is None or golden is None:
            return start()
        scores = dict(golden.scores)
        others = {name: metric for name, metric in metrics.items() if name not in scores}
        if others:  # what users' metrics are cannot be known: what they are now shows here
            scores |= Scorecard(others, self._targets, golden.outputs).golden
        return KnownRun(golden, {name: scores[name] for name in metrics}, metrics, space, start, documents.folder)

    def dead_tensors(
        self,
        space: BitSpace,
        engine: str,
        start: Callable[[NDArray[np.int64]], Run],
        stored_sets: Callable[[Sequence[str]], StoredSets],
        progress: Progress,
        result: CampaignResult | None,
    ) -> tuple[DeadTensor, ...]:
        """The tensors of which no single flip changes an output.

        start: as of `campaigns.dead_tensors`; stored_sets: a run of a result's metrics, asked first.
        """

        def changes(sets: list[FaultSet]) -> NDArray[np.bool_]:
            assert result is not None
            with stored_sets(list(result.by_metric)) as run:
                scores = run.fault_sets(sets)
            golden = run.golden
            return np.asarray(np.any([score.differ_from(golden[name]) for name, score in scores.items()], axis=0))

        def dead() -> tuple[DeadTensor, ...]:
            n_samples = sample_count(self.data[0])
            if result is None:
                return dead_tensors(space, start, n_samples, progress)
            alive = alive_by_trials(space, result.changed, result.residual, result.setting.residual)
            return dead_tensors(space, start, n_samples, progress, alive, changes)

        return self._dead.get((space.content_digest, engine), dead)

    def register_ranges(self, space: BitSpace) -> Mapping[str, tuple[Words, Words]]:
        """By path, the words of the least and of the greatest number that each element of a register has."""

        def ranges() -> Mapping[str, tuple[Words, Words]]:
            network = storing(model_of(self._model).network(space.memory), space)
            return golden_range(network, space.registers, flat_data(network.inputs, self.data[0]))

        return self._ranges.get(space.content_digest, ranges)

    @property
    def _targets(self) -> Any:
        return model_of(self._model).targets(self.data[1])


def _keep(keeper: Keeper, run: Run, golden: Golden) -> None:
    documents = keeper.golden(run.metrics)
    if documents is None:
        return
    try:
        keep_golden(documents, golden)
    except StoreError as error:
        keeper.notice(f"what the fault-free network gives is not kept: {error}")
