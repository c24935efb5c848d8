"""One result in a store: its identity, and the rows measured so far."""

from __future__ import annotations

import errno
import os
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from fkeras.errors import StoreError
from fkeras.files import UNFINISHED
from fkeras.store.disk import explained, write_whole
from fkeras.store.identity import Identity
from fkeras.store.parts import (
    DamagedPart,
    ForeignPart,
    Table,
    Terms,
    encoded,
    is_part,
    name_of,
    read_part,
    rows_of,
    united,
    write_part,
)

if TYPE_CHECKING:
    from collections.abc import Callable

FLUSH_SECONDS = 2.0
"""What was measured in this time, or in one call of the engine if that takes longer, is lost when a process dies."""
MOST_PARTS = 64
"""A writer joins its own parts when it has this many, so that long work does not fill a folder with small files."""
MOST_LISTINGS = 100
"""Each listing that goes stale while it is read means that another process joined parts."""
STALE_SECONDS = 3600
"""Unfinished files older than this were left behind by a process that died."""
_CANNOT_LOCK = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)


class Entry:
    """Rows under one identity, by key, in a folder of their own.

    Any number of processes may read and append at once, on one disk: parts are never changed, only added, and joined
    into one that holds the same rows. Reading needs no permission to write. terms: what stored rows must be to count.
    """

    def __init__(
        self, folder: Path, identity: Identity, notice: Callable[[str], None], terms: Terms | None = None
    ) -> None:
        self.folder, self.identity, self._terms = folder, identity, terms
        self._rows, self.notice = folder / "rows", notice

    def __repr__(self) -> str:
        return f"<Entry {self.identity.kind}/{self.identity.digest[:12]}>"

    def known(self) -> Table:
        """All rows so far, in the order of their keys; {} when there are none.

        Damaged and foreign files are left out, and noticed.
        """
        return self._read()[0]

    def append(self, table: Table) -> Path | None:
        """Add rows, durably: they are there when this returns, or StoreError says why not. Their part, if any."""
        if not rows_of(table):
            return None
        if self._terms is not None:
            self._terms.before_writing()
        return self._write(table)

    def _write(self, table: Table) -> Path | None:
        if not rows_of(table):
            return None
        self._make_folder()
        return write_part(self._rows, self._stamped(table), self.identity.digest)

    def _stamped(self, table: Table) -> Table:
        return table if self._terms is None else self._terms.stamped(table)

    def discard(self) -> None:
        """Remove all rows."""
        for path in self._listed():
            with explained("removing", path):
                path.unlink(missing_ok=True)

    def join(self, parts: Sequence[Path]) -> Path | None:
        """Join some parts into one, whose path comes back; None when another process has joined all of them."""
        tables, read = [], []
        for path in parts:
            with suppress(FileNotFoundError, DamagedPart), explained("reading", path):
                tables.append(self._accepted(path))
                read.append(path)
        joined = self._write(united(tables)[0])
        for path in {*read} - {joined}:
            with suppress(OSError):
                path.unlink()
        return joined

    def finish(self) -> Path | None:
        """Join all parts into one, sorted by key: equal rows give one file of equal bytes and name. Its path."""
        table, read, damaged = self._read()
        if not rows_of(table):
            return None
        content = encoded(self._stamped(table), self.identity.digest)
        joined = self._rows / name_of(content)
        if joined not in read:
            self._make_folder()
            write_whole(joined, content)
        # Their rows are in the joined file; what was damaged has been measured again, or will be.
        for path in {*read, *damaged} - {joined}:
            with suppress(OSError):
                path.unlink()
        self._sweep()
        return joined

    def settle(self) -> None:
        """Join the parts that several processes wrote, or one that died, unless somebody is writing now: of many
        writers the last one does it, not each of them."""
        with suppress(StoreError, FileNotFoundError):  # in a folder that cannot be written they stay as they are
            if len(self._listed()) > 1 and not self.is_in_use():
                self.finish()

    def writer(self) -> Writer:
        """A buffer for rows as they are measured, to be used in a `with`."""
        return Writer(self)

    @contextmanager
    def alone(self, who: str = "") -> Iterator[None]:
        """Wait until no other process is in this block, for the same `who`; a process that dies leaves it.

        It saves measuring things twice and nothing else depends on it: where the file system has no locks, the block
        is entered at once. When the block fails before anything was stored, no folder stays behind.
        """
        from filelock import FileLock

        self._make_folder()
        lock = FileLock(self.folder / f"lock{who}", fallback_to_soft=False)
        held = False
        try:
            with explained("locking", self.folder):
                try:
                    while not held:
                        try:
                            lock.acquire()
                            held = True
                        except FileNotFoundError:  # the one before us failed, and took the folder away
                            self._make_folder()
                except NotImplementedError:
                    self.notice(f"{self.folder}: no file locks here, so two processes may measure the same")
                except OSError as error:
                    if error.errno not in _CANNOT_LOCK:
                        raise
                    self.notice(f"{self.folder}: no file locks here, so two processes may measure the same")
            yield
        except BaseException:
            self._forget_if_empty()
            raise
        finally:
            if held:
                lock.release()

    def is_in_use(self) -> bool:
        """Whether some process is in a block of `alone`."""
        from filelock import FileLock, Timeout

        for path in self.folder.glob("lock*"):
            lock = FileLock(path, fallback_to_soft=False)
            try:
                lock.acquire(blocking=False)
                lock.release()
            except Timeout:
                return True
            except (OSError, NotImplementedError):
                continue
        return False

    def touch(self) -> None:
        """Say that the result was used now; the longest unused goes first when a store is full."""
        with suppress(OSError):
            os.utime(self.folder / "identity.json")

    def _read(self) -> tuple[Table, list[Path], list[Path]]:
        """Rows, the parts that they came from, and the damaged ones; intact parts of other results are in neither."""
        for _ in range(MOST_LISTINGS):
            try:
                tables, read, damaged = self._read_listed()
            except FileNotFoundError:
                continue  # another process joined parts meanwhile: the joined one is in the next listing
            table, disagreeing = united(tables)
            if disagreeing:
                self.notice(
                    f"{self.folder}: {disagreeing:,} rows were measured twice with different values, as different "
                    "processors may give; the smaller are used"
                )
            return table, read, damaged
        raise StoreError(f"reading {self._rows}: files are listed and cannot be opened; remove them (dangling links?)")

    def _read_listed(self) -> tuple[list[Table], list[Path], list[Path]]:
        tables: list[Table] = []
        read, damaged = [], []
        for path in self._listed():
            with explained("reading", path):
                try:
                    table = self._accepted(path)
                    if tables and [*table] != [*tables[0]]:
                        raise DamagedPart(f"its columns are {', '.join(table)}, not {', '.join(tables[0])}")
                    tables.append(table)
                    read.append(path)
                except DamagedPart as error:
                    if not isinstance(error, ForeignPart):
                        damaged.append(path)
                    self.notice(f"{path}: left out, {error}; its rows are measured again")
        return tables, read, damaged

    def _accepted(self, path: Path) -> Table:
        """The rows of a part that count; the others are noticed."""
        table = read_part(path, self.identity.digest)
        if self._terms is None:
            return table
        table, wrong = self._terms.accepted(table)
        if wrong:
            self.notice(f"{path}: {wrong} are left out; they are measured again")
        return table

    def _listed(self) -> list[Path]:
        with explained("reading", self._rows):
            try:
                paths = sorted(self._rows.iterdir())
            except FileNotFoundError:
                return []
        for path in paths:
            if not is_part(path) and not path.name.startswith(UNFINISHED):
                self.notice(f"{path}: left out, it is no part of a result")
        return [path for path in paths if is_part(path)]

    def _make_folder(self) -> None:
        with explained("making", self._rows):
            self._rows.mkdir(parents=True, exist_ok=True)
            path = self.folder / "identity.json"
            written = path.read_bytes() if path.is_file() else b""
            wanted = self.identity.readable.encode()
            if written != wanted:
                if written:
                    self.notice(f"{path}: written again, it was damaged")
                write_whole(path, wanted)

    def _forget_if_empty(self) -> None:
        """Remove the folder of a result without rows."""
        with suppress(OSError, StoreError):
            if not self._listed():
                shutil.rmtree(self.folder)

    def _sweep(self) -> None:
        """Remove what processes that died were writing."""
        for path in self._rows.glob(f"{UNFINISHED}*"):
            with suppress(OSError):
                if time.time() - path.stat().st_mtime > STALE_SECONDS:
                    path.unlink()


