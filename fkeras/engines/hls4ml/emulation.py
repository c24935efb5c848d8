"""hls4ml's C++ emulation of a graph: compiled once, its weights writable while it is loaded, and the words between its
layers readable otherwise.

The emulation keeps each weight array as a global C array, which it fills from text files at the first prediction; what
is written there afterwards is what it computes with. Several copies of the library work side by side in threads.
"""

from __future__ import annotations

import ctypes
import itertools
import os
import shutil
import tempfile
import weakref
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fkeras.engines.hls4ml.compiling import LIBRARY, compiled, write_sources
from fkeras.engines.hls4ml.convert import Conversion

KEPT = 4
"""Compiled emulations that a process keeps, the most recently used ones."""


@dataclass(frozen=True, slots=True)
class Write:
    """Words to hold instead of the fault-free ones. variable: name of the array; positions, codes: (m,) int64."""

    variable: str
    positions: NDArray[np.int64]
    codes: NDArray[np.int64]


READ = np.dtype([("sample", "<i8"), ("element", "<i8"), ("flips", "<u8"), ("ones", "<u8"), ("zeros", "<u8")])
"""How a word between layers is read: which of its bits flip, read 1 and read 0."""
EVERY = np.iinfo(np.int64).max
"""In place of a sample's number: all of them."""
PORT = "port "


@dataclass(frozen=True, slots=True)
class Reads:
    """How words at a boundary between layers are read. boundary: the name of the node whose result they are, or PORT
    and a number, of inputs and then outputs; reads: (m,) READ, ordered by sample."""

    boundary: str
    reads: NDArray[np.void]


Wrong = Write | Reads


class _Boundary(ctypes.Structure):
    _fields_ = (("name", ctypes.c_char_p), ("first", ctypes.c_void_p), ("last", ctypes.c_void_p))


@dataclass(frozen=True, slots=True)
class WeightArray:
    """A weight array of the emulation: number of words and their C type."""

    size: int
    dtype: np.dtype[Any]


def c_type(width: int, signed: bool) -> np.dtype[Any]:
    """How the emulation keeps a word: the smallest C integer that holds it."""
    size = next(size for size in (8, 16, 32, 64) if width <= size)
    return np.dtype(f"{'int' if signed else 'uint'}{size}")


