"""`.fkn` files: a network as an npz without pickles, a JSON text in front (`docs/network.md` describes it).

A file may come from anywhere: what it takes is known before memory is taken for it, and what it computes on the
samples that it brings along must be what it says.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import zipfile
import zlib
from collections.abc import Sequence
from math import prod
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from fkeras.errors import FkerasError, ModelError
from fkeras.files import replacing, require_regular_file
from fkeras.network import OPERATIONS, Einsum
from fkeras.network.content import Array, array_digest, canonical, content_of, network_of_content
from fkeras.network.fit import golden_misfit
from fkeras.network.network import Network, Node
from fkeras.network.operation import Shape
from fkeras.network.windows import pads
from fkeras.npz import memory_bytes

SUFFIX = ".fkn"
VERSION = 1
"""Raised when older versions of fkeras would read a file wrongly."""
_FORMAT = "fkeras-network"
_HEADER = "network.json"
_MOST_TEXT = 64 * 2**20
"""Bytes of the JSON; a network of 10,000 nodes takes about four million."""
_SMALL, _MOST_PACKED = 64 * 2**20, 64
"""What the arrays may take once unpacked: so many bytes, and so many times the file."""
_MOST_WORK = 2**40
"""Multiplications in the samples that a file brings along."""
_MAKE_AGAIN = "make it again with `fkeras export MODEL --output FILE.fkn`"
_DAMAGES = (OSError, EOFError, KeyError, ValueError, RuntimeError, MemoryError, zipfile.BadZipFile, zlib.error)


def write_network(
    network: Network, path: str | os.PathLike[str], source: str = "", samples: Sequence[NDArray[Any]] | None = None
) -> None:
    """Write a network as an `.fkn` file, whole or not at all.

    source, samples: as of `network_bytes`. ModelError for a network that could not be read again.
    """
    content = network_bytes(network, source, samples)
    with replacing(Path(path)) as file:
        file.write(content)


def network_bytes(network: Network, source: str = "", samples: Sequence[NDArray[Any]] | None = None) -> bytes:
    """An `.fkn` file; the same network gives the same bytes.

    source: digest of the model file that it describes, "" without one; samples: inputs, (n, *shape) each, on which
    readers compare what it computes; a few of a fixed random stream unless given.
    ModelError for a network that could not be read again.
    """
    arrays: list[Array] = []

    def put(array: Array) -> int:
        arrays.append(array)
        return len(arrays) - 1

    content = content_of(network, put)
    given = random_samples(network) if samples is None else samples
    inputs = [np.asarray(x, part.dtype) for part, x in zip(network.inputs, given, strict=True)]
    _require_affordable(network, len(inputs[0]))
    golden = {"inputs": [put(x) for x in inputs], "outputs": [put(y) for y in network(inputs)]}
    network_of_content(content, lambda number, _: arrays[number], OPERATIONS)
    header = {
        "format": _FORMAT,
        "version": VERSION,
        "source": source,
        "digest": network.digest,
        "network": content,
        "golden": golden,
        "arrays": [array_digest(array) for array in arrays],
    }
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w", zipfile.ZIP_DEFLATED) as archive:
        _add(archive, _HEADER, canonical(header).encode())
        for number, array in enumerate(arrays):
            stream = io.BytesIO()
            np.lib.format.write_array(stream, np.ascontiguousarray(array, array.dtype.newbyteorder("<")))
            _add(archive, _member(number), stream.getvalue())
    return whole.getvalue()


def read_network(path: str | os.PathLike[str]) -> Network:
    """The network in an `.fkn` file.

    InputError for a path that names no regular file, ModelError for one that is no such file, is damaged, or does not
    compute what it says; nothing of it is kept then.
    """
    file = require_regular_file(path, "network")
    try:
        with _Archive(file) as archive:
            header = archive.header
            network = network_of_content(header["network"], archive.array, OPERATIONS)
            if network.digest != header["digest"]:
                raise ModelError(f"does not hold the network that it was written with; {_MAKE_AGAIN}")
            _require_golden(network, header["golden"], archive)
    except FkerasError as error:
        raise error.within(f"{file}: ") from error.__cause__
    except _DAMAGES as error:
        _damaged(file, error)
    return network


def is_network_file(path: str | os.PathLike[str]) -> bool:
    """Whether a path names an `.fkn` file, or claims to."""
    file = Path(path)
    if file.suffix == SUFFIX:
        return True
    if not file.is_file():
        return False
    with file.open("rb") as stream:
        return re.match(rb"PK\x03\x04.{26}network\.json", stream.read(64), re.DOTALL) is not None


def source_of(path: str | os.PathLike[str]) -> str:
    """The digest of the model file that an `.fkn` file was made of, "" where it does not say; errors as of reading."""
    file = require_regular_file(path, "network")
    try:
        with _Archive(file) as archive:
            return str(archive.header.get("source", ""))
    except FkerasError as error:
        raise error.within(f"{file}: ") from error.__cause__
    except _DAMAGES as error:
        _damaged(file, error)


def file_digest(path: str | os.PathLike[str]) -> str:
    """SHA-256 of the bytes of a file."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def require_source_unchanged(path: str | os.PathLike[str]) -> None:
    """ModelError where an `.fkn` file was made of another model file than stands beside it under the same name."""
    file = Path(path)
    beside = [other for suffix in _MODELS if (other := file.with_suffix(suffix)).is_file()]
    source = source_of(file) if beside else ""
    if source and source not in map(file_digest, beside):
        raise ModelError(
            f"{file} was made of another {beside[0].name} than stands beside it: the model has changed since; make it "
            f"again with `fkeras export {beside[0]} --output {file}`, or keep them under different names"
        )


