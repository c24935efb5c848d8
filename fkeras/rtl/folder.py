"""The folder of a weight memory in SystemVerilog: written, read back, and compared with what would be written now."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from functools import cached_property
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from fkeras.errors import Argument, InputError, is_number
from fkeras.faults import SECDED, TMR, BlindScrubbing, Parity, Protection, protection
from fkeras.faults.checked_words import CheckedWords
from fkeras.faults.joined import Joined
from fkeras.faults.protected import Protectable
from fkeras.faults.protections import statement
from fkeras.faults.word_codes import CodedWords
from fkeras.files import check_target, read_own, require_own, write_text
from fkeras.memory import CODECS, BitSpace, WordTensor
from fkeras.plain import plain, restored
from fkeras.printable import in_one_line
from fkeras.protection.word_tables import parse_words, words_digest, words_text
from fkeras.rtl.codewords import layouts
from fkeras.rtl.generate import Port, Store, pass_text, rendered, sources, stores

SCHEMA = "fkeras-rtl/1"
INDEX = "rtl.json"
CLOCK_HZ = 40e6
"""The LHC's bunch clock, near enough: intervals of scrubbers are counted in cycles of it."""
_REMEDY = "write it with `fkeras protect --rtl DIR` or fkeras.Mask.write_rtl"
_MOST_BYTES = 1 << 30
_COVERS: dict[str, Any] = {cover.__name__: cover for cover in (TMR, SECDED, Parity, BlindScrubbing)}


@dataclass(frozen=True, eq=False)
class WeightMemory:
    """A memory, what protects it, and the stores that they make.

    clock_hz: of the cycles that intervals are counted in; about: the protection in a line; ports: hls4ml's, by the path
    of the tensor that it reads from outside.
    """

    space: BitSpace
    guard: Protection
    clock_hz: float
    about: str
    ports: Mapping[str, Port]

    @cached_property
    def stores(self) -> tuple[Store, ...]:
        """One per tensor."""
        return stores(layouts(self.guard, self.space), self.ports)

    @cached_property
    def files(self) -> dict[str, str]:
        """Every file of the folder by name, the index last."""
        texts = {**sources(self.stores, self.clock_hz), **self._around}
        return {**texts, INDEX: json.dumps(self._index, allow_nan=False) + "\n"}

    @property
    def _around(self) -> dict[str, str]:
        rows = [
            {
                "name": store.name,
                "tensor": in_one_line(store.layout.tensor.path).replace("|", "/"),
                "size": store.layout.tensor.size,
                "width": _widths_text(store.layout.tensor),
                "cells": store.layout.n_cells,
                "passes": "; ".join(map(pass_text, store.layout.passes)),
                "port": store.port,
            }
            for store in self.stores
        ]
        about = {"stores": rows, "about": in_one_line(self.about), "clock_hz": self.clock_hz}
        return {"README.md": rendered("README.md.j2", **about), "tmrg.cfg": rendered("tmrg.cfg.j2", **about)}

    @property
    def _index(self) -> dict[str, Any]:
        content = {
            "clock_hz": self.clock_hz,
            "about": self.about,
            "ports": plain(self.ports),
            "tensors": [_plain_tensor(tensor) for tensor in self.space.tensors],
            "protection": [_plain_part(part) for part in _parts(self.guard)],
        }
        return {
            "schema": SCHEMA,
            "layout_digest": self.space.layout_digest,
            "sha256": _digest(content),
            **content,
        }

    def write(self, folder: str | os.PathLike[str], force: bool = False) -> list[Path]:
        """Write the folder, made if need be; the paths. InputError for one that holds another memory, or other files.

        force: in the place of files too that fkeras did not write.
        """
        target = Path(folder)
        check_folder(target, self.space, list(self.files), force)
        old = _listed(target)
        for name, text in self.files.items():
            write_text(target / name, text)
        for name in old - self.files.keys():
            (target / name).unlink(missing_ok=True)
        return [target / name for name in self.files]

    def sources(self, folder: str | os.PathLike[str]) -> list[Path]:
        """The SystemVerilog in a folder, as it is there. InputError where a file is missing."""
        paths = [Path(folder, name).absolute() for name in self.files if name.endswith(".sv")]
        missing = [path.name for path in paths if not path.is_file()]
        if missing:
            raise InputError(f"{Path(folder)}: {', '.join(missing)} is missing; write the folder again: {_REMEDY}")
        return paths

    def changed(self, folder: str | os.PathLike[str]) -> list[str]:
        """What in a folder is not as it would be written now, a line each; the index vouches for itself."""
        lines = []
        for name, text in self.files.items():
            if name == INDEX:
                continue
            path = Path(folder, name)
            there = path.read_text(errors="replace") if path.is_file() else None
            if there is None:
                lines.append(f"{name} is missing")
            elif there != text:
                pairs = enumerate(zip(_lines(there), _lines(text), strict=False), 1)
                number = next((number for number, (a, b) in pairs if a != b), 0)
                lines.append(f"{name} is not what fkeras writes{f', from line {number} on' if number else ''}")
        return lines


