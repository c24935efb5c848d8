"""The decoders of a check in a file beside the weights: for a chip, and for a check that outlives the weights."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any, NoReturn, TypeGuard, get_args

import numpy as np

from fkeras.errors import InputError, is_whole
from fkeras.faults.checked_words import CheckedWords
from fkeras.faults.readings import WIDEST_TABLE, MixedReading, Outside, RangeReading, Reading, TableReading, channels
from fkeras.faults.word_checks import WordCheck
from fkeras.files import check_target, read_own, write_text
from fkeras.memory import BitSet, BitSpace, MixedFixedPoint, TensorLayout, WordTensor
from fkeras.memory import layout_digest as layout_of
from fkeras.memory.layout import MAX_WIDTH, widths_of
from fkeras.memory.tensor import Part
from fkeras.protection.mask import Mask

SCHEMA = "fkeras-words/1"
_REMEDY = "write it with fkeras.write_words(check, space, path)"
_MOST_BYTES = 1 << 28


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class WordTables(WordCheck):
    """A check frozen in a file; `fkeras.read_words` reads it, and it is a protection like the check that it was.

    layout_digest: of the memory; decoders: plain values by tensor; digest: of all that.
    """

    name: str = ""
    rule: str = ""
    layout_digest: str = ""
    decoders: tuple[dict[str, Any], ...] = ()
    digest: str = ""

    def __repr__(self) -> str:
        return f"<{self.name}, frozen in a file, sha {self.digest[:8]}>"

    def readings(self, space: BitSpace, sources: tuple[BitSpace, ...]) -> tuple[Reading, ...]:
        space.require_layout(self.layout_digest, repr(self))
        return tuple(self._reading(*pair) for pair in zip(space.tensors, self.decoders, strict=True))

    def _reading(self, tensor: WordTensor, decoder: dict[str, Any]) -> Reading:
        tables = decoder.get("parts", [decoder])
        is_mixed = isinstance(tensor.codec, MixedFixedPoint)
        fits = is_mixed == ("parts" in decoder) and len(tables) == len(tensor.parts)
        readings = [_part_reading(tensor, *pair) for pair in zip(tensor.parts, tables, strict=True)] if fits else [None]
        if None in readings:
            raise InputError(
                f"{self!r}: words of tensor '{tensor.path}' are {tensor.codec}, which its limits and tables are not "
                "for; make it again from these weights"
            )
        known = [reading for reading in readings if reading is not None]
        return MixedReading.of(tensor, known) if is_mixed else known[0]


def _part_reading(tensor: WordTensor, part: Part, decoder: dict[str, Any]) -> Reading | None:
    """How words of one codec are read; None where the table is for others."""
    constants, width = np.array(decoder["constants"], np.uint32), decoder.get("width", part.codec.width)
    if width != part.codec.width:
        return None
    if "outside" in decoder:
        channel = channels(tensor, part, "channel" if constants.size > 2 else "tensor")
        if constants.size != 2 * max(1, int(channel.max(initial=0)) + 1):
            return None
        return RangeReading(part.tensor.words, constants, channel, part.codec, decoder["outside"])
    placed = np.array(decoder["patterns"], np.int64)
    return TableReading(np.maximum(placed[part.tensor.words], 0).astype(np.uint32), constants, placed)


def _decoder(tensor: WordTensor, reading: Reading) -> dict[str, Any]:
    layout = tensor.layout
    plain: dict[str, Any] = {"path": layout.path, "shape": list(layout.shape), "word_bits": layout.word_bits}
    if isinstance(reading, MixedReading):
        pairs = zip(tensor.parts, reading.parts, strict=True)
        return {**plain, "parts": [{"width": part.codec.width, **_table(own)} for part, (_, own) in pairs]}
    return {**plain, **_table(reading)}


def _table(reading: Reading) -> dict[str, Any]:
    constants = reading.constants.tolist()
    if isinstance(reading, RangeReading):
        return {"constants": constants, "outside": reading.outside}
    assert isinstance(reading, TableReading)
    return {"constants": constants, "patterns": reading.placed.tolist()}


def words_text(guard: CheckedWords) -> str:
    """A check as JSON, which `parse_words` reads: limits (the lower ones first) or tables by pattern, by tensor."""
    decoders = _decoders(guard)
    content = {
        "schema": SCHEMA,
        "check": guard.name,
        "rule": guard.stated.rule,
        "stated": repr(guard.stated),
        "layout_digest": guard.space.layout_digest,
        "sha256": _digest(guard.name, guard.space.layout_digest, decoders),
        "tensors": decoders,
    }
    return json.dumps(content, allow_nan=False)


def words_digest(guard: CheckedWords) -> str:
    """SHA-256 of the check's limits and tables, the one that its file has."""
    return _digest(guard.name, guard.space.layout_digest, _decoders(guard))


