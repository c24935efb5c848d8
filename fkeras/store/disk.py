"""The few things that a store asks of a disk: whole files or none, and errors that say what to do."""

from __future__ import annotations

import errno
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from fkeras.errors import StoreError

UNFINISHED = ".tmp-"
"""Names of files that are being written begin so; readers of folders of tables leave dot files out."""

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
    """Write a file so that it is there whole or not at all, also after a power cut; in the place of one that is there.

    The name appears by a rename, which is atomic on local disks and on NFS. StoreError when the disk refuses.
    """
    unfinished = path.with_name(f"{UNFINISHED}{secrets.token_hex(8)}")
    with explained("writing", path):
        try:
            with open(unfinished, "xb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            os.replace(unfinished, path)
        except BaseException:
            with suppress(OSError):
                unfinished.unlink()
            raise
        _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    # Makes the name itself durable; some file systems do not offer it, and then the rename has to do.
    with suppress(OSError):
        number = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(number)
        finally:
            os.close(number)
