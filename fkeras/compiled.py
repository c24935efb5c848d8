"""Functions that numba compiles and keeps on disk, for as long as none that they might call has changed."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, TypeVar, cast

from numba import config, njit

Function = TypeVar("Function", bound=Callable[..., Any])
CALLED_BY_ALL = Path(__file__).with_name("arithmetic")
"""A compiled function calls those of its own folder, and these."""


def compiled(function: Function) -> Function:
    """`function` compiled on its first call and kept on disk; it runs without holding the interpreter's lock."""
    return _kept(function)


def compiled_contracting(function: Function) -> Function:
    """The same, where a product and a sum may be rounded once instead of twice."""
    return _kept(function, fastmath={"contract"})


def _kept(function: Function, **options: Any) -> Function:
    dispatcher = njit(nogil=True, cache=True, **options)(function)
    if config.DISABLE_JIT:
        return function
    # By itself numba looks at the function's own file alone: what it calls in another one is part of the machine code
    # that is kept, and would stay as it was after an update in place.
    file = dispatcher._cache._cache_file
    file._source_stamp = (
        file._source_stamp,
        sources_digest({Path(function.__code__.co_filename).parent, CALLED_BY_ALL}),
    )
    return cast(Function, dispatcher)


def sources_digest(folders: set[Path]) -> str:
    """SHA-256 of all that stands in the Python files of some folders."""
    return hashlib.sha256(b"".join(sorted(map(_digest_of, folders)))).hexdigest()


@cache
def _digest_of(folder: Path) -> bytes:
    digest = hashlib.sha256()
    for path in sorted(folder.glob("*.py")):
        digest.update(hashlib.sha256(path.name.encode()).digest() + hashlib.sha256(path.read_bytes()).digest())
    return digest.digest()