def _lines(text: str) -> list[str]:
    return [*text.split("\n"), "\0"]


def weight_memory(
    protected: Protectable,
    space: BitSpace,
    clock_hz: float = CLOCK_HZ,
    about: str | None = None,
    ports: Mapping[str, Port] | None = None,
) -> WeightMemory:
    """The memory of a space under a protection, with the ports that `fkeras.hls4ml.ports` gives. InputError for a
    protection that is nothing to build."""
    if not (is_number(clock_hz) and clock_hz > 0):
        raise InputError(Argument("clock_hz", clock_hz), "; allowed are cycles per second, finite numbers above 0")
    space.require_stored("a weight memory in SystemVerilog")
    guard = protection(protected, space)
    said = statement(guard, space) or "not protected" if about is None else about
    for tensor in space.tensors:
        if tensor.path in (ports or {}):
            tensor.sole_codec  # noqa: B018  a port has rows of words of one width
    memory = WeightMemory(space, guard, float(clock_hz), said, dict(ports or {}))
    if not memory.stores:
        raise InputError(
            "the memory has no bits, so that there is nothing to build; cover layers whose words have some"
        )
    for store in memory.stores:  # refused before anything is written
        store.require_time(memory.clock_hz)
    return memory


def check_folder(folder: Path, space: BitSpace, names: list[str], force: bool = False) -> None:
    """InputError unless a memory's files may be written into a folder."""
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder} is a file; name a folder for the SystemVerilog, which is made if need be")
    if (folder / INDEX).exists():
        there = read_folder(folder)
        if there.space.layout_digest != space.layout_digest:
            raise InputError(
                f"{folder} holds the RTL of another memory (layout {there.space.layout_digest[:12]}, not "
                f"{space.layout_digest[:12]}), whose files would lie beside the new ones; name another folder"
            )
    for name in names:
        if os.path.lexists(folder / name):
            check_target(folder / name)
            if not force:
                require_own(folder / name, "RTL file", "replace it by --force")


def _listed(folder: Path) -> set[str]:
    if not (folder / INDEX).exists():
        return set()
    return set(read_folder(folder).files)


