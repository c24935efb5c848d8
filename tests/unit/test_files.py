"""Files that are written replace regular files only, and keep links."""

from __future__ import annotations

import os
import stat

import pytest

from fkeras.errors import InputError
from fkeras.files import check_target, require_regular_file, write_text


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
    assert order == ["fsync", "replace"]
