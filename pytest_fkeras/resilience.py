"""One model with its data and metrics: spaces, rankings and engine runs are computed once and shared by all tests."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from fkeras.recent import Recent
from pytest_fkeras import workers
from pytest_fkeras.cache import store_of
from pytest_fkeras.given import Given, changed, given
from pytest_fkeras.options import TRIALS_WITHOUT_LIMIT, Options
from pytest_fkeras.places import ini_folder
from pytest_fkeras.reuse import Reuse
from pytest_fkeras.selection import Method, Protected, Selection

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from fkeras.campaigns import CampaignResult, Oracle
    from fkeras.engine import Run
    from fkeras.faults import FaultModel, Protection
    from fkeras.memory import BitSpace
    from fkeras.metrics import Metric
    from fkeras.report.findings import BitMap
    from fkeras.runs.identity import Keeper
    from fkeras.sensitivity import Ranking
    from fkeras.store import Store

_BLIND = ("msb", "random")
"""Rankings that know nothing about the model: a map of them would only look like one."""

_SHOWN = 0.5
"""From this share of single flips on, stored ones are a map."""


class Resilience:
    """A model under test with its data: `.rank()`, `.oracle()` and `.campaign()` by hand.

    model, data: what the fixtures gave, a model or its path, and (x, y); metrics: name to metric; directory: where
    relative paths of masks start; measured_by: from a run to one whose work is done elsewhere.
    """

    def __init__(
        self,
        model: Given,
        data: Given,
        metrics: Mapping[str, Any],
        hooks: Any,
        options: Options,
        store: Store | None,
        directory: Path,
        measured_by: Callable[[Run, Any, Any, Mapping[str, Any], str], Run],
    ) -> None:
        self.model = _loaded(model.value)
        self.data = _checked_data(data.value)
        # A path gives the model that was loaded from it, whatever becomes of the file.
        self._given = (model if self.model is model.value else Given(model.fixture, self.model, hooks), data)
        self._given_metrics = metrics  # kept alive, so that no other object gets its identity
        self.metrics = _all_metrics(metrics)
        self.sole_metric = next(iter(metrics)) if len(metrics) == 1 else None
        self._hooks = hooks
        self._options = options
        self.directory = directory
        self._measured_by = measured_by
        self._reuse = Reuse(self.model, self.data, hooks, store, self.require_unchanged)
        self._spaces: Recent[BitSpace] = Recent()
        self._rankings: Recent[Ranking] = Recent()
        self._runs: Recent[Run] = Recent()
        self._oracles: Recent[Oracle] = Recent()
        self._absent: Recent[str] = Recent()
        self._words: dict[tuple[Any, bool], str] = {}

    def require_unchanged(self) -> None:
        """ChangedError when model or data are not what the fixtures gave: whatever is measured belongs to that."""
        for one in self._given:
            one.require_unchanged()
        # All that is known of a project's own model, besides what its hook says.
        if any(self._read_space(*key).content_digest != digest for key, digest in self._words.items()):
            raise changed("fkeras_model")

    @cached_property
    def data_summary(self) -> Any:
        """What tells the data from other ones, for baselines."""
        from fkeras.campaigns.measured import summary_of

        self.require_unchanged()
        return summary_of(self.data)

    @property
    def model_name(self) -> str:
        """What reports call the model."""
        return str(getattr(self.model, "name", type(self.model).__name__))

    @property
    def space(self) -> BitSpace:
        """The bits of all quantized kernels."""
        return self.space_of("*", False)

    def space_of(self, layers: str | Sequence[str], biases: bool) -> BitSpace:
        """The bits of the chosen layers."""
        key = (layers if isinstance(layers, str) else tuple(layers), biases)

        def read() -> BitSpace:
            space = self._read_space(*key)
            if not hasattr(self.model, "get_weights"):
                self._words.setdefault(key, space.content_digest)
            return space

        return self._spaces.get(key, read)

    def _read_space(self, layers: str | Sequence[str], biases: bool) -> BitSpace:
        space: BitSpace = self._hooks.pytest_fkeras_bit_space(model=self.model, layers=layers, biases=biases)
        return space

    def not_stored(self, project: str, space: BitSpace) -> str:
        """Which words of a memory an hls4ml project does not store, or why nobody knows; "" where it stores all."""
        from fkeras.errors import FkerasError
        from fkeras.hls4ml import not_stored

        name = Path(project).name

        def text() -> str:
            try:
                absent = not_stored(self.model, project, space)
            except FkerasError as error:
                return f"what {name} stores is not known: {error}"
            return f"{name}: {absent}" if absent else ""

        found: str = self._absent.get((project, space.layout_digest), text)
        return found

    def ranking(self, method: Method, metric: str | None = None, space: BitSpace | None = None) -> Ranking:
        """The ranking that a method makes for a metric, by default the only one that fkeras_metrics names."""
        self.require_unchanged()
        used, seed, name = space or self.space, self._options.seed(), metric or self.sole_metric
        damage = None if name is None else self.metric(name)

        def made() -> Ranking:
            ranking: Ranking = self._hooks.pytest_fkeras_rank(
                model=self.model, data=self.data, method=method, metric=damage, seed=seed, space=used
            )
            return ranking

        def kept() -> Ranking:
            from fkeras.sensitivity.ranking import stored_ranking
            from fkeras.store import UNKEPT

            keeper = self.keeper(used, "auto")
            return stored_ranking(UNKEPT if keeper is None else keeper.ranking(method, damage, None, seed), used, made)

        return self._rankings.get((method, name, used.content_digest), kept)

    def run(self, names: Sequence[str], space: BitSpace | None = None, engine: str | None = None) -> Run:
        """An engine that measures the metrics with these names."""
        used, chosen = space or self.space, engine or self._options.engine()
        metrics = {name: self.metric(name) for name in names}

        def started() -> Run:
            run: Run = self._hooks.pytest_fkeras_start_run(
                model=self.model, data=self.data, metrics=metrics, space=used, engine=chosen
            )
            return self._measured_by(run, self.model, self.data, metrics, chosen)

        self.require_unchanged()
        return self._runs.get((used.content_digest, tuple(names), chosen), started)

    def keeper(self, space: BitSpace, engine: str | None = None) -> Keeper | None:
        """Where results on this memory are kept; None where they are not."""
        return self._reuse.keeper(space, engine or self._options.engine())

    def metric(self, name: str) -> Metric:
        """The metric that limits call `name`."""
        if name not in self.metrics:
            remedy = _EMD_REMEDY if name == "emd" else ""
            raise pytest.UsageError(
                f"no metric '{name}'; there are {', '.join(sorted(self.metrics))}; add it to the "
                f"fkeras_metrics fixture, a dict of name to metric{remedy}"
            )
        metric: Metric = self.metrics[name]
        return metric

    def rank(self, method: Method = None, metric: str | None = None) -> Ranking:
        """Rank the bits, most sensitive first."""
        return self.ranking(method, metric)

    def oracle(self, metric: str | None = None, bits: ArrayLike | None = None) -> Oracle:
        """Flip every bit (or each of `bits`) alone and measure the metric."""
        import numpy as np

        from fkeras.campaigns import measure_oracle
        from fkeras.progress import terminal_bar

        name = self.one_metric(metric)
        run = self.run([name])
        chosen = np.arange(len(run.space)) if bits is None else run.space.check(bits)
        keeper = self.keeper(run.space)
        made = measure_oracle(run, name, chosen, terminal_bar, {} if keeper is None else keeper.oracle(run))
        if bits is None:
            self._oracles.get((name, made.content_digest), lambda: made)
        return made

    def bit_map(self, space: BitSpace, golden: Mapping[str, float], engine: str) -> BitMap | None:
        """How much each bit of `space` matters, as far as it is known: by an oracle of this session or a stored one
        of a metric in `golden` (its fault-free values), or else by a ranking of this session."""
        from fkeras.report.bit_map import map_of_flips, map_of_oracle, map_of_ranking

        for oracle in self._oracles:
            if oracle.content_digest == space.content_digest:
                return map_of_oracle(oracle, space)
        keeper = self.keeper(space, engine)
        entries = {} if keeper is None or not golden else keeper.oracle(self.run(list(golden), space, engine))
        for name, entry in entries.items():
            flips = entry.known()
            if flips and len(set(flips["bit"].tolist())) >= _SHOWN * len(space):
                return map_of_flips(flips["bit"], flips["value"] - golden[name], space, name)
        for ranking in self._rankings:
            if ranking.layout_digest == space.layout_digest and ranking.method not in _BLIND:
                return map_of_ranking(ranking, space)
        return None

    def campaign(
        self,
        metric: str | None = None,
        *,
        faults: int | FaultModel,
        trials: int = TRIALS_WITHOUT_LIMIT,
        protected: Any = None,
        seed: int | None = None,
    ) -> CampaignResult:
        """Draw fault sets, a fixed number of trials, and measure what each does to the metric."""
        from fkeras.campaigns import FixedTrials, Setting, run_campaign
        from fkeras.faults import fault_model
        from fkeras.progress import terminal_bar

        run = self.run([self.one_metric(metric)])
        setting = Setting(
            fault_model(faults),
            self.protection(protected),
            self._options.seed(seed),
            run.engine,
            run.n_samples,
            run.space,
        )
        keeper = self.keeper(run.space)
        entries = {} if keeper is None else keeper.campaign(run, setting)
        return run_campaign(run, setting, FixedTrials(trials), terminal_bar, entries)

    def protection(self, protected: Any, source: _Source | None = None) -> Protection:
        """The protection that a mark's `protected=` means for this model, by default with its default ranking."""
        from fkeras.faults import protection

        given = source or self.source(None, None, self.space)
        if isinstance(protected, Selection | Protected):
            protected = protected.resolve(given)
        return protection(protected, given.space)

    def source(self, method: Method, metric: str | None, space: BitSpace) -> _Source:
        """What recorded selections are resolved against."""
        return _Source(self, method, metric, space)

    def own_metrics(self, names: Sequence[str]) -> tuple[str, ...]:
        """Which of the metrics are the project's own under the name of a built-in one, in sentences."""
        from fkeras.metrics.named import NAMED

        own = (name for name in names if name in NAMED and self.metrics[name].identity != NAMED[name]().identity)
        return tuple(f"{name} is what fkeras_metrics calls so, not the built-in metric" for name in own)

    def one_metric(self, metric: str | None) -> str:
        """The name of the metric that is meant: the only one that fkeras_metrics names, unless told."""
        name = metric or self.sole_metric
        if name is None:
            raise pytest.UsageError(
                f"which metric? write metric='accuracy', or another of {', '.join(sorted(self.metrics))}"
            )
        return name