def read_folder(folder: str | os.PathLike[str]) -> WeightMemory:
    """The memory whose RTL is in a folder. InputError for no such folder, or an index that is damaged or altered."""
    path = Path(folder)
    if not path.is_dir():
        raise InputError(f"{path} is no folder (looked in {Path.cwd()}); {_REMEDY}")
    name = path / INDEX

    def refuse(what: str) -> NoReturn:
        raise InputError(f"{name}: {what}; {_REMEDY}")

    try:
        content = json.loads(read_own(name, "RTL index", _MOST_BYTES, _REMEDY))
    except (ValueError, RecursionError) as error:
        if isinstance(error, InputError):
            raise
        refuse(f"is no JSON ({str(error).splitlines()[0]}): damaged, cut short, or another kind of file")
    schema = content.get("schema") if isinstance(content, dict) else None
    if schema != SCHEMA:
        refuse(f"is no index of RTL: 'schema' is {str(schema)[:40]!r}, expected {SCHEMA!r}")
    keys = ("clock_hz", "about", "ports", "tensors", "protection")
    missing = [key for key in (*keys, "sha256", "layout_digest") if key not in content]
    if missing:
        refuse(f"has no {missing[0]!r}")
    if _digest({key: content[key] for key in keys}) != content["sha256"]:
        refuse("its memory is not that of its sha256: altered or damaged")
    try:
        space = BitSpace(tuple(_tensor(tensor) for tensor in content["tensors"]))
        parts = [_part(part) for part in content["protection"]]
        ports = {path: restored(Port, port) for path, port in content["ports"].items()}
        memory = weight_memory(parts or None, space, content["clock_hz"], str(content["about"]), ports)
    except (AttributeError, KeyError, TypeError, ValueError, OverflowError, IndexError) as error:
        refuse(f"cannot be read ({error})")
    if space.layout_digest != content["layout_digest"]:
        refuse("its tensors are not those of its layout_digest: altered or damaged")
    return memory


def _widths_text(tensor: WordTensor) -> str:
    widths = tensor.layout.widths
    return str(widths[0]) if (widths == widths[0]).all() else f"{widths.min()} to {widths.max()}"


def _digest(content: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _plain_tensor(tensor: WordTensor) -> dict[str, Any]:
    codec: Any = tensor.codec
    if type(codec).__name__ not in CODECS:
        raise InputError(f"tensor '{tensor.path}': words that are {codec} are not written as RTL")
    values = {each.name: getattr(codec, each.name) for each in fields(codec)}
    arrays = {name: value.tolist() for name, value in values.items() if isinstance(value, np.ndarray)}
    stated = {"kind": type(codec).__name__, **values, **arrays}
    return {"path": tensor.path, "shape": list(tensor.shape), "codec": stated, "words": tensor.words.tolist()}


def _tensor(content: dict[str, Any]) -> WordTensor:
    stated = dict(content["codec"])
    kind = stated.pop("kind")
    arrays = {name: np.array(value) for name, value in stated.items() if isinstance(value, list)}
    codec: Any = CODECS[kind](**{**stated, **arrays})
    words = np.array(content["words"], np.uint32)
    values = codec.decode(words).astype(np.float32)
    return WordTensor(
        str(content["path"]), tuple(map(int, content["shape"])), codec, words, np.ones_like(values), values
    )


def _parts(guard: Protection) -> tuple[Protection, ...]:
    parts = guard.parts if isinstance(guard, Joined) else (guard,)
    return tuple(part for part in parts if len(part.bits))


def protection_digest(guard: Protection) -> str:
    """SHA-256 of what protects a memory, in whatever order and by whatever name."""
    contents = []
    for part in _parts(guard):
        content = _plain_part(part)
        if isinstance(part, CheckedWords):
            content["text"] = words_digest(part)  # as it was stated, or frozen in a file
        contents.append(json.dumps(content, sort_keys=True))
    return hashlib.sha256("\n".join(sorted(contents)).encode()).hexdigest()


def _plain_part(part: Any) -> dict[str, Any]:
    stated: Any = part.stated if isinstance(part, CodedWords | CheckedWords) else part
    scrub = {"scrub_interval_seconds": getattr(stated, "scrub_interval_seconds", None)}
    if isinstance(part, CheckedWords):
        return {"kind": "words", "text": words_text(part), **scrub, "scrub_from": stated.scrub_from}
    others = {name: getattr(stated, name) for name in ("scrub_from", "on_detected") if hasattr(stated, name)}
    return {"kind": type(stated).__name__, "bits": stated.bits.bits.tolist(), **scrub, **others}


def _part(content: dict[str, Any]) -> Any:
    stated = dict(content)
    kind = stated.pop("kind")
    if kind == "words":
        return replace(parse_words(stated.pop("text"), INDEX), **stated)
    return _COVERS[kind](**stated)
