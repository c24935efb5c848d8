"""Identities: all that a result depends on, as readable values with one digest."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from fkeras.errors import IdentityError

FORMAT = 2
"""Raised when older tables would be read wrongly; it is part of every identity."""


@dataclass(frozen=True, eq=False)
class Identity:
    """What a result is the result of: a kind such as "oracle", and plain values by name (text, numbers, None, nested).

    Two results with equal identities are one result, and their tables add up.
    """

    kind: str
    values: Mapping[str, Any]

    @cached_property
    def text(self) -> str:
        """Canonical JSON: sorted keys, no blanks."""
        return json.dumps(self._all, sort_keys=True, separators=(",", ":"), allow_nan=False)

    @cached_property
    def readable(self) -> str:
        """The same for people, as identity.json holds it."""
        return json.dumps(self._all, sort_keys=True, indent=2, allow_nan=False) + "\n"

    @property
    def _all(self) -> dict[str, Any]:
        return {"kind": self.kind, "format": FORMAT, **self.values}

    @cached_property
    def digest(self) -> str:
        """SHA-256 of `text`."""
        return hashlib.sha256(self.text.encode()).hexdigest()

    @classmethod
    def parse(cls, text: str) -> Identity:
        """The identity that an identity.json holds; ValueError when it is none."""
        values = json.loads(text)
        if not isinstance(values, dict) or not isinstance(values.get("kind"), str):
            raise ValueError("no identity")
        kind = values.pop("kind")
        # The format of the file stays among the values, so that the digest is that of the file.
        return cls(kind, values)

    def differences(self, other: Identity) -> list[str]:
        """One line for each value that differs, as in `data: 1f0c... against 77ab...`; empty for equal identities."""
        mine, others = dict(_flat(self._all)), dict(_flat(other._all))
        return [
            f"{key}: {_short(mine.get(key))} against {_short(others.get(key))}"
            for key in sorted({*mine, *others})
            if mine.get(key) != others.get(key)
        ]


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield prefix + key, value


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= 40 else f"{text[:37]}..."


def digest_of(data: Any) -> str:
    """SHA-256 of arrays: type, shape and bytes of each, in any nesting of tuples, lists and dicts of arrays.

    IdentityError for arrays of Python objects, whose bytes say nothing.
    """
    digest = hashlib.sha256()
    _update(digest, data)
    return digest.hexdigest()


def _update(digest: Any, data: Any) -> None:
    if data is None:
        digest.update(b"none;")
    elif isinstance(data, Mapping):
        digest.update(f"dict {len(data)};".encode())
        for key in sorted(data):
            digest.update(f"{key!r};".encode())
            _update(digest, data[key])
    elif isinstance(data, tuple) or (isinstance(data, list) and data and np.ndim(data[0]) > 0):
        digest.update(f"arrays {len(data)};".encode())
        for part in data:
            _update(digest, part)
    else:
        array = np.asarray(data)
        if array.dtype.hasobject:
            raise IdentityError(
                f"data of type {type(data).__name__} hold Python objects, which have no digest; "
                "convert them to arrays of numbers, or leave the store out"
            )
        digest.update(f"{array.dtype.str} {array.shape};".encode())
        digest.update(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data if array.size else b"")
