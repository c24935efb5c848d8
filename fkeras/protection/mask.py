"""Masks: protected bits in a file, for one memory layout, whatever the weights."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from math import prod
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from fkeras.errors import Argument, InputError, LayoutError, is_whole
from fkeras.faults import TMR
from fkeras.files import check_target, read_own, write_text
from fkeras.memory import BitSet, BitSpace, TensorLayout, layout_digest
from fkeras.memory.coverage import COVERAGE
from fkeras.memory.layout import widths_of

SCHEMA = "fkeras-protection/1"
_MAGIC, _VERSION = SCHEMA.split("/")
_REMEDY = "write it with `fkeras protect` or fkeras.protect(...).mask.write(path)"
_MOST_BYTES = 1 << 28


@dataclass(frozen=True, slots=True, eq=False)
class Mask:
    """Protected bits with the layout that they belong to.

    Arguments:
        bits: flat indices.
        tensors: the layout.
        provenance: plain values that say how the bits were chosen: granularity, rankings, models, assumptions,
            versions.
    """

    bits: BitSet
    tensors: tuple[TensorLayout, ...]
    provenance: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, bits: BitSet, space: BitSpace, provenance: Mapping[str, Any] | None = None) -> Mask:
        """The mask of `bits` of a space."""
        space.check(bits)
        tensors = tuple(tensor.layout for tensor in space.arrays)
        versions = {"fkeras": import_module("fkeras").__version__, "numpy": np.__version__}
        return cls(
            BitSet(bits.bits, space.layout_digest, bits.label), tensors, {**(provenance or {}), "versions": versions}
        )

    def __repr__(self) -> str:
        return f"<Mask of {len(self.bits):,} of {self.n_bits:,} bits, sha {self.digest[:8]}>"

    @property
    def n_bits(self) -> int:
        """Bits of the memory."""
        return sum(tensor.n_bits for tensor in self.tensors)

    @property
    def layout_digest(self) -> str:
        """The digest of the layout, a space's own."""
        return layout_digest(self.tensors)

    @property
    def digest(self) -> str:
        """SHA-256 of layout and bits: the same for equal masks, however they were chosen."""
        content = "".join([self.layout_digest, *self._hex()])
        return hashlib.sha256(content.encode()).hexdigest()

    def words(self) -> list[np.ndarray]:
        """Of each tensor, the mask of each word in storage order, (size,) uint64; a set bit is a protected one."""
        return [tensor.words(part).astype(np.uint64) for tensor, part in zip(self.tensors, self._covered, strict=True)]

    @property
    def _covered(self) -> list[np.ndarray]:
        """Of each tensor, whether each bit is protected, (n_bits,)."""
        covered = np.zeros(self.n_bits, np.bool_)
        covered[self.bits.bits] = True
        ends = np.cumsum([tensor.n_bits for tensor in self.tensors])
        return np.split(covered, ends[:-1]) if self.tensors else []

    def on(self, space: BitSpace, label: str = "") -> BitSet:
        """The bits, for a model of the same layout. LayoutError names the first tensor that differs."""
        if space.layout_digest != self.layout_digest:
            pairs = zip(self.tensors, (tensor.layout for tensor in space.arrays), strict=False)
            where = next(
                (f"tensor {a} in the mask is {b} in the model{_first_width(a, b)}" for a, b in pairs if a != b),
                f"the mask has {len(self.tensors)} tensors, the model {len(space.arrays)}",
            )
            made_with = [part for name in COVERAGE for part in (", ", Argument(name))][1:]
            trained = "; widths of this memory are trained, so that every retraining needs a mask of its own"
            raise LayoutError(
                f"{label or self.bits.label or 'this mask'} was made for a memory of layout {self.layout_digest[:12]}, "
                f"this one has {space.layout_digest[:12]}: {where}; choose bits for this model by `fkeras protect`, or "
                "take the ",
                *made_with,
                " that the mask was made with",
                trained if space.has_trained_widths else "",
            )
        return BitSet(self.bits.bits, space.layout_digest, label or self.bits.label, self._origin)

    @property
    def _origin(self) -> str:
        return f"a fixed mask, not ranked anew, sha {self.digest[:8]}"

    def _hex(self) -> list[str]:
        """Of each tensor, its bits in storage order, four to a digit, the first bit highest; zeros fill the end."""
        return [np.packbits(part).tobytes().hex() for part in self._covered]

    def text(self) -> str:
        """The mask as JSON, which `parse` reads."""
        tensors = [
            {"path": tensor.path, "shape": list(tensor.shape), "word_bits": tensor.word_bits, "protected": digits}
            for tensor, digits in zip(self.tensors, self._hex(), strict=True)
        ]
        return json.dumps(
            {
                "schema": SCHEMA,
                "layout_digest": self.layout_digest,
                "n_bits": self.n_bits,
                "n_protected": len(self.bits),
                "sha256": self.digest,
                "label": self.bits.label,
                "tensors": tensors,
                "provenance": dict(self.provenance),
            },
            indent=1,
            allow_nan=False,
        )

    def write(self, path: str | os.PathLike[str]) -> None:
        """Write the JSON file, whole or not at all. InputError where that is not possible."""
        check_target(path)
        write_text(path, self.text() + "\n")

    def write_rtl(
        self,
        folder: str | os.PathLike[str],
        space: BitSpace,
        under: Any = TMR,
        clock_hz: float = 40e6,
        ports: Mapping[str, Any] | None = None,
    ) -> list[Path]:
        """Write the memory as SystemVerilog into a folder, made if need be; the paths. `fkeras rtl-check` verifies it.

        Arguments:
            folder: a new one, or one that holds the RTL of the same memory.
            space: the memory, whose words are loaded.
            under: what protects the bits: fkeras.TMR, SECDED or Parity, or a function of the bits, which may give a
                list.
            clock_hz: of the cycles in which a scrubber counts its interval.
            ports: as `fkeras.hls4ml.ports` gives them, for a project that reads its weights from outside.
        """
        from fkeras.rtl import weight_memory

        return weight_memory(under(self.on(space)), space, clock_hz, ports=ports).write(folder)

    @classmethod
    def parse(cls, text: str, name: str = "this text") -> Mask:
        """The mask that `text` wrote. InputError names what is wrong: no JSON, another schema, damaged, altered."""

        def refuse(what: str) -> NoReturn:
            raise InputError(f"{name}: {what}; {_REMEDY}")

        try:
            content = json.loads(text)
        except (ValueError, RecursionError) as error:
            refuse(f"is no JSON ({str(error).splitlines()[0]}): damaged, cut short, or another kind of file")
        schema = content.get("schema") if isinstance(content, dict) else None
        if schema != SCHEMA:
            if isinstance(schema, str) and schema.startswith(f"{_MAGIC}/"):
                refuse(f"has schema {schema[:40]!r}, this version of fkeras reads {SCHEMA!r}")
            refuse(f"is no protection mask: 'schema' is {str(schema)[:40]!r}, expected {SCHEMA!r}")
        missing = [key for key in ("layout_digest", "n_protected", "sha256", "tensors") if key not in content]
        if missing:
            refuse(f"has no {missing[0]!r}")
        if not isinstance(content["tensors"], list):
            refuse(f"'tensors' is a {type(content['tensors']).__name__}, expected a list")
        tensors, parts = [], []
        for number, entry in enumerate(content["tensors"]):
            try:
                tensor, digits = _tensor(entry)
            except (TypeError, ValueError, KeyError) as error:
                refuse(f"tensor number {number} has no readable {error}")
            if len(digits) != 2 * -(-tensor.n_bits // 8):
                refuse(
                    f"tensor {tensor} needs {2 * -(-tensor.n_bits // 8)} hexadecimal digits, 'protected' has "
                    f"{len(digits)}: damaged"
                )
            try:
                unpacked = np.unpackbits(np.frombuffer(bytes.fromhex(digits), np.uint8))
            except ValueError:
                refuse(f"tensor {tensor}: 'protected' is not hexadecimal: damaged")
            tensors.append(tensor)
            parts.append(unpacked[: tensor.n_bits])
        bits = np.flatnonzero(np.concatenate([np.zeros(0, np.uint8), *parts]))
        label, provenance = content.get("label"), content.get("provenance")
        mask = cls(
            BitSet(bits, None, label if isinstance(label, str) else ""),
            tuple(tensors),
            provenance if isinstance(provenance, dict) else {},
        )
        if mask.layout_digest != content["layout_digest"]:
            refuse("its tensors are not those of its layout_digest: altered or damaged")
        if mask.digest != content["sha256"] or len(bits) != content["n_protected"]:
            refuse(f"its {len(bits):,} bits are not the {content['n_protected']!r} of its sha256: altered or damaged")
        return cls(BitSet(bits, mask.layout_digest, mask.bits.label), mask.tensors, mask.provenance)


def _first_width(ours: TensorLayout, theirs: TensorLayout) -> str:
    """The first word that is wider or narrower, where both have words of several widths."""
    if (ours.path, ours.shape) != (theirs.path, theirs.shape) or isinstance(ours.width, int):
        return ""
    first = int(np.flatnonzero(ours.widths != theirs.widths)[0])
    element = [int(i) for i in np.unravel_index(first, ours.shape)]
    return f", where element {element} has {theirs.widths[first]} bits and not {ours.widths[first]}"


def _tensor(entry: Any) -> tuple[TensorLayout, str]:
    if not isinstance(entry, dict):
        raise TypeError("description")
    path, shape, digits = entry.get("path"), entry.get("shape"), entry.get("protected")
    if not isinstance(path, str):
        raise TypeError("'path'")
    if not isinstance(shape, list) or not all(is_whole(n, 0) for n in shape) or prod(shape) > 8 * _MOST_BYTES:
        raise TypeError("'shape'")
    width = widths_of(entry.get("word_bits"), prod(shape))
    if width is None:
        raise TypeError("'word_bits'")
    if not isinstance(digits, str):
        raise TypeError("'protected'")
    return TensorLayout(path, tuple(shape), width), digits


def read_mask(path: str | os.PathLike[str]) -> Mask:
    """The mask in a file.

    Arguments:
        path: what `Mask.write` or `fkeras protect` wrote.

    Raises:
        InputError: for a file that is missing, foreign, cut short or altered: which, and what to do.
    """
    return Mask.parse(read_own(path, "mask", _MOST_BYTES, _REMEDY), f"mask {Path(path)}")
