"""Putting stores together."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from fkeras.errors import IdentityError, InputError
from fkeras.store.entry import Entry
from fkeras.store.folder import Store
from fkeras.store.identity import Identity
from fkeras.store.parts import rows_of


@dataclass(frozen=True, slots=True)
class Merged:
    """One result after a merge: its identity, how many rows it has now, and how many of those are new there."""

    identity: Identity
    n_rows: int
    n_new: int


def merge(sources: Sequence[str | os.PathLike[str] | Store], into: str | os.PathLike[str] | Store) -> list[Merged]:
    """Add the results of stores to another: equal identities add up, others stay side by side.

    sources: stores, or single results (KIND/DIGEST folders of one); they are only read. Where each source has
    one result of a kind (oracle, campaign, ...), as shards have, those must have one identity: IdentityError names what
    differs. InputError for a source without
    results. Merging again changes nothing.
    """
    target = into if isinstance(into, Store) else Store(into)
    per_source = [_results(source, target) for source in sources]
    if not per_source:
        raise InputError("nothing to merge: name one or more stores")
    for kind in sorted({entry.identity.kind for results in per_source for entry in results}):
        of_kind = [[entry for entry in results if entry.identity.kind == kind] for results in per_source]
        if all(len(results) == 1 for results in of_kind):
            _require_one_identity([(str(source), results[0]) for source, results in zip(sources, of_kind, strict=True)])
    touched: dict[str, Entry] = {}
    before: dict[str, int] = {}
    for results in per_source:
        for source in results:
            digest = source.identity.digest
            if digest not in touched:
                touched[digest] = target.entry(source.identity)
                before[digest] = rows_of(touched[digest].known())
            touched[digest].append(source.known())
    merged = []
    for digest, entry in touched.items():
        entry.finish()
        n_rows = rows_of(entry.known())
        merged.append(Merged(entry.identity, n_rows, n_rows - before[digest]))
    return merged


def _results(source: str | os.PathLike[str] | Store, target: Store) -> list[Entry]:
    """The results in a store or in the folder of a single result; what is wrong with them is noticed by the target."""
    path = source.path if isinstance(source, Store) else Path(source)
    if not path.exists():
        raise InputError(f"{path} does not exist (looked in {Path.cwd()}); name a store, or one result in it")
    if (path / "identity.json").exists():
        store = Store(path.parents[1])
        entries = [entry for entry in store.entries() if entry.folder.resolve() == path.resolve()]
    else:
        store = source if isinstance(source, Store) else Store(source)
        entries = list(store.entries())
    for entry in entries:
        entry.known()
    for notice in store.notices:
        target.notice(notice)
    if not entries:
        raise InputError(f"{path} holds no results; name a store, or the KIND/DIGEST folder of one result in it")
    return entries


def _require_one_identity(results: Sequence[tuple[str, Entry]]) -> None:
    (name, first), *others = results
    for other_name, other in others:
        different = first.identity.differences(other.identity)
        if different:
            raise IdentityError(
                f"{name} and {other_name} are results of different things and do not add up:\n  "
                + "\n  ".join(different)
                + "\nto keep both in one store all the same, merge them one after the other"
            )
