"""Compiled chips are kept by what they are made of; whatever goes wrong, nothing half-made is used or stays."""

from __future__ import annotations

import ctypes
import errno
import os
import subprocess
from concurrent.futures import ThreadPoolExecutor

import filelock
import pytest

import fkeras
from fkeras.engines.hls4ml import compiling

HELPERS = """
template <int width> struct ap_uint;
namespace hls { template <class T> class stream; }
namespace nnet {
template <class T> void save_layer_output(T *values, const char *name, unsigned long size);
template <class From, class To, unsigned long size> void convert_data(From *source, To *target);
}
"""
"""What is known of hls4ml's types and functions where none is in use."""
BRIDGE = """
#include <cstdio>
#include <cstdlib>
extern "C" void fkeras_double(double *x, double *y) {{
    FILE *file = std::fopen(WEIGHTS_DIR "/w2.txt", "r");
    double weight = 0;
    if (file == nullptr || std::fscanf(file, "%lf", &weight) != 1) std::abort();
    std::fclose(file);
    {more}
    *y = weight * *x;
}}
"""


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """An empty cache."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "pytest-fkeras" / "hls4ml"


@pytest.fixture
def sources(tmp_path):
    """sources(weight): the folder of a project that multiplies with its weight."""

    def written(weight=2.0, more="", name="a"):
        folder = tmp_path / f"project_{name}"
        (folder / "firmware" / "weights").mkdir(parents=True)
        (folder / "firmware" / "nnet_utils").mkdir()
        for file in ("fkeras.cpp", "fkeras.h", "parameters.h"):
            (folder / "firmware" / file).write_text("")
        (folder / "firmware" / "nnet_utils" / "nnet_helpers.h").write_text(HELPERS)
        (folder / "firmware" / "weights" / "w2.txt").write_text(str(weight))
        (folder / "fkeras_bridge.cpp").write_text(BRIDGE.format(more=more))
        return folder

    return written


@pytest.fixture
def counted(monkeypatch):
    """The folders that were compiled."""
    folders, usual = [], compiling.compile_library
    monkeypatch.setattr(compiling, "compile_library", lambda *more: (folders.append(more[1]), usual(*more)))
    return folders


def compiled(folder):
    return compiling.compiled(folder, "io_parallel", [1], [1])


def product(kept):
    x, y = ctypes.c_double(3.0), ctypes.c_double(0.0)
    ctypes.CDLL(str(kept / compiling.LIBRARY)).fkeras_batch(ctypes.c_size_t(1), ctypes.byref(x), ctypes.byref(y))
    return y.value


def test_equal_sources_are_compiled_once_and_others_apart(sources, counted, cache):
    first, again, other = (compiled(sources(w, name=n)) for w, n in ((2.0, "a"), (2.0, "b"), (5.0, "c")))
    assert first == again != other
    assert counted == [first, other]
    assert (product(first), product(other)) == (6.0, 15.0)
    assert first.parent == cache
    assert cache.stat().st_mode & 0o077 == 0, "code that is loaded: nobody else's to write"


def test_those_who_want_the_same_wait_for_it(sources, counted):
    folders = [sources(name=str(number)) for number in range(4)]
    with ThreadPoolExecutor(4) as pool:
        kept = set(pool.map(compiled, folders))
    assert len(kept) == len(counted) == 1


def test_what_a_killed_process_left_is_made_again(sources, counted):
    kept = compiled(sources())
    (kept / compiling.READY).unlink()
    (kept / compiling.LIBRARY).write_bytes(b"half")
    assert product(compiled(sources(name="b"))) == 6.0
    assert len(counted) == 2


@pytest.mark.parametrize(
    "damage",
    [
        lambda kept: (kept / "weights" / "w2.txt").write_text(""),
        lambda kept: (kept / "weights" / "w2.txt").write_text("7"),
        lambda kept: (kept / "weights" / "w2.txt").unlink(),
        lambda kept: (kept / "emulation.so").write_bytes(b""),
        lambda kept: (kept / "emulation.so").unlink(),
    ],
)
def test_a_library_that_is_not_what_was_compiled_is_made_again(sources, counted, damage):
    kept = compiled(sources())
    damage(kept)
    assert product(compiled(sources(name="b"))) == 6.0
    assert len(counted) == 2


def test_where_there_are_no_locks_every_process_compiles_for_itself(sources, cache, monkeypatch):
    def refused(lock):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(filelock.FileLock, "_acquire", refused)
    kept = compiled(sources())
    assert product(kept) == 6.0
    assert kept.parent != cache
    assert not any(cache.iterdir())


def test_what_is_in_use_is_not_removed(sources, cache):
    kept = compiled(sources(1, name="a"))
    os.utime(kept / compiling.READY, (0, 0))
    with filelock.FileLock(cache / f"{kept.name}.lock"):
        compiled(sources(2, name="b"))
    assert kept.exists()
    compiled(sources(3, name="c"))
    assert not kept.exists()


def test_an_emulation_that_aborts_is_refused_and_not_kept(sources, cache):
    with pytest.raises(fkeras.UnsupportedError, match="gives up: exit code -6"):
        compiled(sources(more="std::abort();"))
    assert [path.suffix for path in cache.iterdir()] == [".lock"]


def test_what_gpp_says_is_passed_on(sources, cache, monkeypatch):
    folder = sources()
    compiling.digest_of(folder)
    done = subprocess.CompletedProcess([], 1, "", "note: x\nfirmware/a.cpp:7: error: no such type\n")
    monkeypatch.setattr(compiling.subprocess, "run", lambda *_, **__: done)
    with pytest.raises(fkeras.UnsupportedError, match=r"could not compile .*: firmware/a.cpp:7: error: no such type"):
        compiled(folder)
    assert [path.suffix for path in cache.iterdir()] == [".lock"]


def test_what_nobody_used_for_a_month_is_removed(sources):
    kept = [compiled(sources(weight, name=str(weight))) for weight in (1, 2)]
    for one in kept:
        os.utime(one / compiling.READY, (0, 0))
    compiled(sources(2, name="again"))
    compiled(sources(3, name="new"))
    assert [one.exists() for one in kept] == [False, True]


def test_a_cache_that_cannot_be_written_is_done_without(sources, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    kept = compiled(sources())
    assert product(kept) == 6.0
    assert compiled(sources(name="b")) == kept
    assert (tmp_path / "file").read_text() == ""


@pytest.mark.parametrize(
    ("name", "other"),
    [("_compiler_version", lambda: "g++ 99"), ("_FLAGS", ("-O0",)), ("_OPTIMIZATION", {}), ("_BATCH", "")],
)
def test_another_compiler_or_other_options_are_another_library(sources, monkeypatch, name, other):
    folder = sources()
    before = compiling.digest_of(folder)
    monkeypatch.setattr(compiling, name, other)
    assert compiling.digest_of(folder) != before
