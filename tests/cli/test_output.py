"""The JSON that commands write."""

from __future__ import annotations

import json
import tracemalloc

import pytest

from fkeras.cli.output import write_json

DATA = ("--data", "data.npz", "--metric", "mispredictions")


def test_iterators_are_written_as_arrays(tmp_path):
    rows = [[1, 2], [], [float("inf")]]
    whole = {"a": 1.5, "rows": rows, "none": [], "z": {"b": float("nan")}}
    write_json(str(tmp_path / "whole.json"), whole)
    write_json(str(tmp_path / "streamed.json"), {**whole, "rows": iter(rows), "none": iter([])})
    streamed = (tmp_path / "streamed.json").read_text()
    assert streamed == (tmp_path / "whole.json").read_text()
    assert streamed == json.dumps({"a": 1.5, "rows": [[1, 2], [], ["inf"]], "none": [], "z": {"b": "nan"}}) + "\n"


def test_no_more_than_one_element_of_an_iterator_is_in_memory(tmp_path):
    tracemalloc.start()
    try:
        write_json(str(tmp_path / "out.json"), {"rows": (list(range(n, n + 1000)) for n in range(100))})
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(json.loads((tmp_path / "out.json").read_text())["rows"]) == 100
    assert peak < 500_000  # all rows at once are 100,000 numbers, of 32 bytes each and 8 for their place


def test_a_failure_halfway_leaves_the_old_file_and_nothing_else(tmp_path):
    target = tmp_path / "out.json"
    target.write_text("old")
    with pytest.raises(ZeroDivisionError):
        write_json(str(target), {"rows": (1 // n for n in (1, 0))})
    assert target.read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["out.json"]


PROTECT = ("protect", "small.h5", "--share", "9%", "--output", "masks")
FOREIGN = [
    (("inspect", "small.h5", "--json", "mine"), "mine"),
    (("rank", "small.h5", "--method", "msb", "--json", "mine"), "mine"),
    (("oracle", "small.h5", *DATA, "--json", "mine"), "mine"),
    (("campaign", "small.h5", *DATA, "--faults", "1", "--json", "mine"), "mine"),
    (("endurance", "small.h5", *DATA, "--json", "mine"), "mine"),
    (("hls4ml-check", "small.h5", "--data", "data.npz", "--json", "mine"), "mine"),
    (("hls4ml-resources", "small.h5", "--json", "mine"), "mine"),
    (("hls4ml-resources", "small.h5", "--mask", "m", "--masks-to", "masks"), "masks/hidden_mask.h"),
    (("report", "r.json", "--html", "mine"), "mine"),
    (("report", "r.json", "--markdown", "mine"), "mine"),
    ((*PROTECT, "--json", "mine"), "mine"),
    (PROTECT, "masks/protection.json"),
    (PROTECT, "masks/protection.csv"),
    (PROTECT, "masks/out_mask.h"),
    ((*PROTECT, "--hls4ml-order"), "masks/hls4ml/out_mask.h"),
]


@pytest.mark.parametrize(("line", "path"), FOREIGN)
def test_a_file_of_the_users_is_not_replaced(folder, fkeras, line, path):
    (folder / path).parent.mkdir(parents=True, exist_ok=True)
    (folder / path).write_text("a night's work")
    done = fkeras(*line)
    assert done.code == 2
    assert f"{path} is no " in done.err
    assert "that fkeras wrote, and would be replaced; name another file, or replace it by --force" in done.err
    assert (folder / path).read_text() == "a night's work"


def test_what_fkeras_wrote_is_replaced_and_anything_by_force(folder, fkeras):
    line = (*PROTECT, "--json", "choice.json")
    assert fkeras(*line).code == 0
    names = ["choice.json", "masks/protection.json", "masks/protection.csv", "masks/hidden_mask.h", "masks/out_mask.h"]
    first = {name: (folder / name).read_text() for name in names}
    assert fkeras(*line).code == 0
    for name in ("choice.json", "masks/protection.csv", "masks/out_mask.h"):
        (folder / name).write_text("a night's work")
    assert fkeras(*line, "--force").code == 0
    assert {name: (folder / name).read_text() for name in names} == first
    (folder / "own.json").symlink_to("masks/protection.json")
    assert fkeras("inspect", "small.h5", "--json", "own.json").code == 2, "a mask is no result"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ((*PROTECT, "--json", "masks/protection.json"), "--output and --json both write masks/protection.json"),
        ((*PROTECT, "--json", "masks/../masks/hidden_mask.h"), "--output and --json both write masks/hidden_mask.h"),
        ((*PROTECT, "--json", "link/protection.csv"), "--output and --json both write masks/protection.csv"),
        (("report", "r.json", "--html", "page", "--markdown", "./page"), "--markdown and --html both write ./page"),
    ],
)
@pytest.mark.parametrize("force", [(), ("--force",)])
def test_two_results_are_two_files(folder, fkeras, line, message, force):
    (folder / "masks").mkdir()
    (folder / "link").symlink_to("masks")
    done = fkeras(*line, *force)
    assert done.code == 2
    assert f"{message}; name two files" in done.err
    assert not any((folder / "masks").iterdir())


@pytest.mark.parametrize(
    ("line", "what"),
    [
        (("inspect", "small.h5", "--json", "small.h5"), "the MODEL that is read"),
        (("inspect", "link.h5", "--json", "small.h5"), "the MODEL that is read"),
        (("protect", "other.h5", "small.h5", "--share", "9%", "--json", "small.h5"), "the MODEL that is read"),
        (("oracle", "small.h5", *DATA, "--json", "data.npz"), "the --data data.npz that is read"),
        (("campaign", "small.h5", *DATA, "--faults", "1", "--mask", "m.json", "--json", "m.json"), "the --mask m.json"),
        (
            ("hls4ml-resources", "small.h5", "--project", "m.json", "--json", "m.json"),
            "the --project m.json that is read",
        ),
        (("report", "m.json", "--html", "m.json"), "the REPORT that is read"),
        (
            ("hls4ml-resources", "small.h5", "--mask", "protection.json", "--masks-to", "."),
            "the --mask protection.json",
        ),
    ],
)
def test_what_is_read_is_never_written(folder, fkeras, line, what):
    (folder / "link.h5").symlink_to("small.h5")
    for name in ("m.json", "protection.json"):
        (folder / name).write_text("a mask")
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    done = fkeras(*line)
    assert done.code == 2
    assert f"is {what}" in done.err
    assert "name another file to write" in done.err
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
