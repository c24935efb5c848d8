"""Arrays of numbers from `.npz` files that may come from anywhere: no pickles, nothing larger than the memory."""

from __future__ import annotations

import os
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fkeras.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

_DAMAGES = (ValueError, EOFError, KeyError, OSError, RuntimeError, MemoryError, zipfile.BadZipFile, zlib.error)
_REAL = "biuf"


def read_npz(
    path: str | os.PathLike[str], required: Sequence[str], optional: Sequence[str] = ()
) -> dict[str, NDArray[Any]]:
    """The arrays `required`, and those of `optional` that are there, by name; real numbers of any shape.

    InputError for a file that is missing, damaged or no npz, for a missing array, for one that holds something else
    than bool, integer or float numbers, and for one that would not fit into the memory.
    """
    file = Path(path)
    names = ", ".join(f"{name}={name}" for name in required)
    # Under another name: the file may be a good one, of something else.
    remedy = f"write it with numpy.savez('{file.stem}_{'_'.join(required)}.npz', {names})"
    try:
        if not file.exists():
            raise InputError(f"{file} does not exist (looked in {Path.cwd()})")
        if not file.is_file() or not zipfile.is_zipfile(file):
            raise InputError(f"{file}: is no .npz file; {remedy}")
        with zipfile.ZipFile(file) as archive:
            sizes = {one.filename.removesuffix(".npy"): one.file_size for one in archive.infolist()}
    except InputError:
        raise
    except _DAMAGES as error:
        raise InputError(f"{file}: cannot be read as .npz ({_first_line(error)}); {remedy}") from error
    missing = [name for name in required if name not in sizes]
    if missing:
        raise InputError(
            f"{file}: has no array {missing[0]!r}; it holds {', '.join(sizes) or 'nothing'}, needed are "
            f"{' and '.join(required)}: {remedy}"
        )
    wanted = [name for name in (*required, *optional) if name in sizes]
    needed = sum(sizes[name] for name in wanted)
    if needed > _memory_bytes():
        raise InputError(
            f"{file}: its arrays take {needed / 2**30:,.1f} GiB once unpacked, more than this machine's memory; "
            "store fewer samples"
        )
    return {name: _array(file, name) for name in wanted}


def _array(file: Path, name: str) -> NDArray[Any]:
    import numpy as np

    try:
        with np.load(file, allow_pickle=False) as content:
            array: NDArray[Any] = content[name]
    except _DAMAGES as error:
        if "allow_pickle" in str(error):
            raise InputError(
                f"{file}: array {name!r} holds Python objects, which are never unpickled (a pickle can run code); "
                f"store numbers, as in {name}.astype('float32')"
            ) from None
        raise InputError(f"{file}: array {name!r} is damaged ({_first_line(error)}); write the file again") from error
    if not isinstance(array, np.ndarray):  # numpy gives the bytes of a member that is no .npy file
        raise InputError(f"{file}: array {name!r} is damaged (no .npy header); write the file again")
    if array.dtype.kind not in _REAL:
        raise InputError(
            f"{file}: array {name!r} holds {array.dtype}; allowed are real numbers (bool, integer or float), "
            f"as in {name}.astype('float32')"
        )
    return array


def _memory_bytes() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
