"""Which engine measures: by name, here or on workers; and what a study asks of a Keras model."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from fkeras.engine import Evidence, Run
from fkeras.errors import Argument, IdentityError, InputError, NotStored
from fkeras.memory import BitSpace
from fkeras.metrics.inputs import refuse_masked
from fkeras.metrics.metric import Metric
from fkeras.sensitivity import Ranking
from fkeras.store import digest_of

if TYPE_CHECKING:
    from fkeras.sensitivity.evidence import Subject

ENGINES = ("auto", "fast", "reference", "hls4ml")
_HERE = str(Path(__file__).parent) + os.sep


class ModelHooks(Protocol):
    """What a study asks about its model: `KERAS` answers for Keras models, a test session for whatever it tests."""

    def bit_space(self, model: Any, layers: str | Sequence[str], biases: bool) -> BitSpace:
        """The stored bits of the chosen layers."""
        ...

    def identity(self, model: Any) -> Mapping[str, str]:
        """All that the model's outputs depend on. IdentityError where that is not known."""
        ...

    def state(self, model: Any, data: Any) -> Mapping[str, str | None]:
        """Texts that tell "model" and "data" from themselves once somebody has changed them, None where that is not
        known; or a ChangedError at once."""
        ...

    def resolved(self, protected: Any, study: Any) -> Any:
        """The bits or the protection that `protected` means in a study."""
        ...

    def rank(
        self,
        model: Any,
        data: tuple[Any, Any] | None,
        method: Any,
        metric: Metric | None,
        loss: Any,
        seed: int,
        space: BitSpace,
    ) -> Ranking:
        """The bits of `space`, most sensitive first."""
        ...

    def start_run(
        self, model: Any, data: tuple[Any, Any], metrics: Mapping[str, Metric], space: BitSpace, engine: str
    ) -> Run:
        """An engine bound to all of these."""
        ...

    def on_workers(
        self, run: Run, model: Any, data: tuple[Any, Any], metrics: Mapping[str, Metric], engine: str, executor: Any
    ) -> Run:
        """`run`, which start_run made of the others, measured by an executor's workers; None: by itself."""
        ...

    def notice(self, text: str) -> None:
        """Say what was wrong with stored results."""
        ...


class Keras:
    """Keras models, their words, and their engines."""

    def bit_space(self, model: Any, layers: str | Sequence[str], biases: bool) -> BitSpace:
        from fkeras.frontends.qkeras.reading import bit_space

        return bit_space(model, layers, biases)

    def identity(self, model: Any) -> Mapping[str, str]:
        from fkeras.frontends.qkeras.identity import model_identity

        return model_identity(model)

    def state(self, model: Any, data: Any) -> Mapping[str, str | None]:
        from fkeras.frontends.qkeras.identity import model_state

        try:
            digest = digest_of(data)
        except (IdentityError, TypeError, ValueError):
            digest = None
        return {"model": model_state(model), "data": digest}

    def resolved(self, protected: Any, study: Any) -> Any:
        return protected

    def rank(
        self,
        model: Any,
        data: tuple[Any, Any] | None,
        method: Any,
        metric: Metric | None,
        loss: Any,
        seed: int,
        space: BitSpace,
    ) -> Ranking:
        from fkeras.sensitivity.methods import make_ranking

        return make_ranking(method, self.evidence(model, data, metric, loss, seed, space))

    def evidence(
        self, model: Any, data: tuple[Any, Any] | None, metric: Metric | None, loss: Any, seed: int, space: BitSpace
    ) -> Evidence:
        """What ranking methods and spectra may ask about a model."""
        from fkeras.sensitivity.evidence import SubjectEvidence

        def subject() -> Subject:
            from fkeras.frontends.qkeras.evidence import KerasSubject

            assert data is not None
            return KerasSubject(model, space, data, start_run)

        return SubjectEvidence(space, None if data is None else subject, metric, loss, seed)

    def start_run(
        self, model: Any, data: tuple[Any, Any], metrics: Mapping[str, Metric], space: BitSpace, engine: str
    ) -> Run:
        return start_run(model, data, metrics, space, engine)

    def on_workers(
        self, run: Run, model: Any, data: tuple[Any, Any], metrics: Mapping[str, Metric], engine: str, executor: Any
    ) -> Run:
        return on_workers(run, model, data, metrics, engine, executor)

    def notice(self, text: str) -> None:
        warnings.warn(text, NotStored, stacklevel=_first_caller())


