"""What the fault-free network gave, in a store: who asks for that, and for stored faults, starts no engine."""

from __future__ import annotations

import io
import json
import platform
import zipfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import cache, cached_property
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fkeras.engine import GoldenScore, Run, RunAround, Scores
from fkeras.errors import StoreError
from fkeras.memory import BitSpace
from fkeras.metrics.chance import Chance
from fkeras.metrics.inputs import read_only
from fkeras.metrics.metric import Metric, Outputs, parts_of
from fkeras.store import Documents
from fkeras.store.parts import GOLDEN_TOLERANCE

MOST_BYTES = 64 * 2**20
"""Larger outputs are not kept."""
_FILE = "golden.npz"
_DAMAGES = (ValueError, EOFError, KeyError, TypeError, OSError, zipfile.BadZipFile)


@dataclass(frozen=True, slots=True, eq=False)
class Golden:
    """What a run gave without faults.

    engine: its name; outputs: the network's; scores and chance: of some of its metrics, by name.
    """

    engine: str
    outputs: Outputs
    scores: Mapping[str, GoldenScore]
    chance: Mapping[str, Chance | None]

    @property
    def n_samples(self) -> int:
        """Samples in the data."""
        return len(parts_of(self.outputs)[0])


def keep_golden(documents: Documents, golden: Golden) -> None:
    """Write what a run gave; StoreError where the disk refuses. Large outputs are left out."""
    parts = parts_of(golden.outputs)
    if sum(part.nbytes for part in parts) > MOST_BYTES:
        return
    facts = {
        "engine": golden.engine,
        "outputs": None if golden.outputs is parts[0] else len(parts),
        "metrics": {
            name: {
                "value": score.value,
                "standard_error": score.standard_error,
                "undefined": score.undefined,
                "chance": None if (chance := golden.chance[name]) is None else asdict(chance),
            }
            for name, score in golden.scores.items()
        },
    }
    arrays: dict[str, Any] = {f"output{i}": part for i, part in enumerate(parts)}
    for i, score in enumerate(golden.scores.values()):
        if score.per_sample is not None:
            arrays[f"scores{i}"] = score.per_sample
    file = io.BytesIO()
    np.savez(file, facts=np.array(json.dumps(facts)), **arrays)
    documents.write(_FILE, file.getvalue())


def kept_golden(documents: Documents) -> Golden | None:
    """What a run gave, None where it is not known. ValueError for a damaged file."""
    path = documents.path(_FILE)
    if path is None:
        return None
    try:
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as content:
            facts = json.loads(content["facts"].item())
            outputs = tuple(content[f"output{i}"] for i in range(facts["outputs"] or 1))
            scores, chance = {}, {}
            for i, (name, fact) in enumerate(facts["metrics"].items()):
                luck, samples = fact.pop("chance"), content.get(f"scores{i}")
                scores[name] = GoldenScore(per_sample=None if samples is None else read_only(samples), **fact)
                chance[name] = None if luck is None else Chance(**luck)
        return Golden(facts["engine"], read_only(outputs[0] if facts["outputs"] is None else outputs), scores, chance)
    except _DAMAGES as error:
        raise ValueError(f"{path}: left out, it is damaged ({error}); the fault-free network is computed") from error


class KnownRun(RunAround):
    """A run whose golden outputs and scores are known; the engine starts when faults must be measured.

    scores: of all metrics; start: starts the engine; folder: where what is known is kept.
    """

    def __init__(
        self,
        golden: Golden,
        scores: Mapping[str, GoldenScore],
        metrics: Mapping[str, Metric],
        space: BitSpace,
        start: Callable[[], Run],
        folder: Path,
    ) -> None:
        self.space, self.metrics, self.known = space, dict(metrics), golden
        self.n_samples = golden.n_samples
        self._scores, self._start, self._folder = dict(scores), start, folder

    @cached_property
    def _run(self) -> Run:  # type: ignore[override]
        run = self._start()
        for name, score in self._scores.items():
            now = run.golden[name].value
            if not np.isclose(now, score.value, rtol=GOLDEN_TOLERANCE, atol=GOLDEN_TOLERANCE, equal_nan=True):
                raise StoreError(
                    f"{self._folder}: the fault-free network gave {name} {score.value:.6g} when it was written, and "
                    f"gives {now:.6g} now; something that it depends on has changed unnoticed: remove the folder and "
                    "start again"
                )
        return run

    @property
    def is_started(self) -> bool:
        """Whether an engine is at work."""
        return "_run" in vars(self)

    @property
    def engine(self) -> str:
        return self._run.engine if self.is_started else self.known.engine

    @property
    def golden(self) -> dict[str, GoldenScore]:
        return self._run.golden if self.is_started else self._scores

    @property
    def golden_outputs(self) -> Outputs:
        return self._run.golden_outputs if self.is_started else self.known.outputs

    def flips(self, bits: NDArray[np.int64]) -> Mapping[str, Scores]:
        return self._run.flips(bits)


@cache
def computed_by() -> dict[str, str]:
    """What the last bits of a fault-free network depend on besides code and data: the processor and what computes."""
    processor = platform.processor()
    with suppress(OSError):
        first = Path("/proc/cpuinfo").read_text().partition("\n\n")[0]
        lines = (line.partition(":") for line in first.splitlines())
        processor = "; ".join(text.strip() for name, _, text in lines if name.strip() in ("model name", "flags"))
    versions = {}
    for name in ("numpy", "numba", "scipy"):
        with suppress(metadata.PackageNotFoundError):
            versions[name] = metadata.version(name)
    return {"system": platform.system(), "machine": platform.machine(), "processor": processor, **versions}
