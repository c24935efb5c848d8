"""The study of a session: a model under test with its data and metrics, asked through the project's hooks."""

from __future__ import annotations

import os
from collections.abc import Mapping
from copy import copy
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from fkeras.engine import Run
from fkeras.errors import FkerasError, IdentityError
from fkeras.faults.word_checks import WordCheck
from fkeras.memory import BitSpace, Coverage
from fkeras.metrics import Metric
from fkeras.models import MODELS, ModelHooks, as_pair
from fkeras.models.file import model_in
from fkeras.models.kinds import is_known
from fkeras.recent import Recent
from fkeras.runs.identity import DECLARED_MODEL
from fkeras.sensitivity import Ranking
from fkeras.study import Study
from pytest_fkeras.fixture_values import FixtureValue, changed, fixture_value
from pytest_fkeras.options import ini_folder, stated
from pytest_fkeras.progress import progress_in
from pytest_fkeras.selection import Method, resolved

if TYPE_CHECKING:
    from pytest_fkeras.session import FkerasSession

_COMPUTING = ("pytest_fkeras_start_run", "pytest_fkeras_rank", "pytest_fkeras_bit_space")
_ASKED = (*_COMPUTING, "pytest_fkeras_model_identity")


def resilience_of(session: FkerasSession, model: Any, data: Any, metrics: Any) -> Study:
    """The session's study of these fixture values, by identity: whatever they are named and wherever defined."""
    if not isinstance(metrics, Mapping):
        raise pytest.UsageError(
            f"the fkeras_metrics fixture gave {type(metrics).__name__}; it is a dict of name to "
            "metric, as in {'emd': fkeras.metrics.emd(coordinates)}"
        )
    for name in metrics:
        if not isinstance(name, str) or not name.isidentifier():
            raise pytest.UsageError(
                f"the fkeras_metrics fixture names a metric {name!r}; limits are keywords, so it must be a Python "
                "name, as in {'emd': fkeras.metrics.emd(coordinates)}"
            )
    of_model, of_data = fixture_value(session, "fkeras_model", model), fixture_value(session, "fkeras_data", data)

    def study() -> Study:
        is_path = isinstance(model, str | os.PathLike)
        # Hooks of the project's own are asked about the model itself.
        store = None if any(is_own(session.config.hook, name) for name in _ASKED) else session.store
        loaded = model_in(model, store=store) if is_path else model
        # A path gives the model that was loaded from it, whatever becomes of the file.
        as_loaded = FixtureValue(of_model.fixture, loaded, session.config.hook) if is_path else of_model
        file = os.path.relpath(model, session.config.rootpath) if is_path else ""
        hooks = SessionHooks(session, as_loaded, of_data, metrics, file)
        return Study(
            loaded,
            _checked_data(data),
            dict(metrics),
            **session.coverage,
            engine=session.options.engine(),
            seed=session.options.seed(),
            store=session.store,
            progress=progress_in(session.config),
            hooks=hooks,
            area=None if (area := stated(session.config, "area")) is None else area.existing_path,
        )

    return session.studies.get((of_model.key, of_data.key, id(metrics)), study)


