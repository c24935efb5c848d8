"""Work that outlives a process: stores, shares, merging, interruption."""

from __future__ import annotations

import json
import multiprocessing
import signal

import pytest

from fkeras.engines.cpu.run import CpuRun
from fkeras.frontends.qkeras.framework import FrameworkRun

DATA = ("--data", "data.npz", "--metric", "mispredictions")


def test_the_same_line_again_measures_nothing(folder, fkeras):
    line = ("oracle", "small.h5", *DATA, "--store", "s", "--json", "o.json")
    fkeras(*line)
    first = (folder / "o.json").read_bytes()
    again = fkeras(*line)
    assert again.code == 0
    assert "72 of them read from the store" in again.out
    assert (folder / "o.json").read_bytes() == first


def test_shares_and_a_merge_are_one_process(folder, fkeras):
    oracle = ("oracle", "small.h5", *DATA)
    campaign = ("campaign", "small.h5", *DATA, "--faults", "4", "--trials", "11", "--seed", "3")
    for line, name in ((oracle, "o"), (campaign, "c")):
        assert fkeras(*line, "--json", f"{name}1.json").code == 0
        for i in (1, 2, 3):
            assert fkeras(*line, "--store", f"part{i}", "--shard", f"{i}/3").code == 0
    merged = fkeras("merge", "part1", "part2", "part3", "--into", "all")
    assert merged.code == 0
    assert "oracle " in merged.out
    assert ": 72 rows, 72 of them new" in merged.out
    assert ": 11 rows, 11 of them new" in merged.out
    for line, name in ((oracle, "o"), (campaign, "c")):
        assert fkeras(*line, "--store", "all", "--json", f"{name}2.json").code == 0
        assert (folder / f"{name}1.json").read_bytes() == (folder / f"{name}2.json").read_bytes()
    assert "0 of them new" in fkeras("merge", "part1", "--into", "all").out


@pytest.mark.parametrize(
    ("first", "second", "difference"),
    [
        (("oracle", "small.h5"), ("oracle", "other.h5"), "model"),
        (("oracle", "small.h5"), ("oracle", "small.h5", "--samples", "9"), "data"),
        (
            ("campaign", "small.h5", "--faults", "3", "--trials", "4", "--seed", "1"),
            ("campaign", "small.h5", "--faults", "3", "--trials", "4", "--seed", "2"),
            "seed: 1 against 2",
        ),
    ],
)
def test_shares_of_different_things_are_not_merged(folder, fkeras, first, second, difference):
    for number, line in enumerate((first, second), start=1):
        assert fkeras(*line, *DATA, "--store", f"part{number}", "--shard", f"{number}/2").code == 0
    done = fkeras("merge", "part1", "part2", "--into", "all")
    assert done.code == 2
    assert "part1 and part2 are results of different things and do not add up" in done.err
    assert difference in done.err
    assert not (folder / "all").exists()


def test_a_store_keeps_models_apart(folder, fkeras):
    for model in ("small.h5", "other.h5", "small.h5"):
        fkeras("oracle", model, *DATA, "--store", "s", "--json", f"{model}.json")
    one, other = (json.loads((folder / f"{name}.h5.json").read_text()) for name in ("small", "other"))
    assert one["layout_digest"] == other["layout_digest"]
    assert one["values"] != other["values"]


def test_two_processes_give_what_one_gives(folder, fkeras):
    oracle = ("oracle", "small.h5", *DATA, "--json")
    assert fkeras(*oracle, "o1.json").code == 0
    far = fkeras(*oracle, "o2.json", "--store", "s", "--executor", "processes:2")
    assert far.code == 0, far.err
    assert far.err == ""
    assert (folder / "o1.json").read_bytes() == (folder / "o2.json").read_bytes()
    assert "72 of them read" in fkeras(*oracle, "o3.json", "--store", "s").out


SEARCHES = [
    ("endurance", "small.h5", *DATA, "--limit", "max_mispredictions=0.7", "--trials", "60", "--max-flips", "8"),
    ("protect", "small.h5", "other.h5", *DATA, "--faults", "6", "--limit", "max_mispredictions=0.7", "--method", "msb"),
]


