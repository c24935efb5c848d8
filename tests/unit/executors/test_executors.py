"""Work on other processes: the same numbers, nothing lost with a worker, nothing measured twice."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import time
import warnings
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path

import cloudpickle
import numpy as np
import pytest

import fkeras
from fkeras.campaigns import FixedTrials, Requirement, Setting, UntilDecided, measure_oracle, parse_limit, run_campaign
from fkeras.campaigns.budget import shared_out
from fkeras.campaigns.shard import Shard
from fkeras.engine import GoldenScore
from fkeras.errors import EnvironmentSetupError, InputError, MissingExtraError, ModelError
from fkeras.executors import Job, RemoteRun, WorkerFailed, WorkersLost, opened_executor, workers_of
from fkeras.executors import job as job_module
from fkeras.executors.remote import Chunks
from fkeras.executors.workers import Workers
from fkeras.faults import fault_model, protection
from fkeras.memory import BitSpace, FixedPoint, WordTensor
from fkeras.metrics import mean_squared_error
from fkeras.progress import silent
from fkeras.scoring import Scorecard, scores_of
from fkeras.store import Identity, Store

# Workers cannot import this file; what it defines travels by value.
cloudpickle.register_pickle_by_value(sys.modules[__name__])

N_WORDS = 60
SPACE = BitSpace(
    (
        WordTensor(
            "layer/kernel",
            (N_WORDS,),
            FixedPoint(4, 0),
            np.arange(N_WORDS, dtype=np.uint32) % 16,
            np.ones(N_WORDS, np.float32),
            FixedPoint(4, 0).decode(np.arange(N_WORDS, dtype=np.uint32) % 16).astype(np.float32),
        ),
    )
)
X = np.random.default_rng(0).normal(size=(6, N_WORDS))
Y = np.zeros((6, 1))


class NumpyRun:
    """x @ words; `deadly` bits kill the process that measures them while their file is absent."""

    engine, batch_size, n_samples = "numpy", 3, 6

    def __init__(self, folder: str | None = None, deadly: tuple[int, ...] = (), always: bool = False) -> None:
        self.space, self.metrics = SPACE, {"mean_squared_error": mean_squared_error()}
        self.folder, self.deadly, self.always = folder, deadly, always
        self.golden_outputs = self.outputs(fkeras.FaultSet.EMPTY)
        self.card = Scorecard(self.metrics, Y, self.golden_outputs)
        self.golden: dict[str, GoldenScore] = self.card.golden

    def outputs(self, faults):
        values = [tensor.golden.copy() for tensor in self.space.tensors]
        for patch in faults.patches(self.space):
            values[patch.tensor][patch.elements] = patch.values
        return (X @ values[0])[:, None]

    def fault_sets(self, faults):
        results = []
        for one in faults:
            self._die_of(one)
            tally = self.card.tally()
            tally.add(self.outputs(one), slice(0, 6))
            results.append(tally.result())
        return scores_of(results, list(self.metrics))

    def _die_of(self, faults):
        hit = [bit for bit in self.deadly if bit in faults.flips.tolist()]
        if hit and multiprocessing.parent_process() is not None:
            mark = Path(self.folder) / f"died-of-{hit[0]}"
            if self.always or not mark.exists():
                mark.touch()
                os.kill(os.getpid(), signal.SIGKILL)

    def batches(self, bits):
        return iter(np.array_split(np.arange(len(bits)), max(1, len(bits) // 7)))

    def flips(self, bits):
        return self.fault_sets([fkeras.FaultSet([bit]) for bit in bits])


BITS = np.arange(len(SPACE))
LOCAL = NumpyRun()
EXPECTED = measure_oracle(LOCAL, "mean_squared_error", BITS, silent)


def remote(executor, *arguments, start=NumpyRun, golden=None):
    golden = {name: one.value for name, one in LOCAL.golden.items()} if golden is None else golden
    return RemoteRun(LOCAL, Job.of(golden, start, *arguments), workers_of(executor))


def same(oracle, expected=EXPECTED):
    return all(
        getattr(oracle, name).tobytes() == getattr(expected, name).tobytes()
        for name in ("bits", "values", "undefined", "harmed", "positions")
    )


def campaign(run, plan, protected=None):
    setting = Setting(fault_model(9), protection(protected, SPACE), 5, run.engine, run.n_samples, SPACE)
    return run_campaign(run, setting, plan, silent)


def alive():
    return {child.pid for child in multiprocessing.active_children() if child.is_alive()}


@pytest.fixture(scope="module")
def processes():
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as pool:
        yield pool


@pytest.fixture(scope="module")
def cluster():
    import dask
    import distributed

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with (
            dask.config.set({"distributed.scheduler.allowed-failures": 1}),
            distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as made,
            distributed.Client(made) as client,
        ):
            yield client


@pytest.fixture(params=["threads", "processes", "dask"])
def executor(request):
    if request.param == "threads":
        with ThreadPoolExecutor(2) as pool:
            yield pool
    else:
        yield request.getfixturevalue("processes" if request.param == "processes" else "cluster")


def test_an_oracle_has_the_bytes_of_one_process(executor):
    assert same(measure_oracle(remote(executor), "mean_squared_error", BITS, silent))


def stored(run, path, share=None):
    """An oracle and a campaign, or a share of them, written into a store."""
    store = Store(path)
    entries = [{"mean_squared_error": store.entry(Identity(kind, {"of": 1}))} for kind in ("oracle", "campaign")]
    setting, plan = (
        Setting(fault_model(9), protection(None, SPACE), 5, run.engine, run.n_samples, SPACE),
        FixedTrials(45),
    )
    bits, who = BITS, ""
    if share is not None:
        bits, who = share.of_bits(SPACE, BITS), f"-{share.number}"
        setting, plan = shared_out(setting, plan, share)
    measure_oracle(run, "mean_squared_error", bits, silent, entries[0], who)
    run_campaign(run, setting, plan, silent, entries[1], who)
    return path


def tables(path):
    """The result tables: by kind the name and the bytes of the one file."""
    found = {}
    for entry in Store(path).entries():
        (file,) = (entry.folder / "rows").iterdir()
        found[entry.identity.kind] = (file.name, file.read_bytes())
    return found


def test_executors_shards_and_one_process_store_the_same_bytes(executor, tmp_path):
    expected = tables(stored(LOCAL, tmp_path / "one"))
    assert expected.keys() == {"oracle", "campaign"}
    assert tables(stored(remote(executor), tmp_path / "far")) == expected
    shares = [Shard(number, 3) for number in (1, 2, 3)]
    parts = [stored(remote(executor), tmp_path / f"part{one.number}", one) for one in shares]
    fkeras.merge(parts, tmp_path / "merged")
    assert tables(tmp_path / "merged") == expected
    for one in shares:
        stored(LOCAL, tmp_path / "together", one)
    assert tables(tmp_path / "together") == expected


def test_bits_may_be_few_repeated_and_in_any_order(executor):
    bits = np.array([17, 3, 3, 230])
    assert same(
        measure_oracle(remote(executor), "mean_squared_error", bits, silent),
        measure_oracle(LOCAL, "mean_squared_error", bits, silent),
    )
    flips = remote(executor).flips(bits)["mean_squared_error"]
    assert flips.values.tolist() == LOCAL.flips(bits)["mean_squared_error"].values.tolist()


def test_trials_come_back_in_order(executor):
    ours, theirs = campaign(LOCAL, FixedTrials(45)), campaign(remote(executor), FixedTrials(45))
    assert theirs.values.tobytes() == ours.values.tobytes()
    assert theirs.hits.tobytes() == ours.hits.tobytes()


@pytest.mark.parametrize("limit", [100.0, 0.05, 0.3])
def test_a_sequential_campaign_ends_at_the_same_trial(executor, limit):
    chosen = (parse_limit("max_mean_squared_error", limit),)
    plan = UntilDecided(Requirement(chosen, 0.2), 150)
    ours, theirs = campaign(LOCAL, plan), campaign(remote(executor), plan)
    assert len(theirs) == len(ours)
    assert theirs.values.tobytes() == ours.values.tobytes()
    assert theirs.verdict(plan.requirement) == ours.verdict(plan.requirement)


def test_the_job_travels_once_per_worker(cluster):
    counted = []

    class Counting:
        def __getattr__(self, name):
            return getattr(cluster.get_executor(pure=False), name)

        def submit(self, function, digest, payload, task):
            counted.append(payload is not None)
            return cluster.get_executor(pure=False).submit(function, digest, payload, task)

    run = remote(cluster, None, (), False)
    run._workers._executor = Counting()
    measure_oracle(run, "mean_squared_error", BITS, silent)
    assert len(counted) - sum(counted) >= 34, "each of the 34 groups is asked for by digest alone"
    assert 1 <= sum(counted) <= 8, "a few may ask before the first answer is there"


def test_a_dask_worker_that_dies_loses_nothing(cluster, tmp_path):
    run = remote(cluster, str(tmp_path), (100,))
    assert same(measure_oracle(run, "mean_squared_error", BITS, silent))
    assert (tmp_path / "died-of-100").exists()


def test_a_task_that_kills_every_dask_worker_ends_with_an_error(cluster, tmp_path):
    run = remote(cluster, str(tmp_path), (100,), True)
    with pytest.raises(WorkerFailed, match="killed several workers one after the other, most likely for want of mem"):
        measure_oracle(run, "mean_squared_error", np.array([100]), silent)


def test_a_pool_that_breaks_is_finished_here(tmp_path):
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as pool:
        run = remote(pool, str(tmp_path), (100,))
        with pytest.warns(WorkersLost, match="worker processes died .* are done again in this process"):
            assert same(measure_oracle(run, "mean_squared_error", BITS, silent))
        # A pool that is known to be broken takes nothing more.
        with pytest.warns(WorkersLost):
            assert same(measure_oracle(run, "mean_squared_error", BITS, silent))


def test_a_pool_of_ours_is_replaced(tmp_path):
    before = alive()
    with opened_executor("processes:2") as pool, pytest.warns(WorkersLost, match="are done again by new ones"):
        assert same(measure_oracle(remote(pool, str(tmp_path), (100, 200)), "mean_squared_error", BITS, silent))
    assert {path.name for path in tmp_path.iterdir()} == {"died-of-100", "died-of-200"}
    assert alive() <= before


def test_a_pool_that_breaks_again_and_again_is_given_up(tmp_path):
    with opened_executor("processes:1") as pool:
        run = remote(pool, str(tmp_path), (100,), True)
        with pytest.warns(WorkersLost) as lost:
            found = measure_oracle(run, "mean_squared_error", BITS[96:104], silent)
    assert same(found, measure_oracle(LOCAL, "mean_squared_error", BITS[96:104], silent))
    assert [("new ones" in str(one.message)) for one in lost] == [True, True, True, False]


def test_leaving_early_ends_the_workers():
    before = alive()

    def interrupted():
        with opened_executor("processes:1") as pool:
            for _ in remote(pool).batches(BITS):
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert alive() <= before


ORPHANED = """
import time
from fkeras.executors.opened import LocalPool
if __name__ == "__main__":
    pool = LocalPool(1)
    print(pool.__enter__()._executor.submit(os.getpid).result(), flush=True)
    pool._executor.submit(time.sleep, 600)
    time.sleep(600)
