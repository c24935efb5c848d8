"""Result bundles: measured arrays and what they rest on, in one .npz that others can cite and redraw."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fkeras.errors import InputError

if TYPE_CHECKING:
    from fkeras.campaigns import Oracle

FORMAT = "fkeras-bundle/1"


@dataclass(frozen=True, slots=True, eq=False)
class Bundle:
    """arrays: by name, of numbers or text; facts: whatever JSON holds (seeds, digests, versions, machine, date)."""

    arrays: Mapping[str, NDArray[Any]]
    facts: Mapping[str, Any]

    @property
    def digest(self) -> str:
        """SHA-256 of arrays and facts: what a citation should name."""
        digest = hashlib.sha256(FORMAT.encode())
        for name in sorted(self.arrays):
            array = np.ascontiguousarray(self.arrays[name])
            digest.update(f"{name}|{array.dtype.str}|{array.shape}\n".encode())
            digest.update(array.tobytes())
        digest.update(json.dumps(self.facts, sort_keys=True).encode())
        return digest.hexdigest()

    def write(self, path: str | os.PathLike[str]) -> None:
        """Write PATH (.npz), complete or not at all, and beside it the facts and the digest as .json."""
        target = _npz(path)
        if "facts" in self.arrays:
            raise InputError("an array of a bundle is called 'facts'; that name holds the facts, choose another")
        facts = json.dumps(self.facts, sort_keys=True)
        target.parent.mkdir(parents=True, exist_ok=True)
        partial = target.with_suffix(".partial")
        with partial.open("wb") as file:
            np.savez_compressed(
                file,
                facts=np.array([FORMAT, facts, self.digest]),
                **dict(self.arrays),  # type: ignore[arg-type]
            )
        partial.replace(target)
        text = json.dumps({"format": FORMAT, "digest": self.digest, **self.facts}, indent=1, sort_keys=True)
        target.with_suffix(".json").write_text(text + "\n", encoding="utf-8")

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> Bundle:
        """The bundle that `write` wrote. InputError for a missing or foreign file, or one that was changed."""
        source = _npz(path)
        if not source.is_file():
            raise InputError(f"no bundle at {source}")
        with np.load(source, allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
        header = arrays.pop("facts", np.array([""]))
        if header.shape != (3,) or header[0] != FORMAT:
            raise InputError(f"{source} is no bundle of format {FORMAT}")
        bundle = cls(arrays, json.loads(str(header[1])))
        if bundle.digest != header[2]:
            raise InputError(f"{source} does not have the digest that it states: it was changed after it was written")
        return bundle


def oracle_bundle(oracle: Oracle, facts: Mapping[str, Any]) -> Bundle:
    """An oracle, to be read again by `oracle_of`; `facts` are kept beside it."""
    arrays, plain = {}, {}
    for field in fields(oracle):
        value = getattr(oracle, field.name)
        if isinstance(value, np.ndarray):
            arrays[field.name] = value
        else:
            plain[field.name] = value
    return Bundle(arrays, {**facts, "oracle": plain})


def oracle_of(bundle: Bundle) -> Oracle:
    """The oracle in a bundle of `oracle_bundle`."""
    from fkeras.campaigns import Oracle

    if "oracle" not in bundle.facts:
        raise InputError(f"this bundle holds no oracle but {', '.join(bundle.arrays) or 'nothing'}")
    arrays = {field.name: bundle.arrays[field.name] for field in fields(Oracle) if field.name in bundle.arrays}
    return Oracle(**{**bundle.facts["oracle"], **arrays})


def _npz(path: str | os.PathLike[str]) -> Path:
    target = Path(path)
    if target.suffix != ".npz":
        raise InputError(f"{target}: a bundle's name ends in .npz")
    return target