class _Source:
    """What a lazy selection is resolved against."""

    def __init__(self, resilience: Resilience, method: Method, metric: str | None, space: BitSpace) -> None:
        self._resilience, self._method, self._metric, self.space = resilience, method, metric, space
        self.used: list[Ranking] = []

    @property
    def directory(self) -> Path:
        return self._resilience.directory

    def ranking(self, method: Method) -> Ranking:
        made = self._resilience.ranking(self._method if method is None else method, self._metric, self.space)
        self.used.append(made)
        return made


_EMD_REMEDY = """:

    @pytest.fixture(scope="session")
    def fkeras_metrics():
        return {"emd": fkeras.metrics.emd(coordinates, cells=cell_of_output)}"""

_session = pytest.StashKey[Recent["Resilience"]]()


def resilience_of(session: pytest.Session, options: Options, model: Any, data: Any, metrics: Any) -> Resilience:
    """The session's object for these fixture values, by identity: whatever they are named and wherever defined."""
    if not isinstance(metrics, Mapping):
        raise pytest.UsageError(
            f"the fkeras_metrics fixture gave {type(metrics).__name__}; it is a dict of name to "
            "metric, as in {'emd': fkeras.metrics.emd(coordinates)}"
        )
    kept, config = session.stash.setdefault(_session, Recent()), session.config
    of_model, of_data = given(session, "fkeras_model", model), given(session, "fkeras_data", data)
    directory, measured_by = ini_folder(config), partial(workers.measured_by, config)
    return kept.get(
        (of_model.key, of_data.key, id(metrics)),
        lambda: Resilience(of_model, of_data, metrics, config.hook, options, store_of(config), directory, measured_by),
    )


def _loaded(model: Any) -> Any:
    if not isinstance(model, str | os.PathLike):
        return model
    from fkeras.api import load_model

    return load_model(model)


def _checked_data(data: Any) -> tuple[Any, Any]:
    if not isinstance(data, tuple | list) or len(data) != 2:
        raise pytest.UsageError(
            f"the fkeras_data fixture gave {type(data).__name__}; it is a pair (x, y), the inputs and the targets"
        )
    from fkeras.engines import as_pair

    return as_pair(data)


def _all_metrics(metrics: Mapping[str, Any]) -> dict[str, Any]:
    from fkeras.metrics import resolve
    from fkeras.metrics.named import NAMED

    for name in metrics:
        if not isinstance(name, str) or not name.isidentifier():
            raise pytest.UsageError(
                f"the fkeras_metrics fixture names a metric {name!r}; limits are keywords, so it must be a Python "
                "name, as in {'emd': fkeras.metrics.emd(coordinates)}"
            )
    return {name: resolve(metric) for name, metric in {**{name: name for name in NAMED}, **metrics}.items()}
