"""A model file: opened once, its format decided by its first bytes, so that what is checked is what is loaded.

Nothing outside the file is opened, and nothing is read that the file's size does not account for.
"""

from __future__ import annotations

import io
import json
import mmap
import os
import posixpath
import zipfile
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fkeras.errors import Argument, FkerasError, InputError, ModelError
from fkeras.files import require_regular_file

KINDS = ("a .h5 or .keras model, or an architecture .json with ", Argument("weights"))

_HDF5, _ZIP = b"\x89HDF\r\n\x1a\n", b"PK\x03\x04"
_HEAP = b"GCOL\x01\0\0\0"
_MOST_TEXT = 8 * 2**20
"""Bytes of a configuration; that of a network of 1,000 layers takes about one million."""
_SMALL = 64 * 2**20
_MOST_PACKED = 32
"""Keras packs nothing; whoever does it to a pruned network's numbers gains less than this."""


@dataclass(frozen=True)
class ModelFile:
    """What a file holds, as data; nothing of it is built.

    path: the file; keras: the version of Keras that wrote it, None if it does not say; config: the architecture, None
    where there are weights alone; weights: the open HDF5 file or group of the numbers, None for an architecture alone;
    numbers: how many there are; archive: the open `.keras` file, None for the other formats.
    """

    path: Path
    keras: str | None = None
    config: Any = None
    weights: Any = None
    numbers: int = 0
    archive: zipfile.ZipFile | None = None


def open_model_file(path: str | os.PathLike[str], what: str, stack: ExitStack) -> ModelFile:
    """What the file at `path` holds, open until `stack` is closed.

    what: what the file is to the user, "model" or "weight".
    InputError for a path that names no regular file, ModelError for a file that holds no model, or not what it says.
    """
    if Path(path).is_dir():
        saved = " (a SavedModel must be saved again as .h5)"
        raise InputError(f"{path}: is a directory; allowed are ", *KINDS, saved)
    file = require_regular_file(path, what)
    try:
        stream = stack.enter_context(file.open("rb"))
        start = stream.read(256).lstrip(b" \t\r\n")
        size = stream.seek(0, os.SEEK_END)
        stream.seek(0)
        if start.startswith(_HDF5):
            return _of_hdf5(file, stream, size, stack)
        if start.startswith(_ZIP):
            return _of_archive(file, stream, size, stack)
        if start[:1] in (b"{", b"["):
            text = stream.read(_MOST_TEXT + 1)
            config = _parsed(text)
            return ModelFile(file, _version(config, text), config)
    except FkerasError as error:
        raise error.within(f"{file}: ") from error.__cause__
    except Exception as error:  # h5py, zipfile and json raise whatever a damaged file makes them stumble over
        damaged = f"{file}: is damaged or no model file ({first_line(error)}); allowed are "
        raise ModelError(damaged, *KINDS) from error
    raise ModelError(f"{file}: is no model file; allowed are ", *KINDS)


def first_line(error: BaseException, after: str = "") -> str:
    """An error's message, short enough for ours; of what it holds `after` a text, if that is in it."""
    text = str(error)
    if after:
        text = text.rpartition(after)[2]
    return (text.strip().splitlines() or [type(error).__name__])[0][:300]


def _version(architecture: Any, text: bytes) -> str | None:
    """The Keras that wrote a JSON; Keras 3 leaves no version, but classes of its own."""
    version = architecture.get("keras_version") if isinstance(architecture, dict) else None
    if version is None and (b'"DTypePolicy"' in text or b'"keras.src.models' in text):
        return "3"
    return None if version is None else str(version)


def _of_hdf5(file: Path, stream: Any, size: int, stack: ExitStack) -> ModelFile:
    content, numbers = _checked(stream, size, stack)
    config = content.attrs.get("model_config")
    version = content.attrs.get("keras_version")
    return ModelFile(
        file, None if version is None else _text(version), None if config is None else _parsed(config), content, numbers
    )


def _of_archive(file: Path, stream: Any, size: int, stack: ExitStack) -> ModelFile:
    archive = stack.enter_context(zipfile.ZipFile(stream))
    version = _parsed(_member(archive, "metadata.json", _MOST_TEXT)).get("keras_version")
    config = _parsed(_member(archive, "config.json", _MOST_TEXT))
    if version is not None and not str(version).startswith("2."):
        return ModelFile(file, str(version), config)
    weights = io.BytesIO(_member(archive, "model.weights.h5", _most_bytes(size)))
    content, numbers = _checked(weights, len(weights.getbuffer()), stack)
    return ModelFile(file, None if version is None else str(version), config, content, numbers, archive)


def _member(archive: zipfile.ZipFile, name: str, most: int) -> bytes:
    declared = archive.getinfo(name).file_size
    if declared > most:
        raise ModelError(f"its {name} takes {declared:,} bytes once unpacked; allowed are {most:,}: {_TOO_LARGE}")
    return archive.read(name)  # no more than is declared, whatever there is