KERAS = Keras()


def start_run(
    model: Any,
    data: tuple[Any, Any],
    metrics: Mapping[str, Metric],
    space: BitSpace | None = None,
    engine: str = "auto",
) -> Run:
    """An engine bound to a model, its space, the data and the metrics; the golden outputs are computed here."""
    name, project = engine_parts(engine)
    x, y = as_pair(data)
    words = KERAS.bit_space(model, "*", False) if space is None else space
    if name == "reference":
        from fkeras.frontends.qkeras.reference import ReferenceRun

        return ReferenceRun(model, words, x, y, metrics)
    if name == "hls4ml":
        from fkeras.engines.hls4ml.engine import Hls4mlRun

        return Hls4mlRun(model, words, x, y, metrics, project)
    from fkeras.frontends.qkeras.fast.run import FastRun

    return FastRun(model, words, x, y, metrics)


def on_workers(
    run: Run, model: Any, data: tuple[Any, Any], metrics: Mapping[str, Metric], engine: str, executor: Any
) -> Run:
    """`run`, which start_run made of all the others, measured by the workers of an executor; None: by itself.

    executor: a `concurrent.futures.Executor` or a `dask.distributed.Client`. The model goes to workers as a file.
    """
    if executor is None:
        return run
    from fkeras.executors import Job, RemoteRun, workers_of
    from fkeras.frontends.qkeras.shipping import packed

    workers = workers_of(executor)
    golden = {name: score.value for name, score in run.golden.items()}
    job = Job.of(golden, start_packed, packed(model), as_pair(data), dict(metrics), run.space, engine)
    return RemoteRun(run, job, workers)


def start_packed(model: Any, data: tuple[Any, Any], metrics: Mapping[str, Metric], space: BitSpace, engine: str) -> Run:
    """`start_run` for a packed model: this runs on workers."""
    from fkeras.frontends.qkeras.shipping import unpacked

    return start_run(unpacked(model), data, metrics, space, engine)


def engine_parts(engine: str) -> tuple[str, str | None]:
    """An engine's name, and the hls4ml project behind its colon. InputError for an engine that does not exist."""
    name, colon, project = str(engine).partition(":")
    if name not in ENGINES or (colon and name != "hls4ml"):
        raise InputError(
            Argument("engine", engine),
            f"; allowed are {', '.join(ENGINES)}, and hls4ml:PATH with the configuration (YAML) or directory of an "
            "hls4ml project",
        )
    return name, project if colon else None


def engine_identity(engine: str) -> str:
    """What decides an engine's numbers: its name, for hls4ml also its version and the project's content."""
    name, project = engine_parts(engine)
    if name != "hls4ml":
        return "fast" if name == "auto" else name
    from fkeras.engines.hls4ml.project import read_project
    from fkeras.engines.hls4ml.setup import hls4ml

    version = f"hls4ml {hls4ml().__version__}"
    return version if project is None else f"{version} {read_project(project).digest}"


def as_pair(data: Any) -> tuple[Any, Any]:
    """Inputs and targets. InputError for anything but a pair."""
    if not isinstance(data, tuple | list) or len(data) != 2:
        raise InputError("data is a pair (x, y): the inputs and the targets")
    refuse_masked(data[0], "x")
    refuse_masked(data[1], "y")
    return data[0], data[1]


def _first_caller() -> int:
    """The stack level of the code outside fkeras that a warning is for, seen from who calls this."""
    level, frame = 1, sys._getframe(1)
    while frame is not None and frame.f_code.co_filename.startswith(_HERE):
        level, frame = level + 1, frame.f_back  # type: ignore[assignment]
    return level
