"""The protocol between those who need outputs under faults and those who compute them.

`campaigns` measures and `sensitivity` predicts; both ask a `Run`, which engines implement. A run is one engine
bound to one model, one space, one data set and the metrics asked for.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from fkeras.errors import InputError
from fkeras.faults import FaultSet
from fkeras.memory import BitSpace
from fkeras.metrics.inputs import first_rows
from fkeras.metrics.metric import Metric, Outputs


@dataclass(frozen=True, slots=True, eq=False)
class GoldenScore:
    """One metric of the fault-free network.

    value: mean over samples, or the data set's number; standard_error: of the mean over samples, NaN for a data-set
    metric; undefined: number of samples without a defined score; per_sample: (n_samples,) or None.
    """

    value: float
    standard_error: float
    undefined: int
    per_sample: NDArray[np.float64] | None

    def require_finite(self, metric: str) -> None:
        """InputError, with the first samples to blame, for a value that nothing can be measured against."""
        if np.isfinite(self.value):
            return
        wrong = None if self.per_sample is None else ~np.isfinite(self.per_sample)
        why = (
            "no finite number comes out on these data"
            if wrong is None or not wrong.any()
            else (f"sample {first_rows(wrong)} has no finite score")
        )
        raise InputError(
            f"metric '{metric}' is {self.value:g} without any fault, so no limit on it can be judged: {why}; look at "
            "the outputs of the fault-free model there, and leave out the samples or repair the model"
        )


@dataclass(frozen=True, slots=True, eq=False)
class Scores:
    """One metric under n fault sets.

    values: (n,) float64, the mean over samples or the data set's number, never NaN;
    undefined: (n,) int64, samples whose output had no defined score (they count as the worst);
    harmed: (n,) int64, samples with a worse score than the golden network gave them (0 or 1 for a data-set metric).
    """

    values: NDArray[np.float64]
    undefined: NDArray[np.int64]
    harmed: NDArray[np.int64]

    @classmethod
    def zeros(cls, n: int) -> Scores:
        """Scores of n fault sets, to be filled in."""
        return cls(np.zeros(n), np.zeros(n, np.int64), np.zeros(n, np.int64))

    def __getitem__(self, some: slice) -> Scores:
        """The scores of some of the fault sets."""
        return Scores(self.values[some], self.undefined[some], self.harmed[some])

    def differ_from(self, golden: GoldenScore) -> NDArray[np.bool_]:
        """Which fault sets changed something, (n,)."""
        return np.asarray((self.values != golden.value) | (self.undefined != golden.undefined))

    def fill(self, positions: NDArray[np.int64], part: Scores) -> None:
        """Write the scores of a batch to their places."""
        self.values[positions], self.undefined[positions] = part.values, part.undefined
        self.harmed[positions] = part.harmed

    @classmethod
    def concatenate(cls, parts: Sequence[Scores]) -> Scores:
        """The scores of consecutive batches as one."""
        return cls(
            np.concatenate([np.zeros(0), *(p.values for p in parts)]),
            np.concatenate([np.zeros(0, np.int64), *(p.undefined for p in parts)]),
            np.concatenate([np.zeros(0, np.int64), *(p.harmed for p in parts)]),
        )


class Run(Protocol):
    """An engine at work."""

    @property
    def engine(self) -> str:
        """The engine's name, for reports and identities."""

    @property
    def space(self) -> BitSpace:
        """The memory."""

    @property
    def metrics(self) -> dict[str, Metric]:
        """What is measured, by name."""

    @property
    def n_samples(self) -> int:
        """Samples in the data."""

    @property
    def golden(self) -> dict[str, GoldenScore]:
        """The fault-free network's scores, by metric."""

    @property
    def golden_outputs(self) -> Outputs:
        """The fault-free network's outputs."""

    @property
    def batch_size(self) -> int:
        """How many fault sets a call takes best; callers split their work into batches of this size."""

    def batches(self, bits: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
        """Positions within `bits`, grouped as `flips` takes them best; together all of them, each once."""

    def flips(self, bits: NDArray[np.int64]) -> Mapping[str, Scores]:
        """Each of `bits` flipped alone; scores in the order of `bits`."""

    def fault_sets(self, faults: Sequence[FaultSet]) -> Mapping[str, Scores]:
        """Each fault set injected alone; scores in the order of `faults`."""


class RunAround:
    """A run that gives what another one gives, but for what a subclass changes."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self.space, self.metrics, self.n_samples = run.space, run.metrics, run.n_samples

    @property
    def engine(self) -> str:
        return self._run.engine

    @property
    def golden(self) -> dict[str, GoldenScore]:
        return self._run.golden

    @property
    def golden_outputs(self) -> Outputs:
        return self._run.golden_outputs

    @property
    def batch_size(self) -> int:
        return self._run.batch_size

    def batches(self, bits: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
        return self._run.batches(bits)

    def flips(self, bits: NDArray[np.int64]) -> Mapping[str, Scores]:
        return self.fault_sets([FaultSet(np.array([bit])) for bit in bits])

    def fault_sets(self, faults: Sequence[FaultSet]) -> Mapping[str, Scores]:
        return self._run.fault_sets(faults)
