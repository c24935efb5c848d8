"""Whole files under one identity, beside the results of a store: what is known of a model file, or without faults.

They make no store: where there is none yet they wait for the first result.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from fkeras.store.disk import explained, write_whole
from fkeras.store.identity import Identity

if TYPE_CHECKING:
    from fkeras.store.folder import Store

KINDS = ("model", "golden", "area")
"""Of what is no result, and has no rows."""


class Documents:
    """The files of one identity in a store; each is whole or not there."""

    def __init__(self, store: Store, identity: Identity) -> None:
        self._store, self._identity = store, identity
        self._waiting: dict[str, bytes] = {}
        self.folder = store.path / identity.kind / identity.digest
        with suppress(OSError):
            os.utime(self.folder / "identity.json")

    def path(self, name: str) -> Path | None:
        """A file, None where it is not there."""
        path = self.folder / name
        return path if path.is_file() else None

    def read(self, name: str) -> bytes | None:
        """What is in a file, or will be; None where it is not there."""
        path = self.path(name)
        return self._waiting.get(name) if path is None else path.read_bytes()

    def write(self, name: str, content: bytes) -> None:
        """Write a file as soon as there is a store; StoreError where the disk refuses."""
        if not self._store.takes(self):
            self._waiting[name] = content
            return
        self._store.furnish()
        with explained("making", self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
        write_whole(self.folder / name, content)
        if self.path("identity.json") is None:
            write_whole(self.folder / "identity.json", self._identity.readable.encode())
        self._store.trim(self.folder)

    def write_waiting(self) -> None:
        """Write what waited for a store."""
        waiting, self._waiting = self._waiting, {}
        for name, content in waiting.items():
            self.write(name, content)
