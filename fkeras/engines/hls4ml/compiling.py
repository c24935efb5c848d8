"""From hls4ml's graph to a shared library: its sources, hooks between its layers, one loop over the samples, and g++.

Libraries are kept in the user's cache, named by the digest of all that they are made of, so that of many processes and
runs one compiles. Those that nobody has used for a month are removed.
"""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

import numpy as np

from fkeras.engines.hls4ml.convert import PROJECT, Conversion
from fkeras.engines.hls4ml.setup import compiler, quiet
from fkeras.errors import FkerasError, UnsupportedError

LIBRARY = "emulation.so"
WEIGHTS, READY = "weights", "ready"
UNUSED_SECONDS = 30 * 24 * 3600
"""A library that was not used for so long is removed when another one is compiled."""
_OPTIMIZATION = {"io_parallel": "-O1", "io_stream": "-O3"}
"""Unrolled layers take g++ twice as long at -O3 and run no faster; streams run 15 % faster."""
_FLAGS = ("-fPIC", "-shared", "-std=c++17", "-fno-gnu-unique", "-w", "-Ifirmware/ap_types", "-I.")
_BATCH = """\
#include "firmware/{project}.h"
#include "firmware/parameters.h"
#include "firmware/nnet_utils/nnet_helpers.h"
#include <algorithm>
#include <cstdint>
#include <string>
#include <type_traits>
#include <vector>

namespace hooks {{
const int64_t EVERY = INT64_MAX;
struct Read {{ int64_t sample, element; uint64_t flips, ones, zeros; }};  // ordered by sample, those of EVERY last
struct Boundary {{ const char *name; const Read *first, *last; }};
const Boundary *boundaries = nullptr;
size_t n_boundaries = 0;
int64_t sample = 0;
int n_converted = 0;

template <class T> auto read(T &value, const Read &as) -> decltype(value.range(), void()) {{
    value.range() = ap_uint<64>(((value.range().to_uint64() ^ as.flips) | as.ones) & ~as.zeros);
}}
void read(...) {{}}

template <class T> void through(const std::string &name, T *values) {{
    for (const Boundary *at = boundaries; at != boundaries + n_boundaries; at++) {{
        if (name != at->name) continue;
        for (int64_t number : {{sample, EVERY}}) {{
            auto before = [](const Read &as, int64_t other) {{ return as.sample < other; }};
            auto as = std::lower_bound(at->first, at->last, number, before);
            for (; as != at->last && as->sample == number; as++) read(values[as->element], *as);
        }}
    }}
}}

template <class T> void through(const std::string &name, hls::stream<T> &packs) {{
    if (n_boundaries == 0) return;
    std::vector<typename T::value_type> values;
    while (!packs.empty()) {{
        T pack = packs.read();
        for (size_t j = 0; j < T::size; j++) values.push_back(pack[j]);
    }}
    through(name, values.data());
    for (size_t i = 0; i < values.size(); i += T::size) {{
        T pack;
        for (size_t j = 0; j < T::size; j++) pack[j] = values[i + j];
        packs.write(pack);
    }}
}}
}} // namespace hooks

namespace nnet {{
template <class T, class Values> void fkeras_layer_output(Values &&values, const char *name, size_t size) {{
    hooks::through(name, values);
    save_layer_output<T>(values, name, size);
}}

template <class From, class To, size_t SIZE, class Source, class Target>
void fkeras_convert_data(Source &&source, Target &&target) {{
    const std::string port = "port " + std::to_string(hooks::n_converted++);
    if constexpr (!std::is_floating_point<From>::value) hooks::through(port, source);
    convert_data<From, To, SIZE>(source, target);
    if constexpr (std::is_floating_point<From>::value) hooks::through(port, target);
}}
}} // namespace nnet

#define save_layer_output fkeras_layer_output
#define convert_data fkeras_convert_data
#include "firmware/{project}.cpp"
#include "{project}_bridge.cpp"

extern "C" void fkeras_read_through(const hooks::Boundary *boundaries, size_t n) {{
    hooks::boundaries = boundaries;
    hooks::n_boundaries = n;
}}

extern "C" void fkeras_batch(size_t n_samples, {parameters}) {{
    for (size_t i = 0; i < n_samples; i++) {{
        hooks::sample = i;
        hooks::n_converted = 0;
        {project}_double({arguments});
    }}
}}
"""
"""hls4ml hands what each layer makes to save_layer_output, and what comes in and goes out to convert_data: there words
are read wrongly. Samples' own flips come before what is wrong in every sample, where a stuck bit wins."""


def write_sources(conversion: Conversion) -> None:
    """Let hls4ml write its project, with every layer's result traceable."""
    graph = conversion.graph
    graph.config.trace_output = True
    for node in graph.get_layers():
        node.set_attr("trace", True)
    try:
        with quiet(), _numpy_product():
            graph.write()
    except Exception as error:
        raise FkerasError(f"hls4ml could not write its project: {type(error).__name__}: {error}") from error


@contextmanager
def _numpy_product() -> Iterator[None]:
    """hls4ml 1.3 writes power-of-two weights with numpy.product, which numpy 2 no longer has; lent for the block."""
    if hasattr(np, "product"):
        yield
        return
    np.product = np.prod  # type: ignore[attr-defined]
    try:
        yield
    finally:
        del np.product  # type: ignore[attr-defined]


