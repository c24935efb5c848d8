"""Fault sets in a store, each by itself: for searches, which choose what they measure next by what they have seen."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from fkeras.campaigns.stored import Claim, Entries, digest_of_faults, recalled, tables_of
from fkeras.engine import Run, Scores
from fkeras.faults import FaultSet
from fkeras.metrics.metric import Outputs


class StoredSets:
    """Gives what `run` gives, a fault set from the store where it is there; to be used in a `with`.

    entries: tables of faults (digest of a fault set), value, undefined, harmed, by metric. purpose: what the fault
    sets are for; two processes with the same purpose wait for one another, others measure side by side.
    """

    def __init__(self, run: Run, entries: Entries, purpose: str) -> None:
        self._run, self._entries = run, entries
        self._who = f"-{hashlib.sha256(purpose.encode()).hexdigest()[:8]}"
        self._stack = ExitStack()
        self._claim: Claim | None = None
        self.engine, self.space, self.metrics, self.n_samples = run.engine, run.space, run.metrics, run.n_samples
        self.golden, self.batch_size = run.golden, run.batch_size
        self._tables = tables_of(entries)

    def __enter__(self) -> StoredSets:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.__exit__(kind, error, trace)

    @property
    def golden_outputs(self) -> Outputs:
        """As the run has them."""
        return self._run.golden_outputs

    def batches(self, bits: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
        """As the run has them."""
        return self._run.batches(bits)

    def flips(self, bits: NDArray[np.int64]) -> dict[str, Scores]:
        """Each of `bits` flipped alone."""
        return self.fault_sets([FaultSet(np.array([bit])) for bit in bits])

    def fault_sets(self, faults: Sequence[FaultSet]) -> dict[str, Scores]:
        """Each fault set injected alone."""
        digests = np.array([digest_of_faults(one) for one in faults])
        scores, stored = recalled(list(self.metrics), self._tables, "faults", digests)
        if not stored.all() and self._entries and self._claim is None:
            # Whoever wrote before us may have measured them meanwhile.
            self._claim = self._stack.enter_context(Claim(self._entries, self._who))
            self._tables = tables_of(self._entries)
            scores, stored = recalled(list(self.metrics), self._tables, "faults", digests)
        missing = np.flatnonzero(~stored)
        if missing.size:
            measured = self._run.fault_sets([faults[i] for i in missing.tolist()])
            for name, one in scores.items():
                part = measured[name]
                one.fill(missing, part)
                if self._claim is not None and name in self._claim.writers:
                    self._claim.writers[name].add(
                        faults=digests[missing], value=part.values, undefined=part.undefined, harmed=part.harmed
                    )
        return scores
