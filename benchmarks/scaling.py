"""What an oracle costs, and what it would cost elsewhere: rates, a prediction, and what was measured against it.

usage: python benchmarks/scaling.py [--data DIR] [--case NAME ...] [--part NAME ...] [--json FILE]

Parts, each on its own when named:
  rates    per tensor and per model: time per bit and sample on one core, the share of (bit, sample) pairs that a
           quantizer masks, how many of the others share a state (collapse), and the share of pairs whose outputs are
           computed and scored at all
  speedup  the oracle in one process on one core, on all cores, in two processes of one core each, and on a dask cluster
           of two such workers; each twice in a row, the first with loading and compiling everywhere, the second the
           work alone
  farm     what does not shrink with more workers: bytes of a job, bytes a row, rows a second into a store and through a
           merge; and from all of these what 10^9 bits on 1,000 workers would take

One core means one thread each for TensorFlow, numba and OpenMP, and for `one core` a process pinned to one processor;
the two workers and the process that hands out work share all processors. Rates are processor time, so that they hold on
a busy machine too; speed-ups are wall time and do not. Without --data only the example project's ECON-T encoder on
simulated wafers is measured; --data names a folder with models/, econ_t_val.npz, hgcal/geometry.npz and
cifar10_test_2000.npz for small, medium, large and cifar.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any
from unittest.mock import patch

from fkeras.threads import THREAD_VARIABLES

MOST_PER_CHANNEL = 1024
"""More flips of one channel than this are sampled: beyond it they share no more work."""
EXAMPLE = Path(__file__).parents[1] / "example_project"
WAYS = ("one core", "all cores", "two processes", "dask, two workers")


def subject(name: str, data: Path | None, samples: int) -> tuple[Any, tuple[Any, Any], Any]:
    """Model, data and metric of a case."""
    import numpy as np

    import fkeras

    if name == "example":
        sys.path.insert(0, str(EXAMPLE))
        from econ_t import data as wafers
        from econ_t import geometry

        x, y = wafers.validation_set()
        metric = fkeras.metrics.emd(geometry.cell_coordinates(), cells=geometry.cell_of_output())
        return fkeras.load_model(EXAMPLE / "econ_t/econ_t_medium.h5"), (x[:samples], y[:samples]), metric
    assert data is not None
    if name == "cifar":
        images = np.load(data / "cifar10_test_2000.npz")
        x, y = images["X"].astype(np.float32) / 256, images["Y"].ravel().astype(int)
        return fkeras.load_model(data / "models/rn07_cifar10.h5"), (x[:samples], y[:samples]), "mispredictions"
    cells = np.load(data / "hgcal/geometry.npz")
    charges = np.load(data / "econ_t_val.npz")["calq"][:samples].astype(np.float32)
    share = charges / charges.sum(1, keepdims=True)
    x = (share[:, cells["arrange"]] * cells["mask"]).reshape(-1, 8, 8, 1)
    metric = fkeras.metrics.emd(cells["coordinates"], cells=cells["cell_of_output"])
    return fkeras.load_model(data / f"models/econ_t_{name}.h5"), (x, charges), metric


class Counter:
    """Counts what the engine does, at the seams between its modules."""

    def __init__(self) -> None:
        self.pairs = self.masked = self.states = self.scored = 0

    def metric(self, metric: Any) -> Any:
        """The same metric, whose scored samples are counted."""

        def bind(targets: Any, golden: Any) -> Any:
            scorer, counter = metric.bind(targets, golden), self

            class Counting:
                golden = scorer.golden

                def score(self, outputs: Any, rows: Any) -> Any:
                    scores = scorer.score(outputs, rows)
                    counter.scored += scores.values.size
                    return scores

                def __getattr__(self, name: str) -> Any:
                    return getattr(scorer, name)

            return Counting()

        return replace(metric, bind=bind)

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Count the states that faults lead to within the block."""
        import numpy as np

        from fkeras.engines.cpu.worker import SiteWorker

        usual = SiteWorker._states

        def counted(worker: Any, *arguments: Any) -> Any:
            states, ends = usual(worker, *arguments)
            alive = int((states.of >= 0).sum())
            self.pairs += states.of.size
            self.masked += states.of.size - alive
            self.states += np.unique(states.of[states.of >= 0]).size
            return states, ends

        with patch.object(SiteWorker, "_states", counted):
            yield