_MODELS = (".h5", ".keras")


class _Archive:
    """An `.fkn` file that is open for reading."""

    def __init__(self, file: Path) -> None:
        self._archive = zipfile.ZipFile(file)
        try:
            self._most = min(_SMALL + _MOST_PACKED * file.stat().st_size, memory_bytes())
            self._sizes = {member.filename: member.file_size for member in self._archive.infolist()}
            self.header = self._read_header()
            total = sum(size for name, size in self._sizes.items() if name != _HEADER)
            if total > self._most:
                raise ModelError(
                    f"its arrays take {total:,} bytes once unpacked, more than a file of this size may; {_MAKE_AGAIN}"
                )
        except BaseException:
            self._archive.close()
            raise

    def __enter__(self) -> _Archive:
        return self

    def __exit__(self, *error: object) -> None:
        self._archive.close()

    def _read_header(self) -> dict[str, Any]:
        if _HEADER not in self._sizes:
            raise ModelError(f"is no network file: it has no {_HEADER}; {_MAKE_AGAIN}")
        if self._sizes[_HEADER] > _MOST_TEXT:
            raise ModelError(f"its {_HEADER} takes {self._sizes[_HEADER]:,} bytes; allowed are {_MOST_TEXT:,}")
        header = json.loads(self._archive.read(_HEADER), parse_constant=_no_number)
        if not isinstance(header, dict) or header.get("format") != _FORMAT:
            raise ModelError(f"is no network file: its {_HEADER} does not say so; {_MAKE_AGAIN}")
        version = header.get("version")
        if version != VERSION:
            raise ModelError(
                f"has version {str(version)[:20]} of the format, and this fkeras reads version {VERSION}; update "
                f"fkeras (pip install -U pytest-fkeras), or {_MAKE_AGAIN} here"
            )
        missing = {"source", "digest", "network", "golden", "arrays"} - set(header)
        if missing or not isinstance(header["arrays"], list):
            raise ModelError(f"its {_HEADER} lacks {', '.join(sorted(missing)) or 'the arrays'}; {_MAKE_AGAIN}")
        return header

    def array(self, number: Any, shape: Shape | None) -> Array:
        """An array; None: whatever its shape is."""
        digests = self.header["arrays"]
        if not isinstance(number, int) or not 0 <= number < len(digests):
            raise ModelError(f"speaks of an array {str(number)[:20]}, and has {len(digests)} arrays; {_MAKE_AGAIN}")
        name = _member(number)
        if name not in self._sizes:
            raise ModelError(f"its array {name} is missing; {_MAKE_AGAIN}")
        content = self._archive.read(name)
        stream = io.BytesIO(content)
        try:
            np.lib.format.read_magic(stream)
            there, in_columns, dtype = np.lib.format.read_array_header_1_0(stream)
        except ValueError as error:
            raise ModelError(f"its array {name} is damaged ({error}); {_MAKE_AGAIN}") from error
        start = stream.tell()
        if dtype.hasobject or dtype.kind not in "biuf" or in_columns:
            raise ModelError(f"its array {name} holds {dtype}; allowed are plain numbers; {_MAKE_AGAIN}")
        if shape is not None and there != shape:
            raise ModelError(f"its array {name} has shape {there}, expected {shape}; {_MAKE_AGAIN}")
        if prod(there) * dtype.itemsize != len(content) - start:
            raise ModelError(f"its array {name} is damaged; {_MAKE_AGAIN}")
        array = np.frombuffer(content, dtype, offset=start).reshape(there)
        if array_digest(array) != digests[number]:
            raise ModelError(f"its array {name} has another digest than was written with it; {_MAKE_AGAIN}")
        return array.astype(dtype.newbyteorder("="))