@pytest.mark.parametrize("line", SEARCHES, ids=lambda line: line[0])
def test_a_search_goes_on_where_it_was_interrupted(folder, fkeras, monkeypatch, line):
    assert fkeras(*line, "--engine", "framework", "--json", "whole.json").code == 0
    usual, calls = FrameworkRun.fault_sets, []
    signal.signal(signal.SIGINT, signal.default_int_handler)

    def fault_sets(self, faults):
        calls.extend(faults)
        if len(calls) > 40 and not resumed:
            signal.raise_signal(signal.SIGINT)
        return usual(self, faults)

    monkeypatch.setattr(FrameworkRun, "fault_sets", fault_sets)
    kept, resumed = (*line, "--engine", "framework", "--store", "s", "--json", "kept.json"), False
    stopped = fkeras(*kept)
    assert stopped.code == 130
    assert "what was measured is in the store. The same line goes on from there" in stopped.err
    resumed = True
    counts = []
    for _ in range(2):
        calls.clear()
        assert fkeras(*kept).code == 0
        counts.append(len(calls))
        assert (folder / "kept.json").read_bytes() == (folder / "whole.json").read_bytes()
    assert counts[0] > 0 == counts[1], "the second time everything is there"


@pytest.fixture
def forked_workers(monkeypatch):
    """Workers are forked from a process that has done the imports; `test_two_processes_give...` starts real ones."""
    forking = multiprocessing.get_context("forkserver")
    forking.set_forkserver_preload(["fkeras.engines.cpu.run", "fkeras.models.network", "fkeras.executors.workers"])
    monkeypatch.setattr("fkeras.executors.opened.multiprocessing.get_context", lambda method: forking)


@pytest.mark.parametrize("line", SEARCHES, ids=lambda line: line[0])
def test_two_processes_search_as_one(folder, fkeras, forked_workers, monkeypatch, line):
    assert fkeras(*line, "--json", "one.json").code == 0
    monkeypatch.setattr(CpuRun, "fault_sets", lambda *_: pytest.fail("measured in this process"))
    far = fkeras(*line, "--json", "two.json", "--executor", "processes:2")
    assert (far.code, far.err) == (0, "")
    assert (folder / "one.json").read_bytes() == (folder / "two.json").read_bytes()


def interrupting(monkeypatch, number, after):
    """The process gets a signal in the middle of its work."""
    usual, calls = FrameworkRun.flips, []
    # A shell's background jobs ignore Ctrl-C, and what they start inherits it.
    signal.signal(signal.SIGINT, signal.default_int_handler)

    def flips(self, bits):
        calls.append(bits)
        if len(calls) == after:
            signal.raise_signal(number)
        return usual(self, bits)

    monkeypatch.setattr(FrameworkRun, "flips", flips)


@pytest.mark.parametrize(
    ("number", "code", "word"), [(signal.SIGINT, 130, "interrupted"), (signal.SIGTERM, 143, "terminated")]
)
def test_interrupted_work_is_saved_and_goes_on(folder, fkeras, monkeypatch, number, code, word):
    line = ["oracle", "small.h5", *DATA, "--engine", "framework", "--store", "s", "--json", "o.json"]
    handler = signal.getsignal(signal.SIGTERM)
    interrupting(monkeypatch, number, after=4)
    stopped = fkeras(*line)
    assert stopped.code == code
    assert stopped.err == (
        f"fkeras: {word}; what was measured is in the store. The same line goes on from there:\n"
        "  fkeras oracle small.h5 --data data.npz --metric mispredictions --engine framework --store s --json o.json\n"
    )
    assert not (folder / "o.json").exists()
    assert signal.getsignal(signal.SIGTERM) is handler
    assert "24 of them read from the store" in fkeras(*line).out, "three batches of eight"
    fkeras(*line[:-4], "--json", "whole.json")
    assert (folder / "whole.json").read_bytes() == (folder / "o.json").read_bytes()


def test_without_a_store_the_message_says_what_would_have_kept_it(folder, fkeras, monkeypatch):
    interrupting(monkeypatch, signal.SIGINT, after=2)
    stopped = fkeras("oracle", "small.h5", *DATA, "--engine", "framework")
    assert stopped.code == 130
    assert "interrupted; nothing was kept. With --store DIR the same line would go on where it stopped" in stopped.err
