"""Measures an oracle (or a campaign) into a store, slowly, to be killed. Not imported: run in a process of its own."""

from __future__ import annotations

import hashlib
import time
from pathlib import Path

import numpy as np

from fkeras.campaigns import CampaignResult, FixedTrials, Oracle, Setting, measure_oracle, run_campaign
from fkeras.engine import GoldenScore, Scores
from fkeras.faults import FaultSet, FlipCount, protection
from fkeras.memory import BitSpace, FixedPoint, WordTensor
from fkeras.metrics import mean_squared_error
from fkeras.progress import silent
from fkeras.store import Identity, Store
from fkeras.store import entry as entry_module

SECONDS_PER_BATCH = 0.004
CODEC = FixedPoint(4, 0)


class SlowRun:
    """Damage follows from the bits; a batch takes some milliseconds."""

    engine, n_samples, batch_size, golden_outputs = "slow", 1, 8, None

    def __init__(self, n_words=200):
        zeros = np.zeros(n_words, np.float32)
        tensor = WordTensor("d/kernel", (n_words,), CODEC, CODEC.encode(zeros), np.ones(n_words, np.float32), zeros)
        self.space, self.metrics = BitSpace((tensor,)), {"mse": mean_squared_error()}
        self.golden = {"mse": GoldenScore(0.5, 0.0, 0, None)}

    def batches(self, bits):
        return iter(np.array_split(np.arange(len(bits)), max(1, len(bits) // 8)))

    def fault_sets(self, faults):
        time.sleep(SECONDS_PER_BATCH)
        values = np.array([np.sin(one.flips + 1.0).sum() ** 2 for one in faults])
        return {"mse": Scores(values, np.zeros(len(faults), np.int64), np.zeros(len(faults), np.int64))}

    def flips(self, bits):
        return self.fault_sets([FaultSet([bit]) for bit in bits])


def measure(path: str, kind: str, result: str) -> None:
    """Write the digest of what is measured, and how much was stored already, to a file."""
    entry_module.FLUSH_SECONDS, entry_module.MOST_PARTS = 0.01, 8
    run = SlowRun()
    entries = {"mse": Store(path).entry(Identity(kind, {"n": 1}))}
    if kind == "oracle":
        found: Oracle | CampaignResult = measure_oracle(run, "mse", np.arange(len(run.space)), silent, entries)
    else:
        setting = Setting(FlipCount(5), protection(None, run.space), 1, run.engine, 1, run.space)
        found = run_campaign(run, setting, FixedTrials(800), silent, entries)
    Path(result).write_text(f"{hashlib.sha256(found.values.tobytes()).hexdigest()} {found.reused}")


if __name__ == "victim":
    measure(*ARGUMENTS)  # noqa: F821  (given by who starts it)