def _add(archive: zipfile.ZipFile, name: str, content: bytes) -> None:
    info = zipfile.ZipInfo(name)  # of no date, so that the bytes are the same tomorrow
    info.compress_type, info.external_attr = zipfile.ZIP_DEFLATED, 0o644 << 16
    archive.writestr(info, content)


def _member(number: int) -> str:
    return f"array{number}.npy"


def _no_number(text: str) -> NoReturn:
    raise ModelError(f"its {_HEADER} holds {text}, which JSON has not; {_MAKE_AGAIN}")


def _damaged(file: Path, error: Exception) -> NoReturn:
    first = (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
    raise ModelError(f"{file}: is damaged or no network file ({first}); {_MAKE_AGAIN}") from error


def random_samples(network: Network) -> list[Array]:
    """A few samples of a fixed random stream, between 0 and 1 or of small whole numbers."""
    stream = np.random.Generator(np.random.PCG64(0))
    return [
        (stream.integers(0, 256, (4, *part.shape)) / (1 if part.dtype != "float32" else 256)).astype(part.dtype)
        for part in network.inputs
    ]


def _require_golden(network: Network, golden: Any, archive: _Archive) -> None:
    """ModelError unless the network computes on the file's samples what the file says."""
    inputs = [archive.array(number, None) for number in golden["inputs"]]
    expected = [archive.array(number, None) for number in golden["outputs"]]
    n = len(inputs[0]) if inputs and inputs[0].ndim else 0
    if not n or [x.shape for x in inputs] != [(n, *part.shape) for part in network.inputs]:
        raise ModelError(f"its samples do not fit the network's inputs; {_MAKE_AGAIN}")
    _require_affordable(network, n)
    try:
        misfit = golden_misfit(network, inputs, expected)
    except Exception as error:
        raise ModelError(f"its network cannot be computed ({type(error).__name__}: {error})") from error
    if misfit is not None:
        raise ModelError(
            f"output '{misfit.node}' of its samples is not what the file says that it is: the file is damaged, or this "
            f"version of fkeras computes something else; {_MAKE_AGAIN}"
        )


def _require_affordable(network: Network, n: int) -> None:
    """ModelError for a network whose tensors of n samples do not fit into the memory, or that takes for ever."""
    parameters = {name: value.shape for name, value in network.constants.items()}
    parameters |= {path: tensor.shape for path, tensor in network.tensors.items()}
    kept, most, work = sum(prod(shape) for shape in network.shapes.values()), 0, 0
    for node in network.nodes:
        within, terms = _inside(node, network, parameters)
        most, work = max(most, within), work + terms
    if 8 * n * (kept + 2 * most) > memory_bytes() or n * work > _MOST_WORK:
        raise ModelError(
            f"network '{network.name}' takes {8 * (kept + 2 * most):,} bytes and {work:,} multiplications a sample, "
            "more than this machine has or a network needs"
        )


def _inside(node: Node, network: Network, parameters: dict[str, Shape]) -> tuple[int, int]:
    """How many numbers a node takes within it, and how many multiplications."""
    given, result = network.shapes[node.inputs[0]], network.shapes[node.name]
    operation: Any = node.operation
    kernel = parameters.get(getattr(operation, "kernel", ""), ())
    if not hasattr(operation, "strides"):
        summed = kernel[:1]
        if isinstance(operation, Einsum):
            _, held, written = operation.axes
            summed = tuple(n for n, axis in zip(kernel, held, strict=True) if axis not in written)
        return prod(result) + prod(given), prod(result) * prod(summed)
    window = tuple(getattr(operation, "size", kernel[:-2]))
    dilation = getattr(operation, "dilation", (1,) * len(window))
    lengths = getattr(operation, "lengths", given[:-1])
    around = pads(lengths, window, operation.strides, dilation, operation.padding)
    padded = prod(n + sum(both) for n, both in zip(lengths, around, strict=True)) * given[-1]
    reached = prod(n * s for n, s in zip(given[:-1], operation.strides, strict=True)) * max(given[-1], result[-1])
    windows = prod(window) * max(prod(result[:-1]), prod(given[:-1])) * given[-1]
    return padded + reached + windows, windows * result[-1]
