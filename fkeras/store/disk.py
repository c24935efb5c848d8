"""The few things that a store asks of a disk: whole files or none, and errors that say what to do."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fkeras.errors import StoreError
from fkeras.files import replacing

_REMEDIES = {
    errno.ENOSPC: "free some space and start again: what was stored before is intact and is not measured again",
    errno.EDQUOT: "free some space and start again: what was stored before is intact and is not measured again",
    errno.EROFS: "name a folder that can be written, or leave the store out",
    errno.EACCES: "name a folder that you may write, or leave the store out",
    errno.EPERM: "name a folder that you may write, or leave the store out",
    errno.ENOTDIR: "a store is a folder; name another path",
    errno.EEXIST: "a store is a folder; name another path",
}


@contextmanager
def explained(what: str, path: Path) -> Iterator[None]:
    """Errors of the disk as a StoreError that says what was going on, where, and what to do; missing files as such.

    A file that another machine removed while this one had it is stale on NFS: it is missing too.
    """
    try:
        yield
    except (StoreError, FileNotFoundError):
        raise
    except OSError as error:
        if error.errno == errno.ESTALE:
            raise FileNotFoundError(error.errno, os.strerror(error.errno), str(path)) from error
        reason = os.strerror(error.errno) if error.errno else str(error)
        remedy = _REMEDIES.get(error.errno or 0, "check the disk, or name another folder")
        raise StoreError(f"{what} {path}: {reason}; {remedy}") from error


def write_whole(path: Path, content: bytes) -> None:
    """Write a file whole or not at all, in the place of one that is there. StoreError when the disk refuses."""
    with explained("writing", path), replacing(path) as file:
        file.write(content)