class Unkept(Entry):
    """A result that is not kept: it has no rows, and what is added is forgotten."""

    def __init__(self) -> None:
        super().__init__(Path(os.devnull), Identity("", {}), lambda text: None)

    def known(self) -> Table:
        return {}

    def append(self, table: Table) -> Path | None:
        return None

    def finish(self) -> Path | None:
        return None

    def settle(self) -> None:
        pass

    @contextmanager
    def alone(self, who: str = "") -> Iterator[None]:
        yield


UNKEPT = Unkept()


class Writer:
    """Rows as they are measured: written every few seconds, and whatever is left on the way out.

    An exception, Ctrl-C included, keeps what was measured before it; leaving in peace joins its own parts.
    """

    def __init__(self, entry: Entry) -> None:
        self._entry = entry
        self._pending: list[Table] = []
        self._since = time.monotonic()
        self._parts: list[Path] = []
        self._n_unjoined = 0

    def add(self, **columns: NDArray[Any]) -> None:
        """Some more rows, the key first."""
        self._pending.append(columns)
        if time.monotonic() - self._since >= FLUSH_SECONDS:
            self.flush()

    def flush(self) -> None:
        """Write what is pending."""
        table, _ = united(self._pending)
        part = self._entry.append(table)
        self._pending.clear()
        if part is not None:
            self._parts.append(part)
            self._n_unjoined += 1
        # Not those of others: with many writers in one folder, listings would go stale for ever.
        if self._n_unjoined >= MOST_PARTS:
            self._join()
        self._since = time.monotonic()

    def _join(self) -> None:
        if len(self._parts) > 1:
            joined = self._entry.join(self._parts)
            self._parts = [] if joined is None else [joined]
        self._n_unjoined = 0

    def __enter__(self) -> Writer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self.flush()
            self._join()
            return
        try:
            self.flush()
        except StoreError as second:
            error.add_note(f"what was measured last could not be stored: {second}")