class SessionHooks(ModelHooks):
    """What a project's hooks know about its model, and what its fixtures gave.

    metrics: what the fixture gave, kept alive, so that no other object gets its identity. model_file: the file that the
    fixture named, from the rootdir on; "" where it gave a model.
    """

    def __init__(
        self,
        session: FkerasSession,
        model: FixtureValue,
        data: FixtureValue,
        metrics: Mapping[str, Any],
        model_file: str = "",
    ) -> None:
        self.model_file = model_file
        self._session, self._hooks = session, session.config.hook
        self._model, self._data, self._metrics = model, data, metrics
        self._words: dict[Coverage, str] = {}
        self._not_stored: Recent[str] = Recent()

    def bit_space(self, model: Any, coverage: Coverage) -> BitSpace:
        space: BitSpace = self._hooks.pytest_fkeras_bit_space(
            model=model, layers=coverage.layers, biases=coverage.biases, coverage=coverage
        )
        coverage.require_met(space)
        if not hasattr(model, "get_weights") and not is_known(model):
            self._words.setdefault(coverage, space.content_digest)
        return space

    def identity(self, model: Any) -> Mapping[str, str]:
        declared = self._hooks.pytest_fkeras_model_identity(model=model)
        name = getattr(model, "name", type(model).__name__)
        if isinstance(declared, str):
            return {DECLARED_MODEL: f"{name}: {declared}"}
        own = [hook for hook in _COMPUTING if self._is_own(hook)]
        if declared is None or own:
            because = f" ({own[0]} is implemented here)" if own else ""
            raise IdentityError(f"model '{name}' has no identity{because}; implement pytest_fkeras_model_identity")
        identity: Mapping[str, str] = declared
        return identity

    def state(self, model: Any, data: Any) -> Mapping[str, str | None]:
        """ChangedError when model or data are not what the fixtures gave: whatever is measured belongs to that."""
        for value in (self._model, self._data):
            value.require_unchanged()
        # All that is known of a project's own model, besides what its hook says.
        for coverage, digest in list(self._words.items()):
            if self.bit_space(model, coverage).content_digest != digest:
                raise changed("fkeras_model")
        return {}

    def rank(
        self,
        model: Any,
        data: tuple[Any, Any] | None,
        method: Method,
        metric: Metric | None,
        loss: Any,
        seed: int,
        space: BitSpace,
    ) -> Ranking:
        ranking: Ranking = self._hooks.pytest_fkeras_rank(
            model=model, data=data, method=method, metric=metric, seed=seed, space=space
        )
        return ranking

    def start_run(
        self,
        model: Any,
        data: tuple[Any, Any],
        metrics: Mapping[str, Metric],
        space: BitSpace | None = None,
        engine: str = "auto",
    ) -> Run:
        run: Run = self._hooks.pytest_fkeras_start_run(
            model=model, data=data, metrics=metrics, space=space, engine=engine
        )
        return run

    def on_workers(
        self, run: Run, model: Any, data: tuple[Any, Any], metrics: Mapping[str, Metric], engine: str, executor: Any
    ) -> Run:
        if self._session.executor_name is None:
            return run
        if self._is_own("pytest_fkeras_start_run"):
            raise pytest.UsageError(
                "--fkeras-executor sends Keras models to workers, and this project starts engines of its own "
                "(pytest_fkeras_start_run): leave the option out"
            )
        return MODELS.on_workers(run, model, data, metrics, engine, self._session.executor)

    def resolved(self, protected: Any, study: Study) -> Any:
        return resolved(protected, Source(study))

    def notice(self, text: str) -> None:
        pass  # reports read the store's notices

    def not_stored(self, study: Study, project: str) -> str:
        """Which words of a memory an hls4ml project does not store, or why nobody knows; "" where it stores all."""
        from fkeras.hls4ml import not_stored

        name = Path(project).name

        def text() -> str:
            try:
                absent = not_stored(study.model, project, study.space)
            except FkerasError as error:
                return f"what {name} stores is not known: {error}"
            return f"{name}: {absent}" if absent else ""

        return self._not_stored.get((project, study.space.layout_digest), text)

    @property
    def directory(self) -> Path:
        """Where relative paths of masks start."""
        return ini_folder(self._session.config)

    def _is_own(self, hook: str) -> bool:
        return is_own(self._hooks, hook)


def is_own(hooks: Any, hook: str) -> bool:
    """Whether the project implements a hook, besides the plugin."""
    implementations = getattr(hooks, hook).get_hookimpls()
    return any(one.function.__module__ != "pytest_fkeras.plugin" for one in implementations)


class Source:
    """What a lazy selection is resolved against: the memory and the rankings of a study; used: those asked for."""

    def __init__(self, study: Study, method: Method = None, metric: str | None = None) -> None:
        self._study, self._method, self._metric = study, method, metric
        self._check: WordCheck | None = None
        self.used: list[Ranking] = []

    @property
    def space(self) -> BitSpace:
        """The memory."""
        return self._study.space

    @property
    def directory(self) -> Path:
        """Where the paths of masks start."""
        hooks: Any = self._study.hooks
        return Path(hooks.directory)

    def ranking(self, method: Method) -> Ranking:
        """The ranking that a method makes; None is the default method."""
        named = self._method if method is None else method
        self.used.append(self._study.rank(named, metric=self._metric))
        return self._study.rank(named, metric=self._metric, behind=self._check)

    def behind(self, check: WordCheck | None) -> Source:
        """The same with rankings of the bits as a check reads them."""
        beside = copy(self)
        beside._check = check
        return beside


def _checked_data(data: Any) -> tuple[Any, Any]:
    if not isinstance(data, tuple | list) or len(data) != 2:
        raise pytest.UsageError(
            f"the fkeras_data fixture gave {type(data).__name__}; it is a pair (x, y), the inputs and the targets"
        )
    return as_pair(data)
