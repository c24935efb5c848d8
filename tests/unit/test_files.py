"""Files that are written replace regular files only, and keep links."""

from __future__ import annotations

import os
import stat

import pytest

from fkeras.errors import InputError
from fkeras.files import check_target, write_text


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
