"""What travels to workers, and what they keep of it.

A job is everything that a run is made of, as bytes; its digest names it. Tasks name their job by digest only. A worker
that has not got it answers `UNKNOWN`, and is sent the bytes with the task: once per worker, whenever it joins.
"""

from __future__ import annotations

import hashlib
import pickle
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fkeras.engine import Run, Scores
from fkeras.errors import EnvironmentSetupError, InputError, ModelError
from fkeras.faults import FaultSet
from fkeras.recent import Recent
from fkeras.store.parts import GOLDEN_TOLERANCE

KEPT = 2
"""Runs that a worker keeps at once, the most recently used ones."""

Golden = Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Flips:
    """Single flips, in groups that the engine measures together."""

    groups: tuple[NDArray[np.int64], ...]

    def of(self, run: Run) -> dict[str, Scores]:
        """The scores of all groups, one after the other."""
        parts = [run.flips(bits) for bits in self.groups]
        return {name: Scores.concatenate([part[name] for part in parts]) for name in run.metrics}


@dataclass(frozen=True, slots=True)
class FaultSets:
    """Whole fault sets."""

    faults: tuple[FaultSet, ...]

    def of(self, run: Run) -> dict[str, Scores]:
        """Their scores, in order."""
        return dict(run.fault_sets(self.faults))


Task = Flips | FaultSets


@dataclass(frozen=True, slots=True)
class Unknown:
    """A worker's answer when it has not got the job."""


UNKNOWN = Unknown()
Answer = dict[str, Scores] | Unknown


@dataclass(frozen=True, slots=True)
class Job:
    """A run, as bytes that travel."""

    payload: bytes
    digest: str

    @classmethod
    def of(cls, golden: Golden, start: Callable[..., Run], *arguments: Any) -> Job:
        """The run `start(*arguments)`, whose golden values must be `golden`; `start` is a function of a module.

        InputError when something in it cannot be pickled.
        """
        content = (installed(), dict(golden), start, arguments)
        try:
            payload = _dumps(content)
        except (pickle.PicklingError, TypeError, AttributeError, ValueError) as error:
            raise InputError(
                f"this cannot be sent to workers: {error}. Functions in metrics must stand at the top level of a "
                "module that workers can import; with cloudpickle installed (pip install 'pytest-fkeras[dask]') any "
                "function will do"
            ) from error
        return cls(payload, hashlib.sha256(payload).hexdigest())


def installed() -> str:
    """The version of this package here."""
    return version("pytest-fkeras")


_runs: Recent[Run] = Recent(KEPT)
# A run is not made for two threads at once, and a worker may have several.
_one_at_a_time = threading.Lock()


def measure(digest: str, payload: bytes | None, task: Task) -> Answer:
    """Do a task of a job: this runs on workers."""
    with _one_at_a_time:
        if digest not in _runs:
            if payload is None:
                return UNKNOWN
            _runs[digest] = _started(payload)
        return task.of(_runs[digest])


def _started(payload: bytes) -> Run:
    theirs, golden, start, arguments = pickle.loads(payload)
    if theirs != installed():
        raise EnvironmentSetupError(
            f"a worker has pytest-fkeras {installed()}, the campaign {theirs}; install one version everywhere"
        )
    run: Run = start(*arguments)
    for name, value in golden.items():
        found = run.golden[name].value
        if not np.isclose(found, value, rtol=GOLDEN_TOLERANCE, atol=GOLDEN_TOLERANCE, equal_nan=True):
            raise ModelError(
                f"on a worker the fault-free model has {name} {found!r}, here it has {value!r}: the model is not the "
                "same once saved and loaded (or another TensorFlow computes there); save it, load it with "
                "fkeras.load_model, and start again"
            )
    return run


def _dumps(content: Any) -> bytes:
    """Pickled; by value with cloudpickle, where it is there, what a worker could not import."""
    try:
        import cloudpickle
    except ImportError:
        return pickle.dumps(content)
    dumped: bytes = cloudpickle.dumps(content)
    return dumped
