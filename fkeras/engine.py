"""The protocols between those who need outputs under faults and those who compute them.

`campaigns` measures and `sensitivity` predicts; both ask a `Run`, which engines implement. A run is one engine
bound to one model, one space, one data set and the metrics asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from fkeras.errors import InputError
from fkeras.faults import FaultSet, RandomStream
from fkeras.memory import BitSpace
from fkeras.metrics.inputs import first_rows
from fkeras.metrics.metric import Metric, Outputs, SampleMetric
from fkeras.network.derivatives import RegisterRead


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
        ...

    @property
    def space(self) -> BitSpace:
        """The memory."""
        ...

    @property
    def metrics(self) -> dict[str, Metric]:
        """What is measured, by name."""
        ...

    @property
    def n_samples(self) -> int:
        """Samples in the data."""
        ...

    @property
    def golden(self) -> dict[str, GoldenScore]:
        """The fault-free network's scores, by metric."""
        ...

    @property
    def golden_outputs(self) -> Outputs:
        """The fault-free network's outputs."""
        ...

    @property
    def batch_size(self) -> int:
        """How many fault sets a call takes best; callers split their work into batches of this size."""
        ...

    def batches(self, bits: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
        """Positions within `bits`, grouped as `flips` takes them best; together all of them, each once."""
        ...

    def flips(self, bits: NDArray[np.int64]) -> Mapping[str, Scores]:
        """Each of `bits` flipped alone; scores in the order of `bits`."""
        ...

    def fault_sets(self, faults: Sequence[FaultSet]) -> Mapping[str, Scores]:
        """Each fault set injected alone; scores in the order of `faults`."""
        ...


class RunAround:
    """A run that gives what another one gives, but for what a subclass changes."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self.space, self.metrics, self.n_samples = run.space, run.metrics, run.n_samples

    @property
    def engine(self) -> str:
        """The engine's name."""
        return self._run.engine

    @property
    def golden(self) -> dict[str, GoldenScore]:
        """The fault-free network's scores, by metric."""
        return self._run.golden

    @property
    def golden_outputs(self) -> Outputs:
        """The fault-free network's outputs."""
        return self._run.golden_outputs

    @property
    def batch_size(self) -> int:
        """How many fault sets a call takes best."""
        return self._run.batch_size

    def batches(self, bits: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
        """Positions within `bits`, grouped as `flips` takes them best."""
        return self._run.batches(bits)

    def flips(self, bits: NDArray[np.int64]) -> Mapping[str, Scores]:
        """Each of `bits` flipped alone."""
        return self.fault_sets([FaultSet(np.array([bit])) for bit in bits])

    def fault_sets(self, faults: Sequence[FaultSet]) -> Mapping[str, Scores]:
        """Each fault set injected alone."""
        return self._run.fault_sets(faults)


class Derivatives(Protocol):
    """Derivatives of a model's loss and outputs in theta, the golden stored values of a space.

    Losses are means over the samples, in inference mode; vectors are (n_words,) float64 in the order of the space.
    """

    space: BitSpace
    n_samples: int
    loss: str
    """The loss's name, "" when there is none."""

    def gradient(self, rows: NDArray[np.int64] | None = None) -> NDArray[np.float64]:
        """dL/dtheta (paper, eq. 1), of the mean over the samples `rows` (all unless given)."""
        ...

    def hessian_vector_product(self, vector: NDArray[np.float64]) -> NDArray[np.float64]:
        """H v with H the second derivatives of L (paper, eq. 2)."""
        ...

    def gauss_newton_diagonal(self, stream: RandomStream) -> NDArray[np.float64]:
        """The diagonal of the mean of J^T C J, C the loss's second derivatives in the outputs; estimated, unbiased."""
        ...

    def squared_jacobian_diagonal(self, stream: RandomStream) -> NDArray[np.float64]:
        """The diagonal of the mean of J^T J, J a sample's outputs' derivatives in theta; estimated, unbiased."""
        ...

    def loss_at_registers(
        self, measure: Callable[[RegisterRead], NDArray[np.float64]], rows: NDArray[np.int64] | None = None
    ) -> NDArray[np.float64]:
        """The mean over samples of a measure of each register and the loss's slopes in it, register by register."""
        ...

    def probes_at_registers(
        self, measure: Callable[[RegisterRead], NDArray[np.float64]], stream: RandomStream, curved: bool
    ) -> NDArray[np.float64]:
        """The same of two probes of each sample: J^T r and itself again, or J^T C r where it is `curved`."""
        ...


class Evidence(Protocol):
    """What a ranking method may ask about a model, its data and its metric; each part is made when asked for."""

    space: BitSpace
    seed: int
    metric: Metric | None

    @property
    def n_samples(self) -> int:
        """Samples in the data, 0 without any."""
        ...

    def derivatives(self) -> Derivatives:
        """Derivatives of the loss, or of the outputs alone where there are no targets."""
        ...

    def damage(self) -> SampleMetric:
        """The metric, or the one that the targets suggest; one number per sample. InputError where there is none."""
        ...

    def damage_derivatives(self) -> Derivatives | None:
        """Derivatives of `damage` to first order where they are known, else of a surrogate, else None."""
        ...

    def run(self, rows: NDArray[np.int64]) -> Run:
        """The exact engine on the samples `rows` with `damage` as its one metric."""
        ...
