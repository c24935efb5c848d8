"""A store: a folder of results, each in a folder named by the digest of its identity."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from secrets import token_hex

from fkeras.errors import InputError, StoreError
from fkeras.files import UNFINISHED
from fkeras.store.disk import explained, write_whole
from fkeras.store.documents import KINDS, Documents
from fkeras.store.entry import Entry
from fkeras.store.identity import Identity
from fkeras.store.parts import Table, Terms

CACHE_BYTES = 2**30
"""The size that a store used as a cache is capped at."""
_TAG = "CACHEDIR.TAG"
_FURNITURE = {
    ".gitignore": "*\n",
    "README.md": """Results of pytest-fkeras: KIND/DIGEST/identity.json says what was measured on what, and
KIND/DIGEST/rows/*.parquet holds the rows, for pandas, polars, duckdb and others:

    pandas.read_parquet("oracle/DIGEST/rows")
    duckdb: select * from 'oracle/*/rows/*.parquet'

The folder can be copied, merged (fkeras.merge) and deleted; what is missing is measured again.
""",
    _TAG: "Signature: 8a477f597d28d172789f06886806bc55\n# Results of pytest-fkeras, which can be measured again.\n",
}


class Store:
    """Results in a folder, to be reused, resumed and merged; `notices` says what was wrong with stored ones, each once.

    Arguments:
        path: the folder, made when something is stored.
        max_bytes: the results used longest ago are dropped beyond it, None: everything is kept.

    Raises:
        InputError: for a folder with other things in it.
        StoreError: for one that cannot be used.
    """

    def __init__(self, path: str | os.PathLike[str], max_bytes: int | None = None) -> None:
        try:
            self.path = Path(path).expanduser().absolute()
        except RuntimeError as error:
            raise InputError(
                f"{path}: there is no such home folder ({error}); name a folder by its whole path, or ./~name for one "
                "that is called so"
            ) from None
        self.max_bytes = max_bytes
        self.notices: list[str] = []
        self._is_furnished = self._made_folder = False
        self._has_results = self.path.exists()
        self._waiting: list[Documents] = []
        self._require_own()

    def __repr__(self) -> str:
        return f"Store({str(self.path)!r})"

    def notice(self, text: str) -> None:
        """Remember something that reports should say."""
        if text not in self.notices:
            self.notices.append(text)

    def entry(self, identity: Identity, terms: Terms | None = None) -> Entry:
        """The result with this identity, which may have no rows yet; terms: what stored rows must be to count."""
        entry = _Kept(self, identity, terms)
        entry.touch()
        return entry

    def documents(self, identity: Identity) -> Documents:
        """The files with this identity, which need not be there yet."""
        return Documents(self, identity)

    def takes(self, files: Documents) -> bool:
        """Whether there is a store for these files; they are written once there is."""
        if not self._has_results and files not in self._waiting:
            self._waiting.append(files)
        return self._has_results

    def write_waiting(self) -> None:
        """Write the files that waited for the first result."""
        self._has_results, waiting, self._waiting = True, self._waiting, []
        for files in waiting:
            try:
                files.write_waiting()
            except StoreError as error:
                self.notice(f"{files.folder}: not kept: {error}")

    def entries(self) -> Iterator[Entry]:
        """All results, by kind and digest; one whose identity cannot be read is left out, and noticed."""
        for path in sorted(self.path.glob("*/*/identity.json")):
            if path.parents[1].name in KINDS:
                continue
            entry = self._read(path)
            if entry is not None:
                yield entry

    def _read(self, path: Path) -> Entry | None:
        try:
            if not path.is_file():
                raise ValueError
            identity = Identity.parse(path.read_text())
            if (identity.kind, identity.digest) != (path.parents[1].name, path.parent.name):
                raise ValueError
        except (OSError, ValueError):
            self.notice(f"{path.parent}: left out, its identity.json does not say what it is")
            return None
        return _Kept(self, identity)

    def furnish(self) -> None:
        """Make the folder, ignored by git and by backups."""
        if self._is_furnished:
            return
        with explained("making", self.path):
            self._made_folder = not self.path.exists()
            self.path.mkdir(parents=True, exist_ok=True)
            # The tag first: it says that the folder is ours.
            for name in reversed(_FURNITURE):
                if not (self.path / name).exists():
                    write_whole(self.path / name, _FURNITURE[name].encode())
        self._is_furnished = True

    def unfurnish(self) -> None:
        """Remove the folder if this object made it, and nothing is in it."""
        if not self._made_folder:
            return
        with suppress(OSError):  # somebody else's result is in it
            for kind in self.path.iterdir():
                if kind.is_dir():
                    kind.rmdir()
            for name in _FURNITURE:
                (self.path / name).unlink(missing_ok=True)
            self.path.rmdir()
            self._is_furnished = self._made_folder = False

    def trim(self, kept: Path) -> None:
        """Drop the results used longest ago until the rest fits into `max_bytes`; never one in use, nor `kept`."""
        if self.max_bytes is None:
            return
        sizes = {path.parent: _size(path.parent) for path in self.path.glob("*/*/identity.json")}
        excess = sum(sizes.values()) - self.max_bytes
        for folder in sorted(sizes, key=_last_used):
            if excess <= 0:
                return
            if folder != kept and not Entry(folder, Identity("", {}), self.notice).is_in_use():
                excess -= sizes[folder]
                _remove(folder)

    def _require_own(self) -> None:
        with explained("reading", self.path):
            try:
                names = os.listdir(self.path)
            except FileNotFoundError:
                return
        others = [name for name in names if not name.startswith(UNFINISHED)]
        if others and _TAG not in others:
            raise InputError(
                f"{self.path} is no store: it holds {', '.join(sorted(others)[:3])} and no {_TAG}; name a new or "
                "empty folder, such as results/store"
            )


class _Kept(Entry):
    """An entry of a store: makes the store's folder before it writes, and keeps the store within its size."""

    def __init__(self, store: Store, identity: Identity, terms: Terms | None = None) -> None:
        super().__init__(store.path / identity.kind / identity.digest, identity, store.notice, terms)
        self._store = store

    def _make_folder(self) -> None:
        self._store.furnish()
        super()._make_folder()

    def append(self, table: Table) -> Path | None:
        path = super().append(table)
        if path is not None:
            self._store.write_waiting()
        return path

    def finish(self) -> Path | None:
        path = super().finish()
        self._store.trim(self.folder)
        return path

    def settle(self) -> None:
        super().settle()
        self._store.trim(self.folder)

    def _forget_if_empty(self) -> None:
        super()._forget_if_empty()
        self._store.unfurnish()


StoreLike = Store | str | os.PathLike[str] | None


def opened(store: StoreLike) -> Store | None:
    """A store by its path; a Store and None are themselves."""
    return store if store is None or isinstance(store, Store) else Store(store)


def _size(folder: Path) -> int:
    total = 0
    for path in folder.rglob("*"):
        with suppress(OSError):
            total += path.stat().st_size
    return total


def _last_used(folder: Path) -> float:
    with suppress(OSError):
        return (folder / "identity.json").stat().st_mtime
    return 0.0


def _remove(folder: Path) -> None:
    # Renamed first, so that nobody finds half of it.
    gone = folder.with_name(f"{UNFINISHED}{token_hex(8)}")
    with suppress(OSError, StoreError):
        os.replace(folder, gone)
        shutil.rmtree(gone, ignore_errors=True)
