"""A set of bits of one space: what a ranking's slice is, and what a protection covers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fkeras.errors import InputError, LayoutError


def common_layout(a: str | None, b: str | None) -> str | None:
    """The layout of bits from two sources; None is unknown and agrees with any. LayoutError when they differ."""
    if a is not None and b is not None and a != b:
        raise LayoutError(f"bits of layout {a[:12]} cannot be combined with bits of layout {b[:12]}")
    return a if a is not None else b


@dataclass(frozen=True, slots=True, eq=False)
class BitSet:
    """Distinct flat bit indices, sorted.

    Arguments:
        bits: (n,) whole numbers from 0 up, in any order; as an attribute (n,) int64, sorted, each once, read-only.
        layout_digest: the layout they belong to, None: unknown.
        label: how reports call the set.
        origin: where it comes from, for reports, such as "frozen in protection.json".
    """

    bits: NDArray[np.int64]
    layout_digest: str | None = None
    label: str = ""
    origin: str = ""

    def __post_init__(self) -> None:
        try:
            indices = np.atleast_1d(np.asarray(self.bits))
        except ValueError as error:
            raise InputError(
                f"bits are flat indices, whole numbers in one dimension; got {self.bits!r}: {error}"
            ) from None
        if indices.size == 0:
            indices = indices.astype(np.int64).reshape(0)
        if indices.dtype.kind not in "iu" or indices.ndim != 1:
            raise InputError(
                f"bits are flat indices, whole numbers in one dimension; got {indices.dtype} of shape {indices.shape}"
            )
        is_ascending = bool((indices[1:] > indices[:-1]).all())
        distinct = (indices if is_ascending else np.unique(indices)).astype(np.int64)
        if distinct.size and distinct[0] < 0:
            raise InputError(f"bit {int(distinct[0])} does not exist; flat indices start at 0")
        distinct.flags.writeable = False
        object.__setattr__(self, "bits", distinct)

    @classmethod
    def of(cls, bits: BitSet | ArrayLike) -> BitSet:
        """`bits` as a BitSet, unchanged if it is one."""
        return bits if isinstance(bits, BitSet) else cls(bits)  # type: ignore[arg-type]

    def __len__(self) -> int:
        return int(self.bits.size)

    def __iter__(self) -> Iterator[int]:
        return iter(self.bits.tolist())

    def __contains__(self, bit: object) -> bool:
        return bool(np.isin(bit, self.bits)) if isinstance(bit, int | np.integer) else False

    def __array__(self, dtype: object = None, copy: bool | None = None) -> NDArray[np.int64]:
        return np.array(self.bits, dtype=dtype)  # type: ignore[call-overload, no-any-return]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, BitSet) and np.array_equal(self.bits, other.bits)

    def __hash__(self) -> int:
        return hash(self.bits.tobytes())

    def __or__(self, other: BitSet) -> BitSet:
        return self._combined(np.union1d(self.bits, other.bits), other, "|")

    def __and__(self, other: BitSet) -> BitSet:
        return self._combined(np.intersect1d(self.bits, other.bits), other, "&")

    def __sub__(self, other: BitSet) -> BitSet:
        return self._combined(np.setdiff1d(self.bits, other.bits), other, "-")

    def _combined(self, bits: NDArray[np.int64], other: BitSet, sign: str) -> BitSet:
        label = f"{self.label} {sign} {other.label}" if self.label and other.label else ""
        origins = dict.fromkeys(filter(None, (*self.origin.split("; "), *other.origin.split("; "))))
        return BitSet(bits, common_layout(self.layout_digest, other.layout_digest), label, "; ".join(origins))

    @property
    def origin_text(self) -> str:
        """The origin as the end of a sentence."""
        return f"; {self.origin}" if self.origin else ""

    def __repr__(self) -> str:
        return f"<BitSet of {len(self):,} bits{f': {self.label}' if self.label else ''}>"

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        printer.text(repr(self))  # not field by field, as hypothesis prints dataclasses
