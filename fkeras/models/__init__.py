"""What models are to a study: their words, identities, rankings and engines, here or on workers."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from fkeras.engine import Run
from fkeras.errors import IdentityError, NotStored
from fkeras.memory import BitSpace, Coverage
from fkeras.metrics.metric import Metric
from fkeras.models.kinds import ENGINES, as_pair, covered, engine_identity, engine_parts, model_of
from fkeras.sensitivity import Ranking
from fkeras.sensitivity.evidence import SubjectEvidence
from fkeras.store import digest_of

__all__ = [
    "ENGINES",
    "MODELS",
    "ModelHooks",
    "as_pair",
    "engine_identity",
    "engine_parts",
    "start_run",
]
_HERE = str(Path(__file__).parents[1]) + os.sep


class ModelHooks:
    """What a study asks about its model: here of what fkeras knows, Keras models, networks, and files that hold them;
    a test session answers for what it tests."""

    model_file = ""
    """The file that a project named in place of a model."""

    def bit_space(self, model: Any, coverage: Coverage) -> BitSpace:
        """The stored bits that are covered."""
        return covered(model_of(model), coverage)

    def identity(self, model: Any) -> Mapping[str, str]:
        """All that the model's outputs depend on. IdentityError where that is not known."""
        return model_of(model).identity()

    def state(self, model: Any, data: Any) -> Mapping[str, str | None]:
        """Texts that tell "model" and "data" from themselves once somebody has changed them, None where that is not
        known; or a ChangedError at once."""
        try:
            digest = digest_of(data)
        except (IdentityError, TypeError, ValueError):
            digest = None
        return {"model": model_of(model).state(), "data": digest}

    def resolved(self, protected: Any, study: Any) -> Any:
        """The bits or the protection that `protected` means in a study."""
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
        """The bits of `space`, most sensitive first."""
        from fkeras.sensitivity.methods import make_ranking

        return make_ranking(method, self.evidence(model, data, metric, loss, seed, space))

    def evidence(
        self, model: Any, data: tuple[Any, Any] | None, metric: Metric | None, loss: Any, seed: int, space: BitSpace
    ) -> SubjectEvidence:
        """What ranking methods and spectra may ask about a model."""
        subject = None if data is None else partial(model_of(model).subject, space, data)
        return SubjectEvidence(space, subject, metric, loss, seed)

    def start_run(
        self,
        model: Any,
        data: tuple[Any, Any],
        metrics: Mapping[str, Metric],
        space: BitSpace | None = None,
        engine: str = "auto",
    ) -> Run:
        """An engine bound to a model, its space, the data and the metrics; the golden outputs are computed here."""
        engine_parts(engine)
        asked, pair = model_of(model), as_pair(data)
        return asked.start_run(pair, metrics, covered(asked, Coverage()) if space is None else space, engine)

    def on_workers(
        self, run: Run, model: Any, data: tuple[Any, Any], metrics: Mapping[str, Metric], engine: str, executor: Any
    ) -> Run:
        """`run`, which start_run made of the others, measured by the workers of a `concurrent.futures.Executor` or a
        `dask.distributed.Client`; None: by itself."""
        if executor is None:
            return run
        from fkeras.executors import Job, RemoteRun, workers_of

        workers = workers_of(executor)
        golden = {name: score.value for name, score in run.golden.items()}
        shipped = model_of(model).shipped(run)
        job = Job.of(golden, shipped.start, shipped.content, as_pair(data), dict(metrics), run.space, engine)
        return RemoteRun(run, job, workers)

    def notice(self, text: str) -> None:
        """Say what was wrong with stored results."""
        warnings.warn(text, NotStored, stacklevel=_first_caller())


MODELS = ModelHooks()


start_run = MODELS.start_run


def _first_caller() -> int:
    """The stack level of the code outside fkeras that a warning is for, seen from who calls this."""
    level, frame = 1, sys._getframe(1)
    while frame is not None and frame.f_code.co_filename.startswith(_HERE):
        level, frame = level + 1, frame.f_back  # type: ignore[assignment]
    return level