def rates(name: str, data: Path | None, samples: int, channels: int) -> dict[str, Any]:
    """Costs and rates, from some channels of every tensor; run this with one thread."""
    import numpy as np

    from fkeras.metrics import resolve
    from fkeras.models import start_run

    model, pair, metric = subject(name, data, samples)
    counter = Counter()
    counted = counter.metric(resolve(metric))
    started = time.process_time()
    run = start_run(model, pair, {counted.name: counted})
    space, tensors = run.space, []
    predicted = 0.0
    first = time.process_time() - started
    for tensor, start, stop in zip(space.tensors, space.offsets[:-1], space.offsets[1:], strict=True):
        groups = list(run.batches(np.arange(start, stop)))
        chosen = [start + groups[i] for i in np.unique(np.linspace(0, len(groups) - 1, channels).astype(int))]
        chosen = [np.sort(np.random.default_rng(0).permutation(bits)[:MOST_PER_CHANNEL]) for bits in chosen]
        started = time.process_time()
        run.flips(chosen[0][:8])  # tables and compilation
        warm_up = time.process_time() - started
        before = counter.scored
        counter.pairs = counter.masked = counter.states = 0
        started = time.process_time()
        with counter.watching():
            for bits in chosen:
                run.flips(bits)
        took = time.process_time() - started
        n_pairs = sum(bits.size for bits in chosen) * run.n_samples
        alive = counter.pairs - counter.masked
        tensors.append(
            {
                "tensor": tensor.path,
                "bits": int(stop - start),
                "measured_bits": sum(bits.size for bits in chosen),
                "seconds_per_bit_and_sample": took / n_pairs,
                "warm_up_seconds": warm_up,
                "masked": counter.masked / counter.pairs if counter.pairs else None,
                "collapse": alive / counter.states if counter.states else None,
                "scored": (counter.scored - before) / n_pairs,
            }
        )
        predicted += took / n_pairs * (stop - start) * run.n_samples
    return {
        "case": name,
        "bits": len(space),
        "samples": run.n_samples,
        "start_seconds": first + sum(one["warm_up_seconds"] for one in tensors),
        "predicted_seconds": predicted,
        "seconds_per_bit_and_sample": predicted / len(space) / run.n_samples,
        "scored": sum(one["scored"] * one["bits"] for one in tensors) / len(space),
        "tensors": tensors,
    }


def once(name: str, data: Path | None, samples: int, way: str, n_bits: int | None) -> dict[str, Any]:
    """An oracle in one of WAYS, twice in a row: seconds of the first, with loading and compiling everywhere, and of the
    second, the work alone; a digest of the values."""
    import hashlib

    import numpy as np

    import fkeras
    from fkeras.executors import opened_executor, workers_of
    from fkeras.progress import silent

    model, pair, metric = subject(name, data, samples)
    space = fkeras.bit_space(model)
    bits = np.arange(len(space))
    if n_bits is not None:  # evenly spread over the memory, a word at a time
        bits = np.unique(np.linspace(0, len(space) - 1, n_bits).astype(int))

    def both(executor: Any) -> tuple[float, float, Any]:
        times = [time.perf_counter()]
        for _ in range(2):
            oracle = fkeras.oracle(
                model, pair, metric=metric, bits=bits, space=space, executor=executor, progress=silent
            )
            times.append(time.perf_counter())
        return times[1] - times[0], times[2] - times[1], oracle

    if way == "two processes":
        with opened_executor("processes:2") as workers:
            first, second, oracle = both(workers)
    elif way == "dask, two workers":
        import logging

        from distributed import Client, LocalCluster

        logging.disable(logging.WARNING)
        with (
            LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster,
            Client(cluster) as client,
        ):
            first, second, oracle = both(workers_of(client))
    else:
        first, second, oracle = both(None)
    return {
        "way": way,
        "bits": int(bits.size),
        "first_seconds": first,
        "work_seconds": second,
        "sha256": hashlib.sha256(oracle.values.tobytes()).hexdigest()[:16],
    }


