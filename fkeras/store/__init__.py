"""Results that outlive a process: what was measured, under the identity of what it was measured on."""

from fkeras.store.documents import Documents
from fkeras.store.entry import UNKEPT, Entry, Writer
from fkeras.store.folder import CACHE_BYTES, Store, StoreLike, opened
from fkeras.store.identity import Identity, digest_of
from fkeras.store.merging import Merged, merge
from fkeras.store.parts import Table, Terms

__all__ = [
    "CACHE_BYTES",
    "UNKEPT",
    "Documents",
    "Entry",
    "Identity",
    "Merged",
    "Store",
    "StoreLike",
    "Table",
    "Terms",
    "Writer",
    "digest_of",
    "merge",
    "opened",
]