"""


def test_a_parent_that_is_killed_leaves_no_worker_behind(tmp_path):
    (tmp_path / "orphaned.py").write_text("import os\n" + ORPHANED)
    parent = subprocess.Popen([sys.executable, tmp_path / "orphaned.py"], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    worker = Path("/proc") / parent.stdout.readline().strip()
    assert (worker / "stat").exists()
    parent.kill()
    parent.communicate()
    deadline = time.monotonic() + 30
    while (worker / "stat").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not (worker / "stat").exists()


def test_a_worker_keeps_few_runs():
    job_module._runs.clear()
    with ThreadPoolExecutor(1) as pool:
        for folder in "abc":
            remote(pool, folder).flips(BITS[:2])
    assert len(job_module._runs) == job_module.KEPT


def test_another_golden_value_on_a_worker_is_refused():
    with ThreadPoolExecutor(1) as pool:
        run = remote(pool, "other", golden={"mean_squared_error": 7.0})
        with pytest.raises(ModelError, match=r"fault-free model has mean_squared_error .*, here it has 7\.0"):
            run.flips(BITS[:2])


def test_another_version_on_a_worker_is_refused(monkeypatch):
    job_module._runs.clear()
    job = Job.of({}, NumpyRun)
    monkeypatch.setattr(job_module, "installed", lambda: "0.0")
    with pytest.raises(EnvironmentSetupError, match=r"a worker has pytest-fkeras 0\.0, the campaign"):
        job_module.measure(job.digest, job.payload, None)


def fails(*arguments):
    raise ZeroDivisionError("over there")


def test_other_errors_on_workers_are_told_as_such(processes):
    with pytest.raises(WorkerFailed, match="a worker failed with ZeroDivisionError: over there; the same pytest-fk"):
        remote(processes, start=fails).flips(BITS[:1])


def test_what_cannot_be_an_executor():
    with pytest.raises(InputError, match=r"executor is builtins\.int; allowed are a concurrent"):
        workers_of(4)
    pool = ThreadPoolExecutor(1)
    pool.shutdown()
    with pytest.raises(InputError, match=r"takes no work .* pass one that is not shut down"):
        remote(pool).flips(BITS[:1])


def test_forking_under_tensorflow_is_refused(monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow", sys)
    with (
        ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("fork")) as pool,
        pytest.raises(InputError, match=r"TensorFlow hangs in a forked process; make it with .*'spawn'"),
    ):
        workers_of(pool)


@pytest.mark.parametrize(
    "text", ["", "4", "processes", "processes:0", "processes:-1", "processes:5000", "dask:", "x:1"]
)
def test_texts_that_name_no_executor(text):
    with pytest.raises(InputError, match=r"allowed are processes:N with N from 1 to 4096, and dask:ADDRESS"):
        opened_executor(text).__enter__()


def test_nobody_answers(monkeypatch):
    monkeypatch.setattr("fkeras.executors.opened.CONNECT_SECONDS", 0.2)
    for where in ("tcp://127.0.0.1:9", "nowhere.json", "not an address"):
        with pytest.raises(InputError, match=r"no dask scheduler answers at .*; start one with `dask scheduler`"):
            opened_executor(f"dask:{where}").__enter__()


def test_without_dask(monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'pytest-fkeras\[dask\]'"):
        opened_executor("dask:tcp://127.0.0.1:9").__enter__()


def test_what_cannot_be_pickled_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "cloudpickle", None)
    with pytest.raises(InputError, match=r"cannot be sent to workers: .*lambda.* top level of a module"):
        Job.of({}, lambda: LOCAL)


def test_chunks_are_ordered_complete_and_whole_groups():
    groups = np.split(np.arange(100), [3, 4, 40, 41, 90])
    chunks = Chunks(groups, lambda: 1)
    made = list(chunks)
    assert [group.tolist() for chunk in made for group in chunk] == [group.tolist() for group in groups]
    assert [len(chunk) for chunk in made] == [1] * 6, "nothing is done yet, so each is as small as it can be"
    assert np.concatenate([chunks.done(number) for number in range(6)]).tolist() == list(range(100))
    assert list(Chunks([], lambda: 1)) == []


@pytest.mark.parametrize(("seconds_per_group", "longest"), [(0.5, 60), (0.001, 312), (20, 1)])
def test_a_chunk_takes_half_a_minute_at_most_and_is_a_small_part_of_the_whole(monkeypatch, seconds_per_group, longest):
    now = [0.0]
    monkeypatch.setattr("fkeras.executors.remote.time.monotonic", lambda: now[0])
    chunks = Chunks(list(np.arange(10_000).reshape(-1, 1)), lambda: 1)
    sizes = []
    for number, chunk in enumerate(chunks):
        sizes.append(len(chunk))
        now[0] += seconds_per_group * len(chunk)
        chunks.done(number)
    assert (sizes[0], max(sizes), sum(sizes)) == (1, longest, 10_000)


class OneByOne:
    """An executor that does a task when it is submitted, and counts how many wait to be fetched."""

    def __init__(self, cancelled=()):
        self.submitted, self.cancelled = 0, {*cancelled}

    def submit(self, function, *arguments):
        future = Future()
        if self.submitted in self.cancelled:
            future.cancel()
            future.set_running_or_notify_cancel()
        else:
            future.set_result(function(*arguments))
        self.submitted += 1
        return future


def test_workers_that_join_later_get_work():
    executor, n_workers = OneByOne(), [0]
    run = RemoteRun(LOCAL, Job.of({}, NumpyRun), Workers(executor, lambda: n_workers[0]))
    measured = run.batches(BITS)
    next(measured)
    assert executor.submitted <= 4, "two ahead, and the job sent with them"
    before, n_workers[0] = executor.submitted, 10
    next(measured)
    next(measured)
    next(measured)
    assert executor.submitted - before >= 16
    measured.close()


def test_a_task_that_is_cancelled_is_submitted_again(recwarn):
    executor = OneByOne(cancelled=(5, 9))
    run = RemoteRun(LOCAL, Job.of({}, NumpyRun), Workers(executor, 1))
    run._here = None  # nothing may be done in this process
    assert same(measure_oracle(run, "mean_squared_error", BITS, silent))
    assert not [one for one in recwarn if one.category is WorkersLost]


def test_an_executor_that_cancels_everything_is_given_up():
    run = RemoteRun(LOCAL, Job.of({}, NumpyRun), Workers(OneByOne(cancelled=range(1000)), 1))
    with pytest.raises(WorkerFailed, match="the executor cancelled 101 tasks, and none was done in between; see its l"):
        run.flips(BITS)