def in_a_process(options: argparse.Namespace, name: str, part: str, way: str, processors: list[int]) -> dict[str, Any]:
    """A part in a fresh process with one thread per library (all of them for all cores), pinned to processors."""
    environment = {**os.environ}
    if way != "all cores":
        environment |= dict.fromkeys(THREAD_VARIABLES, "1")
    line = [sys.executable, __file__, "--inner", part, "--case", name, "--way", way, "--samples", str(options.samples)]
    line += ["--channels", str(options.channels)]
    if options.data:
        line += ["--data", str(options.data)]
    if options.bits:
        line += ["--bits", str(options.bits)]
    done = subprocess.run(
        line,
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        preexec_fn=lambda: os.sched_setaffinity(0, processors),
    )
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def peak_bytes(work: Callable[[], Any]) -> int:
    """The most that numpy and Python held at once while `work` ran, beyond what they held before."""
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    work()
    peak = tracemalloc.get_traced_memory()[1] - before
    tracemalloc.stop()
    return peak


def farm(name: str, data: Path | None, samples: int, rows: int) -> dict[str, Any]:
    """Bytes and rates of what every further worker adds."""
    import numpy as np

    from fkeras.campaigns.shard import Shard
    from fkeras.executors import Job
    from fkeras.frontends.qkeras.shipping import packed
    from fkeras.metrics import resolve
    from fkeras.models import start_run
    from fkeras.models.keras import start_packed
    from fkeras.store import Identity, Store, merge

    model, pair, metric = subject(name, data, samples)
    one = resolve(metric)
    run = start_run(model, pair, {one.name: one})
    job = Job.of({}, start_packed, packed(model), pair, {one.name: one}, run.space, "auto")
    data_bytes = sum(array.nbytes for array in pair)
    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as folder:
        identity = Identity("oracle", {"benchmark": name})
        n_parts = 8
        started = time.process_time()
        for number in range(n_parts):
            keys = np.arange(number, rows, n_parts)
            Store(Path(folder) / f"part{number}").entry(identity).append(
                {
                    "bit": keys,
                    "value": rng.normal(size=keys.size),
                    "undefined": np.zeros(keys.size, np.int64),
                    "harmed": rng.integers(0, 9, keys.size),
                }
            )
        written = time.process_time() - started
        size = sum(path.stat().st_size for path in Path(folder).rglob("*.parquet"))
        started = time.process_time()
        merge([Path(folder) / f"part{number}" for number in range(n_parts)], Path(folder) / "all")
        merged = time.process_time() - started
        merge_peak = peak_bytes(
            lambda: merge([Path(folder) / f"part{number}" for number in range(n_parts)], Path(folder) / "again")
        )
    shared = peak_bytes(lambda: Shard(1, 8).of_bits(run.space, np.arange(len(run.space))))
    return {
        "case": name,
        "bits": len(run.space),
        "job_bytes": len(job.payload),
        "data_bytes": data_bytes,
        "job_bytes_per_bit": (len(job.payload) - data_bytes) / len(run.space),
        "row_bytes": size / rows,
        "written_rows_per_second": rows / written,
        "merged_rows_per_second": rows / merged,
        "merge_bytes_per_row": merge_peak / rows,
        "sharing_bytes_per_bit": shared / len(run.space),
    }


