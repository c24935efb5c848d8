"""Parts: small immutable Parquet files, each named by the digest of its own bytes.

The name says what must be inside, so a truncated or altered file is noticed, and putting two stores together is the
union of their files. Rows have a key, the first column; equal keys in several parts are one row.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fkeras.store.disk import write_whole

Table = dict[str, NDArray[Any]]
"""Columns of equal length, the key first."""

GOLDEN_TOLERANCE = 1e-6
"""How far golden values of two machines may lie apart: processors round a float tail differently."""
_GOLDEN = "golden"
_NAME = re.compile(r"part-([0-9a-f]{32})\.parquet")
_IDENTITY = "fkeras.identity"


class DamagedPart(Exception):
    """A part that does not hold what its name or its place says."""


class ForeignPart(DamagedPart):
    """An intact part of another result: in the wrong place, and not ours to remove."""


def is_part(path: Path) -> bool:
    """Whether this is a file, and named like a part."""
    return _NAME.fullmatch(path.name) is not None and (path.is_file() or not path.exists())


def encoded(table: Table, identity: str) -> bytes:
    """The table as a Parquet file that names the identity it belongs to; the same rows give the same bytes."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    arrow = pa.table({name: pa.array(column) for name, column in table.items()})
    sink = pa.BufferOutputStream()
    with pq.ParquetWriter(sink, arrow.schema, compression="zstd", store_schema=False) as writer:
        writer.write_table(arrow)
        writer.add_key_value_metadata({_IDENTITY: identity})
    content: bytes = sink.getvalue().to_pybytes()
    return content


def name_of(content: bytes) -> str:
    """The name that a part with this content has."""
    return f"part-{hashlib.sha256(content).hexdigest()[:32]}.parquet"


def write_part(folder: Path, table: Table, identity: str) -> Path:
    """Write a table as a part, whole or not at all."""
    content = encoded(table, identity)
    path = folder / name_of(content)
    write_whole(path, content)
    return path


def read_part(path: Path, identity: str) -> Table:
    """The rows of a part; DamagedPart when it is not what it should be, FileNotFoundError when it is gone."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    content = path.read_bytes()
    if name_of(content) != path.name:
        raise DamagedPart("its content does not match its name: truncated or altered")
    try:
        file = pq.ParquetFile(pa.BufferReader(content))
        identity_there = (file.metadata.metadata or {}).get(_IDENTITY.encode(), b"").decode(errors="replace")
        if identity_there != identity:
            raise ForeignPart(f"it belongs to another result ({identity_there[:12] or 'unknown'})")
        arrow = file.read()
        return {name: _array(arrow.column(name)) for name in arrow.column_names}
    except (pa.ArrowException, ArithmeticError, KeyError, MemoryError, OSError, TypeError, ValueError) as error:
        raise DamagedPart(f"it is no table of results ({type(error).__name__})") from error


def _array(column: Any) -> NDArray[Any]:
    array: NDArray[Any] = column.to_numpy()
    return array.astype(str) if array.dtype.hasobject else array


@dataclass(frozen=True, slots=True)
class Terms:
    """What the rows of a result must be to count: nothing that a file says is believed without.

    columns: the kinds of numpy's types by name, the key first; golden: what the fault-free network gives now, which
    every row is stored with; lowest, highest: bounds of `value`, and worst, what it is for undefined outputs;
    before_writing: raises where what is measured is no longer what the identity says.
    """

    columns: Mapping[str, str]
    golden: float | None = None
    lowest: float = -np.inf
    highest: float = np.inf
    worst: float = np.nan
    before_writing: Callable[[], None] = lambda: None

    def stamped(self, table: Table) -> Table:
        """The rows as they are stored."""
        if self.golden is None:
            return table
        return {**table, _GOLDEN: np.full(rows_of(table), self.golden)}

    def accepted(self, stored: Table) -> tuple[Table, str]:
        """The stored rows that count, and what is wrong with the others, "" without any. DamagedPart for a table that
        is another one."""
        columns = dict(self.columns) if self.golden is None else {**self.columns, _GOLDEN: "f"}
        kinds = {name: column.dtype.kind for name, column in stored.items()}
        if kinds != columns:
            raise DamagedPart(f"it has the columns {_listed(kinds)}, not {_listed(columns)}")
        counts = np.ones(rows_of(stored), np.bool_)
        for name, kind in columns.items():
            if kind == "i":
                counts &= stored[name] >= 0
        if "value" in columns:
            value = stored["value"]
            counts &= (value == self.worst) | (np.isfinite(value) & (value >= self.lowest) & (value <= self.highest))
        wrong = [f"{int((~counts).sum()):,} rows with impossible numbers"] if not counts.all() else []
        if self.golden is not None:
            fits = np.isclose(stored[_GOLDEN], self.golden, rtol=GOLDEN_TOLERANCE, atol=GOLDEN_TOLERANCE)
            if not fits.all():
                other = float(stored[_GOLDEN][~fits][0])
                wrong.append(
                    f"{int((~fits).sum()):,} rows that were measured where the fault-free network gave {other:.6g}, "
                    f"which gives {self.golden:.6g} here"
                )
            counts &= fits
        return {name: stored[name][counts] for name in self.columns}, " and ".join(wrong)


def _listed(kinds: Mapping[str, str]) -> str:
    return ", ".join(f"{name} ({kind})" for name, kind in kinds.items())


def united(tables: Sequence[Table]) -> tuple[Table, int]:
    """The rows of several tables in the order of their keys, and how many keys have rows that disagree.

    Of rows that disagree one is chosen by its values, whichever table it came from.
    """
    tables = [table for table in tables if rows_of(table)]
    if not tables:
        return {}, 0
    columns = {name: np.concatenate([table[name] for table in tables]) for name in tables[0]}
    key, *rest = columns
    order = np.lexsort([columns[name] for name in reversed(columns)])
    keys = columns[key][order]
    first = np.ones(keys.size, np.bool_)
    first[1:] = keys[1:] != keys[:-1]
    disagree = np.zeros(keys.size, np.bool_)
    for name in rest:
        values = columns[name][order]
        disagree[1:] |= ~first[1:] & ~_equal(values[1:], values[:-1])
    rows = order[first]
    return {name: column[rows] for name, column in columns.items()}, int(np.unique(keys[disagree]).size)


def _equal(a: NDArray[Any], b: NDArray[Any]) -> NDArray[np.bool_]:
    same: NDArray[np.bool_] = a == b
    return same | ((a != a) & (b != b)) if a.dtype.kind == "f" else same


def rows_of(table: Mapping[str, NDArray[Any]]) -> int:
    """How many rows a table has."""
    return len(next(iter(table.values()))) if table else 0