def _most_bytes(size: int) -> int:
    return _SMALL + _MOST_PACKED * size


_TOO_LARGE = "save the model again with model.save, which packs nothing"


def _text(value: Any) -> str:
    if isinstance(value, bytes):
        return value.decode()
    if not isinstance(value, str):
        raise ModelError(f"is damaged: an attribute holds {type(value).__name__} where text is due; save it again")
    return value


def _parsed(text: Any) -> Any:
    if len(text) > _MOST_TEXT:
        raise ModelError(f"its configuration takes more than {_MOST_TEXT:,} bytes; allowed are {_MOST_TEXT:,}")
    return json.loads(_text(text))


def _checked(stream: Any, size: int, stack: ExitStack) -> tuple[Any, int]:
    """The HDF5 file in a stream of `size` bytes, and how many numbers its data sets hold.

    ModelError unless all of it lies in the file itself, once, in a size that this file can account for.
    """
    import h5py
    from h5py import h5a, h5d, h5g, h5l, h5o, h5s, h5t

    _check_heaps(stream)
    content = stack.enter_context(h5py.File(stream, "r"))
    most, taken, numbers = _most_bytes(size), 0, 0
    seen = {h5o.get_info(content.id).addr}
    pending = [(content.id, "")]
    while pending:
        group, home = pending.pop()
        for index in range(h5a.get_num_attrs(group)):
            attribute = h5a.open(group, index=index)
            kind = attribute.get_type()
            varies = kind.get_class() == h5t.VLEN or (kind.get_class() == h5t.STRING and kind.is_variable_str())
            points, place = _points(attribute.get_space(), h5s), f"{home}@{attribute.name.decode(errors='replace')}"
            if varies:  # each of the values may name the same large piece of the file
                _account(0, points * size, max(most, 2**30), place)
            else:
                taken = _account(taken, points * kind.get_size(), most, place)
        for name in group:
            place = posixpath.join(home, name.decode(errors="replace"))
            if group.links.get_info(name).type != h5l.TYPE_HARD:
                raise ModelError(f"'{place}' is a link to elsewhere, which is not followed; {_SAVE_AGAIN}")
            info = h5o.get_info(group, name)
            if info.addr in seen:
                raise ModelError(f"'{place}' is in the file twice; {_SAVE_AGAIN}")
            seen.add(info.addr)
            if info.type == h5o.TYPE_GROUP:
                pending.append((h5g.open(group, name), place))
            elif info.type == h5o.TYPE_DATASET:
                data = h5d.open(group, name)
                storage = data.get_create_plist()
                # Before its shape is asked for: that alone opens the files behind a virtual data set.
                if storage.get_layout() == h5d.VIRTUAL or storage.get_external_count():
                    raise ModelError(f"'{place}' lies in other files, which are not opened; {_SAVE_AGAIN}")
                kind = data.get_type()
                if kind.get_class() not in (h5t.INTEGER, h5t.FLOAT, h5t.ENUM):
                    raise ModelError(f"'{place}' holds no numbers; {_SAVE_AGAIN}")
                points = _points(data.get_space(), h5s)
                taken = _account(taken, points * kind.get_size(), most, place)
                numbers += points
    return content, numbers


def _check_heaps(stream: Any) -> None:
    """ModelError for a heap of texts in which HDF5 would go round for ever.

    A heap is a row of pieces behind a header, each beginning with its number and its length (HDF5 File Format
    Specification, III.E); a free one has the number 0, and its length counts from where it begins.
    """
    data = stream.getvalue() if isinstance(stream, io.BytesIO) else mmap.mmap(stream.fileno(), 0, prot=mmap.PROT_READ)
    lengths = data[13:15] if data[8] < 2 else data[9:11]
    if not data[:8] == _HDF5 or lengths != b"\x08\x08":
        raise ModelError(f"is damaged: it does not begin as HDF5 files of Keras do; {_SAVE_AGAIN}")
    heap, left = data.find(_HEAP), len(data) // 16
    while heap >= 0:
        piece, end = heap + 16, heap + int.from_bytes(data[heap + 8 : heap + 16], "little")
        while piece + 16 <= end:
            number, length = (
                int.from_bytes(data[piece : piece + 2]),
                int.from_bytes(data[piece + 8 : piece + 16], "little"),
            )
            taken, left = 16 + -(-length // 8) * 8 if number else length, left - 1
            if not 0 < taken <= end - piece or left < 0:
                raise ModelError(f"is damaged: its texts do not lie one behind the other; {_SAVE_AGAIN}")
            piece += taken
        heap = data.find(_HEAP, heap + 8)


_SAVE_AGAIN = "save the model again with model.save"


def _points(space: Any, h5s: Any) -> int:
    return 0 if space.get_simple_extent_type() == h5s.NULL else int(space.get_simple_extent_npoints())


def _account(taken: int, more: int, most: int, place: str) -> int:
    if taken + more > most:
        raise ModelError(f"'{place}' takes {more:,} bytes, which a file of this size cannot hold; {_TOO_LARGE}")
    return taken + more
