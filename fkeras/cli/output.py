"""What commands write: JSON that every reader accepts, whole or not at all."""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from fkeras.errors import InputError
from fkeras.files import check_target as check_writable
from fkeras.files import require_distinct, require_own, write_pieces

_WRITTEN = {
    "--json": "result",
    "--html": "page",
    "--markdown": "summary",
    "--trend": "trend",
    "--badge": "badge",
    "--openmetrics": "metrics report",
    "--figure": "figure",
}
"""Option -> what kind of file it writes."""
_READ = ("model", "weights", "data", "inputs", "geometry", "mask", "project", "report")
_MASKS = {"protection.json": "mask", "protection.csv": "list of protected bits"}


def check_targets(options: argparse.Namespace) -> None:
    """InputError unless the files that the arguments want written can be, in the place of nobody else's."""
    for option, path in _targets(options).items():
        check_target(path)
        _require_replaceable(path, _WRITTEN[option], option, options)
    require_distinct(_targets(options))


def check_network(options: argparse.Namespace) -> None:
    """The same for the `.fkn` file that --output names."""
    check_target(options.output)
    _require_replaceable(options.output, "network", "--output", options)


def check_masks(
    folder: str | os.PathLike[str], option: str, headers: Iterable[str], options: argparse.Namespace
) -> None:
    """The same for the files of a mask in a folder: protection.json, protection.csv and C headers of these names."""
    for name, kind in {**_MASKS, **dict.fromkeys(headers, "C header")}.items():
        path = Path(folder, name)
        if os.path.lexists(path):
            check_writable(path)
            _require_replaceable(path, kind, option, options)
        require_distinct({**_targets(options), option: path})


def _targets(options: argparse.Namespace) -> dict[str, str]:
    asked = {option: getattr(options, option.removeprefix("--"), None) for option in _WRITTEN}
    return {option: path for option, path in asked.items() if path is not None}


def _require_replaceable(path: str | os.PathLike[str], kind: str, option: str, options: argparse.Namespace) -> None:
    _require_no_input(path, option, options)
    if not options.force:
        try:
            require_own(path, kind, "replace it by --force")
        except InputError as error:
            raise InputError(f"{option}: {error}") from None


def _require_no_input(path: str | os.PathLike[str], option: str, options: argparse.Namespace) -> None:
    """InputError for a file to write that is one of those to read, by whatever name."""
    for name in _READ:
        given = getattr(options, name, None)
        for source in given if isinstance(given, list) else [given]:
            if source is not None and _is_one_file(source, path):
                option_read = "--data" if name == "inputs" else f"--{name}"
                what = name.upper() if name in ("model", "report") else f"{option_read} {source}"
                raise InputError(f"{option}: {os.fspath(path)} is the {what} that is read; name another file to write")


def _is_one_file(a: str, b: str | os.PathLike[str]) -> bool:
    try:
        return os.path.samefile(a, b)
    except (OSError, ValueError):  # one of them is not there
        return False


def check_target(path: str) -> None:
    """InputError unless a file could be written at `path`: before hours of work, not after. Makes no folder."""
    if path == "-":
        raise InputError("-: results are written to a file; name one, as in out.json")
    try:
        with suppress(FileNotFoundError):
            os.lstat(path)  # refuses names that no file can have
        parent = Path(path).parent
        if parent.is_dir():
            check_writable(path)
            return
    except (OSError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path}: cannot be written ({error}); name a file in a folder of yours") from None
    raise InputError(f"{path}: there is no folder {parent}; make it first, or name another file")


def write_json(path: str, content: Mapping[str, Any]) -> None:
    """Write strict JSON: infinities and NaN as the texts "inf", "-inf" and "nan".

    A value that is an iterator is written as an array, an element at a time, so that it never stands in memory whole.
    """
    write_pieces(path, _pieces(content))


def _pieces(content: Mapping[str, Any]) -> Iterator[str]:
    for number, (name, value) in enumerate(content.items()):
        yield f"{', ' if number else '{'}{json.dumps(name)}: "
        if isinstance(value, Iterator):
            yield "["
            for place, one in enumerate(value):
                yield f"{', ' if place else ''}{_json(one)}"
            yield "]"
        else:
            yield _json(value)
    yield "}\n"


def _json(value: Any) -> str:
    from fkeras.plain import plain

    return json.dumps(plain(value), allow_nan=False)
