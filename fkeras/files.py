"""Files: read only where they are regular ones; written whole or not at all, checked before the hours of work, and
never in the place of one that fkeras did not write."""

from __future__ import annotations

import os
import re
import secrets
import stat
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from fkeras.errors import InputError

_CONFLICT = rb"(?:<<<<<<<[^\n]*\n)?"
"""The first line of a file that git could not merge."""
_BEGINNINGS = {
    "result": rb'\{"schema": "fkeras-(inspect|ranking|oracle|campaign|endurance|choice|hls4ml-check|hls4ml-resources|'
    rb"rtl-check|area|front)/",
    "report": _CONFLICT + rb'\{\s*"schema": "fkeras-report/',
    "baseline": _CONFLICT + rb'\{\s*"schema": "fkeras-measured/',
    "mask": _CONFLICT + rb'\{\s*"schema": "fkeras-protection/',
    "list of protected bits": rb"address,index,tensor,element,bit\n",
    "C header": rb"/\* Protected bits of layer ",
    "RTL file": rb"// Written by fkeras\b|# Written by fkeras\b|# A weight memory in SystemVerilog, written by fkeras|"
    rb'\{"schema": "fkeras-rtl/',
    "figure": rb"\x89PNG\r\n.{0,300}pytest-fkeras|<\?xml .{0,900}<dc:title>pytest-fkeras",
    "page": rb'<!DOCTYPE html>.{0,200}<meta name="generator" content="pytest-fkeras ',
    "summary": rb"## Fault budgets\n",
    "trend": rb'\[(\n \{\n  "name": "[^\n]*: (trials over the limit|[^\n]* (under faults|lost to faults))"|\]\n)',
    "badge": rb'\{\n "schemaVersion": 1,\n "label": "bit flips"',
    "metrics report": rb"# TYPE fkeras_",
    "network": rb"PK\x03\x04.{26}network\.json",
}
"""How each kind of file that fkeras writes begins, as a regular expression."""
_LOOKED_AT = 1024
UNFINISHED = ".tmp-"
"""Names of files that are being written begin so; readers of folders of tables leave dot files out."""


def require_regular_file(path: str | os.PathLike[str], what: str) -> Path:
    """`path`, once it is known to be a regular file (or a link to one) that may be opened without waiting.

    what: what the file is to the user ("model", "report"), for the message.
    InputError for a missing file, a directory, a pipe, a device or a socket; none of them is opened.
    """
    file = Path(path)
    try:
        mode = os.stat(file).st_mode
    except FileNotFoundError:
        raise InputError(f"{what} file {file} does not exist (looked in {Path.cwd()})") from None
    except (OSError, ValueError) as error:
        raise InputError(f"{what} file {file} cannot be read ({error}); name a file that can") from None
    if not stat.S_ISREG(mode):
        kind = "a directory" if stat.S_ISDIR(mode) else "no regular file (a device, a pipe?)"
        raise InputError(f"{what} file {file} is {kind}; name a regular file")
    return file


def read_own(path: str | os.PathLike[str], what: str, most_bytes: int, remedy: str) -> str:
    """The text of a file that fkeras writes. InputError for one that is missing, no regular file, larger than any such
    file, or no text.

    what: what the file is to the user, for the message; remedy: how to write one.
    """
    file = Path(path)
    try:
        if not file.exists():
            raise InputError(f"{what} {file} does not exist (looked in {Path.cwd()}); {remedy}")
        require_regular_file(file, what)
        if file.stat().st_size > most_bytes:
            raise InputError(f"{what} {file} has {file.stat().st_size:,} bytes, more than any {what}; {remedy}")
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{what} {file} cannot be read ({error}); {remedy}") from None


def require_own(path: str | os.PathLike[str], kind: str, remedy: str) -> None:
    """InputError for a file in whose place no `kind` may be written: one that is not empty, and no such file of ours.

    kind: a key of the table above; remedy: how the user asks for it all the same.
    """
    _require_regular(Path(path))
    try:
        with Path(path).open("rb") as file:
            start = file.read(_LOOKED_AT)
    except FileNotFoundError:
        return
    except OSError as error:
        raise InputError(
            f"{path} cannot be read ({error.strerror}), and would be replaced; name another file"
        ) from None
    if start and not re.match(_BEGINNINGS[kind], start, re.DOTALL):
        raise InputError(
            f"{path} is no {kind} that fkeras wrote, and would be replaced; name another file, or {remedy}"
        )


def require_distinct(outputs: Mapping[str, str | os.PathLike[str]]) -> None:
    """InputError where two outputs (what asks for it -> path) are one file, by whatever name."""
    asked: dict[str, str] = {}
    for option, path in outputs.items():
        other = asked.setdefault(os.path.realpath(path), option)
        if other != option:
            raise InputError(f"{option} and {other} both write {os.fspath(path)}; name two files")


def check_target(path: str | os.PathLike[str]) -> None:
    """InputError unless a file could be written at `path`; folders on the way are made."""
    target = Path(path)
    if target.is_dir():
        raise InputError(f"{target} is a directory; name a file in it, such as {target / 'report.json'}")
    try:
        _require_regular(target)
        target = _followed(target)
        target.parent.mkdir(parents=True, exist_ok=True)
        handle, probe = tempfile.mkstemp(dir=target.parent, prefix=UNFINISHED)
        os.close(handle)
        os.unlink(probe)
    except (OSError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{target} cannot be written ({error}); name a file in a folder of yours") from None


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Write `text` as UTF-8 at `path`, complete or not at all; the old file stays until the new one is whole.

    A link stays one: what it names is written. InputError for devices, pipes and sockets, which cannot be replaced.
    """
    write_pieces(path, [text])


def write_pieces(path: str | os.PathLike[str], pieces: Iterable[str]) -> None:
    """`write_text` of a text that need not stand in memory whole; whatever `pieces` raises leaves the old file."""
    _require_regular(Path(path))
    target = _followed(Path(path))
    target.parent.mkdir(parents=True, exist_ok=True)
    with replacing(target) as file:
        file.writelines(piece.encode() for piece in pieces)


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """A file to write, which is `path` once the block ends in peace: whole or not at all, also after a power cut.

    The name appears by a rename, which is atomic on local disks and on NFS.
    """
    unfinished = path.with_name(f"{UNFINISHED}{secrets.token_hex(8)}")
    try:
        with open(unfinished, "xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(unfinished, path)
    except BaseException:
        with suppress(OSError):
            unfinished.unlink()
        raise
    # Makes the name itself durable; some file systems do not offer it, and then the rename has to do.
    with suppress(OSError):
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _require_regular(target: Path) -> None:
    try:
        mode = os.stat(target).st_mode
    except FileNotFoundError:
        return
    except OSError as error:  # a loop of links, a folder of somebody else
        raise InputError(f"{target} cannot be written ({error.strerror}); name another file") from None
    if not stat.S_ISREG(mode):
        raise InputError(f"{target} is no regular file (a device, a pipe?) and would be replaced; name another file")


def _followed(target: Path) -> Path:
    return Path(os.path.realpath(target)) if target.is_symlink() else target
