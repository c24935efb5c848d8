"""The study that a command's arguments describe: model, memory, data, metric, engine, store and workers."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from fkeras.errors import InputError
from fkeras.threads import THREAD_VARIABLES

if TYPE_CHECKING:
    from fkeras.metrics.metric import Metric
    from fkeras.npz import Data
    from fkeras.study import Study


@contextmanager
def studied(options: argparse.Namespace) -> Iterator[Study]:
    """The study of the one model that is named; its workers live until the block ends."""
    with studied_together(options, [options.model]) as (study,):
        yield study


@contextmanager
def studied_together(options: argparse.Namespace, models: list[str]) -> Iterator[list[Study]]:
    """The studies of several models, alike but for the model; what is cheap to refuse is refused first."""
    from fkeras.campaigns.shard import Shard
    from fkeras.executors import opened_executor

    stated = vars(options)
    use_threads(stated.get("threads"))
    shard, store = stated.get("shard"), stated.get("store")
    if shard is not None:
        Shard.parse(shard)
        if store is None:
            raise InputError(f"--shard {shard} needs --store DIR: that is where the shares are put together")
    with opened_executor(stated.get("executor")) as workers:
        for path in models:
            if not Path(path).exists():
                raise InputError(f"model file {path} does not exist (looked in {Path.cwd()})")
        data = read_data(options.data, options.samples) if stated.get("data") else None
        metric = read_metric(options.metric, options.geometry) if stated.get("metric") else None
        import fkeras
        from fkeras.models.file import model_in
        from fkeras.store import opened

        kept = opened(store)
        loaded = [model_in(path, options.weights, options.trust, kept) for path in models]
        studies = [
            fkeras.Study(
                model,
                data,
                metric,
                layers=options.layers or "*",
                biases=options.biases,
                memory=options.memory,
                words=options.words,
                of=options.of or list(dict(stated.get("faults_in") or ())) or "weights",
                input_format=options.input_format,
                engine=stated.get("engine", "auto"),
                seed=stated.get("seed", 0),
                store=kept,
                executor=workers,
                area=stated.get("area"),
                name=path,
            )
            for path, model in zip(models, loaded, strict=True)
        ]
        for study in studies:
            study.space  # noqa: B018  refused by name before anything is measured
        yield studies


def require_data(options: argparse.Namespace) -> None:
    """InputError for a metric without data."""
    if options.metric and not options.data:
        raise InputError(f"--metric {options.metric} needs --data FILE.npz with arrays x and y")


def read_data(path: str, samples: int | None) -> tuple[Data, Data]:
    """Inputs and targets, the first `samples` of them."""
    from fkeras import npz

    x, y = npz.read_data(path)
    return first(x, samples, path), first(y, samples, path)


def first(data: Data, samples: int | None, path: str) -> Data:
    """The first `samples` of what a file holds, all of them for None."""
    from fkeras.metrics.inputs import sample_count, take

    if samples is not None and samples > sample_count(data):
        raise InputError(f"--samples {samples:,}: {path} has {sample_count(data):,}; ask for that many at most")
    chosen: Data = take(data, slice(samples))
    return chosen


def read_metric(name: str, geometry: str | None) -> Metric:
    """The metric of that name; the EMD's cells come from a geometry file."""
    from fkeras import metrics
    from fkeras.metrics.named import NAMED
    from fkeras.npz import read_npz

    if name != "emd":
        if name not in NAMED:
            raise InputError(f"--metric {name[:40]}: allowed are {', '.join(NAMED)} and emd (needs --geometry)")
        if geometry is not None:
            raise InputError(f"--geometry says where cells are, which metric {name!r} does not use; leave it out")
        return metrics.resolve(name)
    if geometry is None:
        raise InputError(
            "--metric emd needs --geometry FILE.npz with coordinates (cells, 2 or 3) and, where the outputs are laid "
            "out otherwise, cell_of_output (cells,)"
        )
    arrays = read_npz(geometry, ("coordinates",), ("cell_of_output",))
    return metrics.emd(arrays["coordinates"], cells=arrays.get("cell_of_output"))


def use_threads(threads: int | None) -> None:
    """Bound the processor cores that libraries use; they read this when they are loaded."""
    if threads is not None:
        for name in THREAD_VARIABLES:
            os.environ[name] = str(threads)