def _decoders(guard: CheckedWords) -> list[dict[str, Any]]:
    return [_decoder(*pair) for pair in zip(guard.space.tensors, guard.readings, strict=True)]


def _digest(kind: str, layout_digest: str, decoders: list[dict[str, Any]]) -> str:
    return hashlib.sha256(json.dumps([kind, layout_digest, decoders], sort_keys=True).encode()).hexdigest()


def parse_words(text: str, name: str = "this text") -> WordTables:
    """The check that `words_text` wrote. InputError names what is wrong: no JSON, another schema, damaged, altered."""

    def refuse(what: str) -> NoReturn:
        raise InputError(f"{name}: {what}; {_REMEDY}")

    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        refuse(f"is no JSON ({str(error).splitlines()[0]}): damaged, cut short, or another kind of file")
    schema = content.get("schema") if isinstance(content, dict) else None
    if schema != SCHEMA:
        refuse(f"holds no check of words: 'schema' is {str(schema)[:40]!r}, expected {SCHEMA!r}")
    try:
        kind, rule, layout, decoders = (content[key] for key in ("check", "rule", "layout_digest", "tensors"))
        is_same = content["sha256"] == _digest(kind, layout, decoders)
    except (KeyError, TypeError) as error:
        refuse(f"has no readable {error}")
    if not is_same:
        refuse("its decoders are not those of its sha256: altered or damaged")
    tensors = [tensor for tensor in map(_layout, decoders) if tensor] if isinstance(decoders, list) else []
    if not isinstance(decoders, list) or len(tensors) != len(decoders):
        refuse("a tensor has limits or tables that are none")
    if layout != layout_of(tensors):
        refuse("its tensors are not those of its layout_digest: altered or damaged")
    return WordTables(
        name=str(kind),
        rule=f"{rule}; frozen in a file, sha {content['sha256'][:8]}",
        layout_digest=layout,
        decoders=tuple(decoders),
        digest=content["sha256"],
    )


def _layout(decoder: Any) -> TensorLayout | None:
    """The tensor of a decoder; None for no decoder: whoever wrote the digest may have written nonsense all the same."""
    if not isinstance(decoder, dict) or not isinstance(decoder.get("path"), str):
        return None
    shape = decoder.get("shape")
    if not isinstance(shape, list) or not all(is_whole(n, 0) for n in shape):
        return None
    widths = widths_of(decoder.get("word_bits"), prod(shape))
    parts = decoder.get("parts", [{**decoder, "width": widths}])
    if widths is None or not isinstance(parts, list):
        return None
    are_tables = all(isinstance(part, dict) and _is_table(part, part.get("width")) for part in parts)
    return TensorLayout(decoder["path"], tuple(shape), widths) if are_tables else None


def _is_table(decoder: dict[str, Any], width: Any) -> bool:
    """Whether these are limits, or a table, of words of so many bits."""
    constants = decoder.get("constants")
    if not is_whole(width, 1, MAX_WIDTH) or not _are_words(constants, 0, width):
        return False
    if "outside" in decoder:
        return decoder["outside"] in get_args(Outside) and len(constants) > 0 and len(constants) % 2 == 0
    patterns = decoder.get("patterns")
    return width <= WIDEST_TABLE and _are_words(patterns, -1, width) and len(constants) == len(patterns) == 1 << width


def _are_words(words: Any, least: int, width: int) -> TypeGuard[list[int]]:
    return isinstance(words, list) and all(is_whole(word, least, (1 << width) - 1) for word in words)


def write_words(check: WordCheck, space: BitSpace, path: str | os.PathLike[str]) -> CheckedWords:
    """Write a check's limits or tables for a memory into a file beside the weights; the check in that memory.

    Arguments:
        check: a RangeCheck, KnownWords or Recoded.
        space: the memory.
        path: of the JSON file, written whole or not at all.
    """
    guard = check.on(space)
    check_target(path)
    write_text(path, words_text(guard) + "\n")
    return guard


def read_words(path: str | os.PathLike[str]) -> WordTables:
    """The check in a file, a protection as it was, frozen: other weights are refused that it would read wrongly.

    Arguments:
        path: what `write_words` wrote.
    """
    return parse_words(read_own(path, "check", _MOST_BYTES, _REMEDY), f"check {Path(path)}")


def stored_ones(guard: CheckedWords) -> Mask:
    """The bits that the cells hold as 1, as a mask: its `words()` are the patterns to load, and
    `fkeras.hls4ml.reordered` puts them into hls4ml's order."""
    ones = [np.zeros(0, np.int64)]
    for number, reading in enumerate(guard.readings):
        ones.append(guard.bits_of(number, np.arange(reading.patterns.size), reading.patterns))
    return Mask.of(BitSet(np.concatenate(ones)), guard.space, {"what": "cells that hold 1"})
