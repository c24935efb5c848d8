"""Files: read only where they are regular ones; written whole or not at all, and checked before the hours of work."""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Iterable
from pathlib import Path

from fkeras.errors import InputError


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


def check_target(path: str | os.PathLike[str]) -> None:
    """InputError unless a file could be written at `path`; folders on the way are made."""
    target = Path(path)
    if target.is_dir():
        raise InputError(f"{target} is a directory; name a file in it, such as {target / 'report.json'}")
    try:
        _require_regular(target)
        target = _followed(target)
        target.parent.mkdir(parents=True, exist_ok=True)
        handle, probe = tempfile.mkstemp(dir=target.parent, prefix=".fkeras-")
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
    handle, partial = tempfile.mkstemp(dir=target.parent, prefix=".fkeras-")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.writelines(pieces)
            file.flush()
            os.fsync(file.fileno())
        # A temporary file is private; a report is as readable as any file that the user makes.
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(partial, 0o666 & ~umask)
        os.replace(partial, target)
    except BaseException:
        os.unlink(partial)
        raise


def _require_regular(target: Path) -> None:
    if target.exists() and not target.is_file():
        raise InputError(f"{target} is no regular file (a device, a pipe?) and would be replaced; name another file")


def _followed(target: Path) -> Path:
    return target.resolve() if target.is_symlink() else target
