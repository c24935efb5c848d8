"""Files that are written replace regular files only, and keep links."""

from __future__ import annotations

import os
import stat

import pytest

from fkeras.errors import InputError
from fkeras.files import check_target, require_distinct, require_own, require_regular_file, write_text


@pytest.mark.parametrize("write", [check_target, lambda path: write_text(path, "x")])
def test_pipes_and_devices_are_refused_and_left_alone(tmp_path, write):
    pipe, link = tmp_path / "pipe", tmp_path / "link"
    os.mkfifo(pipe)
    link.symlink_to(pipe)
    for path in (pipe, link):
        with pytest.raises(InputError, match=r"is no regular file \(a device, a pipe\?\) .* name another file"):
            write(path)
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link", "pipe"]


def test_only_regular_files_are_opened(tmp_path):
    regular, link, pipe, loop = (tmp_path / name for name in ("a.h5", "link", "pipe", "loop"))
    regular.write_text("x")
    link.symlink_to(regular)
    os.mkfifo(pipe)
    loop.symlink_to(loop)
    for path in (regular, link, str(regular)):
        assert require_regular_file(path, "model").read_text() == "x"
    for path, message in (
        (pipe, r"model file .*pipe is no regular file \(a device, a pipe\?\); name a regular file"),
        ("/dev/zero", "is no regular file"),
        (tmp_path, "is a directory; name a regular file"),
        (tmp_path / "none", "none does not exist \\(looked in"),
        (loop, "loop cannot be read .*symbolic links"),
        (regular / "below", "cannot be read .*Not a directory"),
        ("nul\0", "cannot be read .*null"),
        ("x" * 300, "cannot be read .*too long"),
    ):
        with pytest.raises(InputError, match=message):
            require_regular_file(path, "model")


def test_what_a_link_names_is_written(tmp_path):
    (tmp_path / "results").mkdir()
    real, link, dangling = tmp_path / "results" / "real.json", tmp_path / "link.json", tmp_path / "new.json"
    real.write_text("old")
    link.symlink_to(real)
    dangling.symlink_to(tmp_path / "results" / "other.json")
    for path in (link, dangling):
        check_target(path)
        write_text(path, "new")
        assert path.is_symlink()
        assert path.read_text() == "new"
    assert real.read_text() == "new"


def test_a_file_is_on_the_disk_before_it_has_its_name(tmp_path, monkeypatch):
    order = []
    for name in ("fsync", "replace"):
        usual = getattr(os, name)
        monkeypatch.setattr(f"fkeras.files.os.{name}", lambda *a, n=name, u=usual: (order.append(n), u(*a)))
    write_text(tmp_path / "report.json", "{}")
    assert order == ["fsync", "replace", "fsync"]  # the last makes the name itself durable


def written_by_fkeras() -> dict[str, bytes]:
    """A file of each kind, as it begins."""
    return {
        "result": b'{"schema": "fkeras-oracle/1", "model": "tagger.h5"',
        "report": b'{\n "schema": "fkeras-report/1",\n "created": "2026',
        "baseline": b'<<<<<<< HEAD\n{\n "schema": "fkeras-measured/1",\n "budget"',
        "mask": b'{\n "schema": "fkeras-protection/1",\n "layout_digest"',
        "list of protected bits": b"address,index,tensor,element,bit\nhidden/kernel[0,0]:0,0,hidden",
        "C header": b"/* Protected bits of layer hidden: 1 is protected",
        "page": b'<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta name="generator" content="pytest-fkeras 0.1">',
        "summary": b"## Fault budgets\n\n1 PASS of 1 budgets",
    }


FOREIGN = {
    "notes": b"my thesis",
    "other JSON": b'{"schema": "https://json-schema.org", "mentions": "fkeras-report/1"}',
    "other HTML": b"<!DOCTYPE html><html><head><title>pytest-fkeras</title>",
    "a test": b"from pytest_fkeras import fault_budget\n",
    "a model": b"\x89HDF\r\n\x1a\n",
    "a blank": b"\n",
}


@pytest.mark.parametrize("kind", written_by_fkeras())
def test_a_file_is_replaced_by_its_own_kind_and_by_no_other(tmp_path, kind):
    path = tmp_path / "out"
    require_own(path, kind, "use --force")
    path.write_bytes(b"")  # as CI's mktemp makes it: nobody's work
    require_own(path, kind, "use --force")
    for other, content in {**written_by_fkeras(), **FOREIGN}.items():
        path.write_bytes(content)
        if other == kind:
            require_own(path, kind, "use --force")
        else:
            with pytest.raises(InputError, match=f"out is no {kind} that fkeras wrote.* another file, or use --force"):
                require_own(path, kind, "use --force")


def test_two_outputs_are_two_files_by_whatever_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to("folder")
    require_distinct({"--json": "a", "--html": "b"})
    for same in ("./out", "folder/../out", tmp_path / "out", "link/../out"):
        with pytest.raises(InputError, match=r"--html and --json both write .*out; name two files"):
            require_distinct({"--json": "out", "--html": same})
    with pytest.raises(InputError, match="both write"):
        require_distinct({"--json": "link/out", "--html": "folder/out"})


def test_a_loop_of_links_is_refused(tmp_path):
    loop = tmp_path / "loop"
    loop.symlink_to("loop")
    for write in (check_target, lambda path: write_text(path, "x")):
        with pytest.raises(InputError, match=r"loop cannot be written .* name another file"):
            write(loop)
    assert loop.is_symlink()