class _Library:
    """One loaded copy of the compiled emulation."""

    def __init__(self, path: Path, input_sizes: Sequence[int], output_sizes: Sequence[int]) -> None:
        self._library = ctypes.CDLL(str(path), mode=os.RTLD_LOCAL | os.RTLD_NOW)
        self._batch = self._library.fkeras_batch
        self._batch.restype = None
        self._sizes = list(output_sizes)
        self.run([np.zeros((1, size)) for size in input_sizes])  # the first prediction reads the weights
        self.arrays: dict[str, NDArray[Any]] = {}

    def bind(self, arrays: Mapping[str, WeightArray]) -> None:
        """Make the weight arrays accessible under their names."""
        for name, array in arrays.items():
            memory = (ctypes.c_uint8 * (array.size * array.dtype.itemsize)).in_dll(self._library, name)
            self.arrays[name] = np.frombuffer(memoryview(memory), array.dtype)

    def run(self, inputs: Sequence[NDArray[np.float64]]) -> list[NDArray[np.float64]]:
        """The outputs for inputs of n samples, (n, size) float64 each."""
        n = len(inputs[0])
        outputs = [np.zeros((n, size)) for size in self._sizes]
        pointers = [array.ctypes.data_as(ctypes.c_void_p) for array in (*inputs, *outputs)]
        self._batch(ctypes.c_size_t(n), *pointers)
        return outputs

    @contextmanager
    def holding(self, wrong: Sequence[Wrong]) -> Iterator[None]:
        """Within the block the arrays hold other words, and others are read between layers; afterwards all is as
        before."""
        writes = [each for each in wrong if isinstance(each, Write)]
        reads = [each for each in wrong if isinstance(each, Reads)]
        boundaries = (_Boundary * len(reads))(*map(_boundary, reads))
        before = [self.arrays[write.variable][write.positions] for write in writes]
        try:
            for write in writes:
                self.arrays[write.variable][write.positions] = write.codes
            self._library.fkeras_read_through(boundaries, ctypes.c_size_t(len(reads)))
            yield
        finally:
            self._library.fkeras_read_through(None, ctypes.c_size_t(0))
            for write, words in zip(reversed(writes), reversed(before), strict=True):
                self.arrays[write.variable][write.positions] = words

    def traced(self, inputs: Sequence[NDArray[np.float64]], sizes: Mapping[str, int]) -> dict[str, NDArray[np.float64]]:
        """What each node with a result gives, by name; (n, size) float64 each."""

        class Traced(ctypes.Structure):
            _fields_ = (("name", ctypes.c_char_p), ("data", ctypes.c_void_p))

        buffers = (Traced * (len(sizes) + 1))()
        results = {name: np.zeros((len(inputs[0]), size)) for name, size in sizes.items()}
        self._library.allocate_trace_storage(ctypes.c_size_t(8))
        try:
            for sample in range(len(inputs[0])):
                self.run([np.ascontiguousarray(array[sample : sample + 1]) for array in inputs])
                self._library.collect_trace_output(buffers)
                for buffer in buffers[: len(sizes)]:
                    name = buffer.name.decode()
                    values = ctypes.cast(buffer.data, ctypes.POINTER(ctypes.c_double))
                    results[name][sample] = np.ctypeslib.as_array(values, (sizes[name],))
        finally:
            self._library.free_trace_storage()
        return results


