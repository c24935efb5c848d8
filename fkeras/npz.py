"""Arrays of numbers from `.npz` files that may come from anywhere: no pickles, nothing larger than the memory."""

from __future__ import annotations

import os
import re
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fkeras.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Data = NDArray[Any] | tuple[NDArray[Any], ...] | dict[str, NDArray[Any]]

_DAMAGES = (ValueError, EOFError, KeyError, OSError, RuntimeError, MemoryError, zipfile.BadZipFile, zlib.error)
_REAL = "biuf"
ANY_KIND = f"{_REAL}cmMSUV"
"""Everything but objects: what a project's own metrics and engines may want."""


def read_npz(
    path: str | os.PathLike[str], required: Sequence[str], optional: Sequence[str] = ()
) -> dict[str, NDArray[Any]]:
    """The arrays `required`, and those of `optional` that are there, by name; real numbers of any shape.

    InputError for a file that is missing, damaged or no npz, for a missing array, for one that holds something else
    than bool, integer or float numbers, and for one that would not fit into the memory.
    """
    file = Path(path)
    sizes = _sizes(file, required)
    for name in required:
        if name not in sizes:
            raise _missing(file, name, sizes, required)
    return _arrays(file, [name for name in (*required, *optional) if name in sizes], sizes)


def read_data(path: str | os.PathLike[str], kinds: str = _REAL) -> tuple[Data, Data]:
    """Inputs and targets of a data set: `read_inputs`, and the same of y.

    kinds: the kinds of numpy's types that are allowed; objects, which would be unpickled, never are.
    InputError as of `read_npz`, and unless there is one target per input.
    """
    x, y = _read_parts(path, ("x", "y"), kinds)
    return x, y


def read_inputs(path: str | os.PathLike[str]) -> Data:
    """The inputs of a data set: array x, or a tuple of x0, x1, ... in the order of the model's inputs, or a dict of
    x_NAME by input name. InputError as of `read_npz`."""
    (x,) = _read_parts(path, ("x",))
    return x


def _read_parts(path: str | os.PathLike[str], letters: tuple[str, ...], kinds: str = _REAL) -> list[Data]:
    file = Path(path)
    sizes = _sizes(file, letters)
    names = [_part_names(file, letter, sizes, letters) for letter in letters]
    arrays = _arrays(file, [name for part in names for name in part], sizes, kinds)
    for name, array in arrays.items():
        if array.ndim == 0 or array.shape[0] == 0:
            raise InputError(f"{file}: array {name!r} has shape {array.shape}; at least one sample is needed")
    first, *others = arrays
    for name in others:
        if len(arrays[name]) != len(arrays[first]):
            raise InputError(
                f"{file}: {first} has {len(arrays[first]):,} samples, {name} has {len(arrays[name]):,}; there must be "
                "one target per input"
            )
    return [_together(part, arrays) for part in names]


def _part_names(file: Path, letter: str, sizes: Mapping[str, int], needed: Sequence[str]) -> list[str]:
    """The arrays of `letter`: itself, or the numbered ones in order, or the named ones."""
    numbered = [name for name in sizes if re.fullmatch(rf"{letter}[0-9]{{1,4}}", name)]
    numbered.sort(key=lambda name: int(name[1:]))
    named = [name for name in sizes if name.startswith(f"{letter}_") and name != f"{letter}_"]
    if numbered and (letter in sizes or named):
        raise InputError(
            f"{file}: holds {', '.join(sizes)}; which of them are {letter}? Allowed is one array {letter}, or "
            f"{letter}0, {letter}1, ... (one each, in the model's order), or {letter}_NAME by the model's names"
        )
    if letter in sizes:
        return [letter]
    for number, name in enumerate(numbered):
        if name != f"{letter}{number}":
            raise _missing(file, f"{letter}{number}", sizes, needed)
    if not numbered and not named:
        raise _missing(file, letter, sizes, needed)
    return numbered or named


def _together(names: Sequence[str], arrays: Mapping[str, NDArray[Any]]) -> Data:
    if names[0][1:2] == "_":
        return {name[2:]: arrays[name] for name in names}
    return arrays[names[0]] if len(names) == 1 else tuple(arrays[name] for name in names)


def _missing(file: Path, name: str, sizes: Mapping[str, int], needed: Sequence[str]) -> InputError:
    several = f" ({name[0]}0, {name[0]}1, ... or {name[0]}_NAME for several)" if needed[0] == "x" else ""
    return InputError(
        f"{file}: has no array {name!r}; it holds {', '.join(sizes) or 'nothing'}, needed are "
        f"{' and '.join(needed)}{several}: {_remedy(file, needed)}"
    )


def _remedy(file: Path, names: Sequence[str]) -> str:
    # Under another name: the file may be a good one, of something else.
    arrays = ", ".join(f"{name}={name}" for name in names)
    return f"write it with numpy.savez('{file.stem}_{'_'.join(names)}.npz', {arrays})"


def _sizes(file: Path, needed: Sequence[str]) -> dict[str, int]:
    """The arrays in an npz, with their sizes in bytes once unpacked."""
    try:
        if not file.exists():
            raise InputError(f"{file} does not exist (looked in {Path.cwd()})")
        if not file.is_file() or not zipfile.is_zipfile(file):
            raise InputError(f"{file}: is no .npz file; {_remedy(file, needed)}")
        with zipfile.ZipFile(file) as archive:
            return {member.filename.removesuffix(".npy"): member.file_size for member in archive.infolist()}
    except InputError:
        raise
    except _DAMAGES as error:
        raise InputError(f"{file}: cannot be read as .npz ({_first_line(error)}); {_remedy(file, needed)}") from error


def _arrays(file: Path, names: Sequence[str], sizes: Mapping[str, int], kinds: str = _REAL) -> dict[str, NDArray[Any]]:
    needed = sum(sizes[name] for name in names)
    if needed > memory_bytes():
        raise InputError(
            f"{file}: its arrays take {needed / 2**30:,.1f} GiB once unpacked, more than this machine's memory; "
            "store fewer samples"
        )
    return {name: _array(file, name, kinds) for name in names}


def _array(file: Path, name: str, kinds: str) -> NDArray[Any]:
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
    if array.dtype.kind not in kinds:
        raise InputError(
            f"{file}: array {name!r} holds {array.dtype}; allowed are real numbers (bool, integer or float), "
            f"as in {name}.astype('float32')"
        )
    return array


def memory_bytes() -> int:
    """The memory of this machine."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
