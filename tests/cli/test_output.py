"""The JSON that commands write."""

from __future__ import annotations

import json
import tracemalloc

import pytest

from fkeras.cli.output import write_json


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
        write_json(str(tmp_path / "out.json"), {"rows": (list(range(n, n + 1000)) for n in range(1000))})
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(json.loads((tmp_path / "out.json").read_text())["rows"]) == 1000
    assert peak < 1_000_000  # all rows at once are 1,000,000 numbers


def test_a_failure_halfway_leaves_the_old_file_and_nothing_else(tmp_path):
    target = tmp_path / "out.json"
    target.write_text("old")
    with pytest.raises(ZeroDivisionError):
        write_json(str(target), {"rows": (1 // n for n in (1, 0))})
    assert target.read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["out.json"]