class Emulation:
    """The compiled emulation of a conversion; `run` is safe from several threads.

    kept: the folder of its library; arrays: its weight arrays by name, of the nodes whose words have a C integer type.
    """

    def __init__(self, conversion: Conversion, kept: Path) -> None:
        graph = conversion.graph
        self._kept = kept
        self._copies = Path(tempfile.mkdtemp(prefix="fkeras_hls4ml_"))
        weakref.finalize(self, shutil.rmtree, self._copies, ignore_errors=True)
        self.input_sizes = [int(variable.size()) for variable in graph.get_input_variables()]
        self.output_shapes = [tuple(int(n) for n in variable.shape) for variable in graph.get_output_variables()]
        self.trace_sizes = _trace_sizes(graph)
        self.arrays = _arrays(graph)
        self._idle: SimpleQueue[_Library] = SimpleQueue()
        self._numbers = itertools.count(1)
        self.golden = self._golden()

    @property
    def workers(self) -> int:
        """How many copies of the library work at a time."""
        cores = len(os.sched_getaffinity(0))
        stated = os.environ.get("OMP_NUM_THREADS", "")
        return min(cores, int(stated)) if stated.isdecimal() and int(stated) else cores

    def _load(self) -> _Library:
        path = self._copies / f"copy_{next(self._numbers)}.so"  # a library is loaded once per file
        shutil.copy(self._kept / LIBRARY, path)
        library = _Library(path, self.input_sizes, [int(np.prod(shape)) for shape in self.output_shapes])
        library.bind(self.arrays)
        return library

    def _golden(self) -> dict[str, NDArray[np.int64]]:
        with self._borrowed() as library:
            return {name: array.astype(np.int64) for name, array in library.arrays.items()}

    @contextmanager
    def _borrowed(self) -> Iterator[_Library]:
        try:
            library = self._idle.get_nowait()
        except Empty:
            library = self._load()
        try:
            yield library
        finally:
            self._idle.put(library)

    def words(self) -> list[dict[str, NDArray[np.int64]]]:
        """What each idle copy of the library holds now: the golden words, whatever was run before."""
        libraries = [self._idle.get() for _ in range(self._idle.qsize())]
        for library in libraries:
            self._idle.put(library)
        return [{name: array.astype(np.int64) for name, array in one.arrays.items()} for one in libraries]

    def run(self, inputs: Sequence[NDArray[Any]], wrong: Sequence[Wrong] = ()) -> list[NDArray[np.float32]]:
        """The outputs, (n, ...) float32 each, while words are `wrong`."""
        (outputs,) = self.run_all(inputs, [wrong])
        return outputs

    def run_all(
        self, inputs: Sequence[NDArray[Any]], each: Sequence[Sequence[Wrong]]
    ) -> list[list[NDArray[np.float32]]]:
        """The outputs under each of several sets of wrong words, as many at a time as there are processor cores."""
        flat = self._flat(inputs)

        def one(task: tuple[_Library, Sequence[Wrong]]) -> tuple[_Library, list[NDArray[np.float32]]]:
            library, wrong = task
            with library.holding(wrong):
                return library, self._shaped(library.run(flat))

        results: list[list[NDArray[np.float32]]] = []
        n_workers = min(self.workers, len(each))
        libraries = [self._load() if self._idle.empty() else self._idle.get() for _ in range(n_workers)]
        try:
            with ThreadPoolExecutor(n_workers) as pool:
                for start in range(0, len(each), n_workers):
                    tasks = zip(libraries, each[start : start + n_workers], strict=False)
                    results += [outputs for _, outputs in pool.map(one, tasks)]
        finally:
            for library in libraries:
                self._idle.put(library)
        return results

    def traced(self, inputs: Sequence[NDArray[Any]], wrong: Sequence[Wrong] = ()) -> dict[str, NDArray[np.float64]]:
        """What each node gives, by name; (n, size) float64 each."""
        with self._borrowed() as library, library.holding(wrong):
            return library.traced(self._flat(inputs), self.trace_sizes)

    def _flat(self, inputs: Sequence[NDArray[Any]]) -> list[NDArray[np.float64]]:
        return [
            np.ascontiguousarray(np.asarray(array, np.float64).reshape(len(array), size))
            for array, size in zip(inputs, self.input_sizes, strict=True)
        ]

    def _shaped(self, outputs: Sequence[NDArray[np.float64]]) -> list[NDArray[np.float32]]:
        return [
            array.astype(np.float32).reshape(len(array), *shape)
            for array, shape in zip(outputs, self.output_shapes, strict=True)
        ]


def _boundary(each: Reads) -> _Boundary:
    first = each.reads.ctypes.data
    return _Boundary(each.boundary.encode(), first, first + each.reads.nbytes)


_kept: OrderedDict[Path, Emulation] = OrderedDict()


def emulation_of(conversion: Conversion, folder: Path) -> Emulation:
    """The emulation of a conversion whose output directory is `folder`; one for the same sources."""
    write_sources(conversion)
    graph = conversion.graph
    sizes = [
        [int(variable.size()) for variable in variables]
        for variables in (graph.get_input_variables(), graph.get_output_variables())
    ]
    library_folder = compiled(folder, str(graph.config.get_config_value("IOType")), *sizes)
    if library_folder not in _kept:
        _kept[library_folder] = Emulation(conversion, library_folder)
    _kept.move_to_end(library_folder)
    while len(_kept) > KEPT:
        _kept.popitem(last=False)
    return _kept[library_folder]


def _trace_sizes(graph: Any) -> dict[str, int]:
    return {
        node.name: int(node.get_output_variable().size())
        for node in graph.get_layers()
        if node.get_attr("function_cpp", None)
    }


def _arrays(graph: Any) -> dict[str, WeightArray]:
    arrays = {}
    for node in graph.get_layers():
        for variable in node.get_weights():
            width, signed = (
                getattr(variable.type.precision, "width", 0),
                getattr(variable.type.precision, "signed", True),
            )
            if variable.weight_class in ("WeightVariable",) and 1 <= width <= 64:
                arrays[variable.name] = WeightArray(int(variable.data_length), c_type(width, signed))
    return arrays
