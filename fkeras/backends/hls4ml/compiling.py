"""From hls4ml's graph to a shared library: its sources, one loop over the samples, and g++."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from fkeras.backends.hls4ml.convert import PROJECT, Conversion
from fkeras.backends.hls4ml.setup import compiler, quiet
from fkeras.errors import FkerasError, UnsupportedError

LIBRARY = "emulation.so"
_OPTIMIZATION = {"io_parallel": "-O1", "io_stream": "-O3"}
"""Unrolled layers take g++ twice as long at -O3 and run no faster; streams run 15 % faster."""
_FLAGS = ("-fPIC", "-shared", "-std=c++17", "-fno-gnu-unique", "-w", "-Ifirmware/ap_types", "-I.")
_BATCH = """\
#include "firmware/{project}.cpp"
#include "{project}_bridge.cpp"
#include <cstddef>
extern "C" void fkeras_batch(size_t n_samples, {parameters}) {{
    for (size_t i = 0; i < n_samples; i++) {project}_double({arguments});
}}
"""


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


def digest_of(path: Path) -> str:
    """SHA-256 of what the library is made of."""
    digest = hashlib.sha256()
    sources = [*path.glob("*_bridge.cpp"), *path.glob("firmware/*.cpp"), *path.glob("firmware/*.h")]
    for file in sorted([*sources, *path.glob("firmware/weights/*.txt"), path / "firmware/nnet_utils/nnet_code_gen.h"]):
        digest.update(file.name.encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()


def compile_library(folder: Path, io_type: str, input_sizes: Sequence[int], output_sizes: Sequence[int]) -> None:
    """Compile the sources in `folder` into its LIBRARY. UnsupportedError with g++\'s first error."""
    names = [f"x{i}" for i in range(len(input_sizes))] + [f"y{i}" for i in range(len(output_sizes))]
    source = _BATCH.format(
        project=PROJECT,
        parameters=", ".join(f"double *{name}" for name in names),
        arguments=", ".join(
            f"{name} + i * {size}" for name, size in zip(names, (*input_sizes, *output_sizes), strict=True)
        ),
    )
    (folder / "batch.cpp").write_text(source)
    weights = f'-DWEIGHTS_DIR="{folder / "firmware" / "weights"}"'
    command = [compiler(), _OPTIMIZATION.get(io_type, "-O3"), *_FLAGS, weights, "batch.cpp", "-o", LIBRARY]
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
