"""Runs: an engine bound to a model, its data and metrics, here or on workers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fkeras.campaigns.stored import LazyRun
from fkeras.campaigns.stored_sets import StoredSets
from fkeras.engine import Run
from fkeras.errors import InputError
from fkeras.keeping import Keeper
from fkeras.memory import BitSpace
from fkeras.metrics.metric import Metric

ENGINES = ("auto", "fast", "reference", "hls4ml")


def start_run(
    model: Any,
    data: tuple[Any, Any],
    metrics: Mapping[str, Metric],
    space: BitSpace | None = None,
    engine: str = "auto",
) -> Run:
    """An engine bound to a model, its space, the data and the metrics; the golden outputs are computed here."""
    from fkeras.backends.tf.reading import bit_space as read
    from fkeras.backends.tf.reference import ReferenceRun

    name, project = engine_parts(engine)
    x, y = as_pair(data)
    used = read(model) if space is None else space
    if name == "reference":
        return ReferenceRun(model, used, x, y, metrics)
    if name == "hls4ml":
        from fkeras.backends.hls4ml.engine import Hls4mlRun

        return Hls4mlRun(model, used, x, y, metrics, project)
    from fkeras.backends.tf.fast.run import FastRun

    return FastRun(model, used, x, y, metrics)


def lazy_run(
    keeper: Keeper | None,
    model: Any,
    data: tuple[Any, Any],
    metrics: Mapping[str, Metric],
    space: BitSpace,
    engine: str,
    executor: Any,
    group: str | None = None,
) -> Run:
    """A run; with a store one that starts when something is missing there."""

    def start() -> Run:
        run = start_run(model, data, metrics, space, engine)
        return on_workers(run, model, data, metrics, engine, executor)

    return start() if keeper is None else LazyRun(space, metrics, start, keeper.golden(metrics, group))


def stored_sets(
    keeper: Keeper | None,
    model: Any,
    data: tuple[Any, Any],
    metric: Metric,
    space: BitSpace,
    engine: str,
    executor: Any,
) -> StoredSets:
    """A run for fault sets that are chosen by what others did; see `StoredSets`."""
    metrics = {metric.name: metric}
    run = on_workers(start_run(model, data, metrics, space, engine), model, data, metrics, engine, executor)
    return StoredSets(run, {} if keeper is None else keeper.fault_sets(metrics))


def on_workers(
    run: Run, model: Any, data: tuple[Any, Any], metrics: Mapping[str, Metric], engine: str, executor: Any
) -> Run:
    """`run`, which start_run made of all the others, measured by the workers of an executor; None: by itself.

    executor: a `concurrent.futures.Executor` or a `dask.distributed.Client`. The model goes to workers as a file.
    """
    if executor is None:
        return run
    from fkeras.backends.tf.shipping import packed
    from fkeras.executors import Job, RemoteRun, workers_of

    workers = workers_of(executor)
    golden = {name: score.value for name, score in run.golden.items()}
    job = Job.of(golden, start_packed, packed(model), as_pair(data), dict(metrics), run.space, engine)
    return RemoteRun(run, job, workers)


def start_packed(model: Any, data: tuple[Any, Any], metrics: Mapping[str, Metric], space: BitSpace, engine: str) -> Run:
    """`start_run` for a packed model: this runs on workers."""
    from fkeras.backends.tf.shipping import unpacked

    return start_run(unpacked(model), data, metrics, space, engine)


def engine_parts(engine: str) -> tuple[str, str | None]:
    """An engine's name, and the hls4ml project behind its colon. InputError for an engine that does not exist."""
    name, colon, project = engine.partition(":")
    if name not in ENGINES or (colon and name != "hls4ml"):
        raise InputError(
            f"engine={engine!r}; allowed are {', '.join(ENGINES)}, and hls4ml:PATH with the configuration (YAML) or "
            "directory of an hls4ml project"
        )
    return name, project if colon else None


def engine_identity(engine: str) -> str:
    """What decides an engine's numbers: its name, for hls4ml also its version and the project's content."""
    name, project = engine_parts(engine)
    if name != "hls4ml":
        return "fast" if name == "auto" else name
    from fkeras.backends.hls4ml.project import read_project
    from fkeras.backends.hls4ml.setup import hls4ml

    version = f"hls4ml {hls4ml().__version__}"
    return version if project is None else f"{version} {read_project(project).digest}"


def as_pair(data: Any) -> tuple[Any, Any]:
    if not isinstance(data, tuple | list) or len(data) != 2:
        raise InputError("data is a pair (x, y): the inputs and the targets")
    return data[0], data[1]