def projection(cost: float, rates_of: dict[str, Any], n_bits: float, samples: int, workers: int) -> dict[str, float]:
    """What n_bits on many workers would take, from one model's measured rates; seconds and bytes."""
    shipped = n_bits * rates_of["job_bytes_per_bit"]
    return {
        "bits": n_bits,
        "samples": samples,
        "workers": workers,
        "core_seconds": n_bits * samples * cost,
        "work_seconds": n_bits * samples * cost / workers,
        "job_bytes": shipped,
        "shipped_seconds_at_1_gbyte_per_second": shipped * workers / 1e9,
        "result_bytes": n_bits * rates_of["row_bytes"],
        "merge_seconds": n_bits / rates_of["merged_rows_per_second"],
        "merge_memory_bytes": n_bits * rates_of["merge_bytes_per_row"],
        "sharing_memory_bytes": n_bits * rates_of["sharing_bytes_per_bit"],
    }


def main() -> None:
    """Run the chosen parts."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder with the real models and data")
    parser.add_argument("--case", nargs="+", choices=["example", "small", "medium", "large", "cifar"])
    parser.add_argument("--part", nargs="+", choices=["rates", "speedup", "farm"], default=["rates", "speedup", "farm"])
    parser.add_argument("--speedup-case", default=None, help="the case of `speedup` (default: large, or example)")
    parser.add_argument("--samples", type=int, default=2000)
    parser.add_argument("--channels", type=int, default=4, help="output channels per tensor for `rates`")
    parser.add_argument("--bits", type=int, help="that many bits, evenly spread, for `speedup` (default: all)")
    parser.add_argument("--rows", type=int, default=2_000_000, help="rows of the stores that are merged")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--inner", help=argparse.SUPPRESS)
    parser.add_argument("--way", choices=WAYS, default="one core", help=argparse.SUPPRESS)
    options = parser.parse_args()
    cases = options.case or (["small", "medium", "large", "cifar"] if options.data else ["example"])
    if options.inner:
        (name,) = cases
        inner = (
            rates(name, options.data, options.samples, options.channels)
            if options.inner == "rates"
            else once(name, options.data, options.samples, options.way, options.bits)
        )
        print(json.dumps(inner), flush=True)
        return
    from tabulate import tabulate

    result: dict[str, Any] = {
        "date": date.today().isoformat(),
        "machine": f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}",
        "load": os.getloadavg()[0],
    }
    everything = sorted(os.sched_getaffinity(0))
    if "rates" in options.part:
        result["rates"] = []
        for name in cases:
            one = in_a_process(options, name, "rates", "one core", everything[:1])
            result["rates"].append(one)
            print(f"\n{name}")
            print(tabulate(one["tensors"], headers="keys", floatfmt=".3g"), flush=True)
        summary = [{k: v for k, v in one.items() if k != "tensors"} for one in result["rates"]]
        print()
        print(tabulate(summary, headers="keys", floatfmt=".4g"), flush=True)
    if "speedup" in options.part:
        name = options.speedup_case or ("large" if "large" in cases else cases[0])
        rows = []
        for way in WAYS:
            rows.append(
                in_a_process(options, name, "speedup", way, everything[:1] if way == "one core" else everything)
            )
            rows[-1]["speed-up"] = rows[0]["work_seconds"] / rows[-1]["work_seconds"]
        assert len({row["sha256"] for row in rows}) == 1, "all ways give the same bytes"
        result["speedup"] = {"case": name, "samples": options.samples, "ways": rows}
        print(f"\n{name}, {options.samples} samples")
        print(tabulate(rows, headers="keys", floatfmt=".3g"))
    if "farm" in options.part:
        result["farm"] = [farm(name, options.data, options.samples, options.rows) for name in cases]
        print()
        print(tabulate(result["farm"], headers="keys", floatfmt=".4g"))
        for one, found in zip(result.get("rates", []), result["farm"], strict=False):
            far = projection(one["seconds_per_bit_and_sample"], found, 1e9, 1000, 1000)
            result.setdefault("projection", []).append({"case": one["case"], **far})
        if "projection" in result:
            print()
            print(tabulate(result["projection"], headers="keys", floatfmt=".3g"))
    if options.json:
        options.json.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
