"""What a command works on: model, memory, data and metric, from its arguments."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fkeras.errors import InputError

if TYPE_CHECKING:
    from fkeras.memory import BitSpace
    from fkeras.metrics.metric import Metric
    from fkeras.npz import Data


@dataclass(frozen=True, slots=True)
class Subject:
    """A loaded model with the memory, data and metric that the arguments choose; None where they choose none."""

    model: Any
    space: BitSpace
    data: tuple[Data, Data] | None
    metric: Metric | None


def load(options: argparse.Namespace) -> Subject:
    """Everything that `arguments.add_model` and `add_data` ask for; what is cheap to refuse is refused first."""
    (one,) = load_several(argparse.Namespace(**{**vars(options), "model": [options.model]}))
    return one


def load_several(options: argparse.Namespace) -> list[Subject]:
    """The same for several models, with the same data and metric."""
    use_threads(getattr(options, "threads", None))
    for path in options.model:
        if not Path(path).exists():
            raise InputError(f"model file {path} does not exist (looked in {Path.cwd()})")
    data = read_data(options.data, options.samples) if getattr(options, "data", None) else None
    metric = read_metric(options.metric, options.geometry) if getattr(options, "metric", None) else None
    import fkeras

    models = [fkeras.load_model(path, options.weights, trusted=options.trust) for path in options.model]
    return [
        Subject(model, fkeras.bit_space(model, options.layers or "*", options.biases), data, metric) for model in models
    ]


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


@contextmanager
def farm(options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """What `arguments.add_farm` asks for, as keywords of fkeras.oracle and fkeras.campaign."""
    from fkeras.campaigns.shares import Share
    from fkeras.executors import opened_executor

    if options.shard is not None:
        Share.parse(options.shard)
        if options.store is None:
            raise InputError(f"--shard {options.shard} needs --store DIR: that is where the shares are put together")
    with opened_executor(options.executor) as workers:
        yield {"store": options.store, "shard": options.shard, "executor": workers}


def use_threads(threads: int | None) -> None:
    """Bound the processor cores that libraries use; they read this when they are loaded."""
    if threads is not None:
        for name in ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "NUMBA_NUM_THREADS", "OMP_NUM_THREADS"):
            os.environ[name] = str(threads)