def compiled(folder: Path, io_type: str, input_sizes: Sequence[int], output_sizes: Sequence[int]) -> Path:
    """The folder of the library made of the sources in `folder`: compiled now, unless somebody has done it before.

    UnsupportedError with g++'s first error, or with what the emulation says where it gives up.
    """
    home, name = _home(), digest_of(folder)
    with _alone(home, name) as held:
        if not held:
            home = _folder_of_this_process()
        library_folder = home / name
        if not _is_whole(library_folder):
            shutil.rmtree(library_folder, ignore_errors=True)
            _remove_unused(home)
            library_folder.mkdir()
            try:
                shutil.copytree(folder / "firmware" / "weights", library_folder / WEIGHTS)
                compile_library(folder, library_folder, io_type, input_sizes, output_sizes)
                try_out(library_folder / LIBRARY, [*input_sizes, *output_sizes])
                (library_folder / READY).write_text(_content_digest(library_folder))
            except BaseException:
                shutil.rmtree(library_folder, ignore_errors=True)
                raise
        os.utime(library_folder / READY)
    return library_folder


@contextmanager
def _alone(home: Path, name: str, wait: bool = True) -> Iterator[bool]:
    """Whether nobody else is at this library within the block; False where there are no file locks, or without `wait`
    where somebody is."""
    from filelock import FileLock, Timeout

    lock = FileLock(home / f"{name}.lock", blocking=wait, fallback_to_soft=False)
    try:
        lock.acquire()
    except (Timeout, OSError, NotImplementedError):
        yield False
        return
    try:
        yield True
    finally:
        lock.release()


def _is_whole(library_folder: Path) -> bool:
    """Whether the library and its weights are what was compiled: a disk that was full, or somebody who cleans up, may
    have left a part, and faults would be measured on another network."""
    with suppress(OSError, UnicodeDecodeError):
        return (library_folder / READY).read_text() == _content_digest(library_folder)
    return False


def _content_digest(library_folder: Path) -> str:
    digest = hashlib.sha256()
    for file in [library_folder / LIBRARY, *sorted((library_folder / WEIGHTS).iterdir())]:
        content = file.read_bytes()
        digest.update(f"{file.name} {len(content)}\n".encode() + content)
    return digest.hexdigest()


def _home() -> Path:
    """Where libraries are kept: the user's cache, or a folder of this process where that cannot be written."""
    from platformdirs import user_cache_path

    home: Path = user_cache_path("pytest-fkeras") / "hls4ml"
    with suppress(OSError):
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        if os.access(home, os.W_OK | os.X_OK) and home.stat().st_uid == os.getuid():
            return home
    return _folder_of_this_process()


@cache
def _folder_of_this_process() -> Path:
    import atexit

    folder = Path(tempfile.mkdtemp(prefix="fkeras_hls4ml_"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def _remove_unused(home: Path) -> None:
    for ready in home.glob(f"*/{READY}"):
        with suppress(OSError):
            if time.time() - ready.stat().st_mtime < UNUSED_SECONDS:
                continue
            with _alone(home, ready.parent.name, wait=False) as held:
                # Somebody may have taken it into use meanwhile.
                if held and time.time() - ready.stat().st_mtime > UNUSED_SECONDS:
                    ready.unlink()
                    shutil.rmtree(ready.parent)


def digest_of(folder: Path) -> str:
    """SHA-256 of what the library is made of: sources, weights, compiler and kind of machine."""
    digest = hashlib.sha256(f"{_compiler_version()} {_OPTIMIZATION} {_FLAGS} {_BATCH} {platform.machine()}".encode())
    sources = [*folder.glob("*_bridge.cpp"), *(file for file in folder.glob("firmware/**/*") if file.is_file())]
    for file in sorted(sources):
        content = file.read_bytes()
        digest.update(f"{file.relative_to(folder).as_posix()} {len(content)}\n".encode() + content)
    return digest.hexdigest()


@cache
def _compiler_version() -> str:
    done = subprocess.run([compiler(), "--version"], capture_output=True, text=True, check=False)
    return done.stdout


def compile_library(
    folder: Path, library_folder: Path, io_type: str, input_sizes: Sequence[int], output_sizes: Sequence[int]
) -> None:
    """Compile the sources in `folder` into the LIBRARY in `library_folder`, which reads its weights there."""
    names = [f"x{i}" for i in range(len(input_sizes))] + [f"y{i}" for i in range(len(output_sizes))]
    source = _BATCH.format(
        project=PROJECT,
        parameters=", ".join(f"double *{name}" for name in names),
        arguments=", ".join(
            f"{name} + i * {size}" for name, size in zip(names, (*input_sizes, *output_sizes), strict=True)
        ),
    )
    (folder / "batch.cpp").write_text(source)
    weights = f'-DWEIGHTS_DIR="{library_folder / WEIGHTS}"'
    library = str(library_folder / LIBRARY)
    command = [compiler(), _OPTIMIZATION.get(io_type, "-O3"), *_FLAGS, weights, "batch.cpp", "-o", library]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise UnsupportedError(
            f"g++ could not compile hls4ml's emulation of this model: {_first_error(done.stderr)}; the configuration "
            "may combine what hls4ml does not support (try another IOType or Strategy)"
        )


def try_out(library: Path, sizes: Sequence[int]) -> None:
    """One prediction in a process of its own: what hls4ml does not support it may only find out here, and abort."""
    program = (
        "import ctypes, sys\n"
        "memory = [(ctypes.c_double * int(size))() for size in sys.argv[2:]]\n"
        "ctypes.CDLL(sys.argv[1]).fkeras_batch(ctypes.c_size_t(1), *memory)\n"
    )
    command = [sys.executable, "-I", "-S", "-c", program, str(library), *map(str, sizes)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        said = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
        raise UnsupportedError(
            f"hls4ml's emulation of this model gives up: {said[max(0, said.find('Assertion')) :][:300]} The "
            "configuration may combine what hls4ml does not support (try another IOType or Strategy)"
        )


def _first_error(text: str) -> str:
    lines = [line for line in text.splitlines() if "error" in line.lower()] or text.splitlines() or ["no message"]
    return lines[0][:300]
