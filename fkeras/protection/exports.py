"""For other tools: masks as a CSV of addresses, and as C headers with one mask word per weight; checks as C headers."""

from __future__ import annotations

import csv
import io
import os
import re
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from fkeras.errors import InputError
from fkeras.faults.checked_words import CheckedWords
from fkeras.faults.readings import MixedReading, RangeReading, Reading
from fkeras.files import check_target, write_text
from fkeras.memory import BitAddress, TensorLayout
from fkeras.memory.layout import MAX_WIDTH
from fkeras.protection.mask import Mask
from fkeras.protection.word_tables import stored_ones, words_digest


def csv_text(mask: Mask) -> str:
    """One row per protected bit: address, flat index, tensor, element in storage order, bit (0 = MSB)."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(("address", "index", "tensor", "element", "bit"))
    ends = np.cumsum([tensor.n_bits for tensor in mask.tensors])
    for index in mask.bits:
        number = int(np.searchsorted(ends, index, side="right"))
        tensor = mask.tensors[number]
        (element,), (bit,) = tensor.locate(np.array([index - int(ends[number]) + tensor.n_bits]))
        place = np.unravel_index(element, tensor.shape) if tensor.shape else ()
        address = BitAddress(tensor.path, tuple(int(i) for i in place), int(bit))
        writer.writerow((str(address), index, tensor.path, element, bit))
    return out.getvalue()


def write_csv(mask: Mask, path: str | os.PathLike[str]) -> None:
    """Write the CSV file, whole or not at all."""
    check_target(path)
    write_text(path, csv_text(mask))


_ORDERS = {False: "storage order (Keras' flatten order)", True: "the order of hls4ml's weight files"}
"""By whether a mask says which arrays of hls4ml its tensors are."""


def c_headers(mask: Mask) -> dict[str, str]:
    """A C header per layer by file name: an array per tensor, one mask word per weight, in the mask's order."""
    names = _names(tensor.path for tensor in mask.tensors)
    layers: dict[str, list[tuple[TensorLayout, np.ndarray]]] = {layer: [] for layer in names}
    for tensor, words in zip(mask.tensors, mask.words(), strict=True):
        layers[_layer(tensor.path)].append((tensor, words))
    return {_file(names[layer]): _header(mask, layer, names[layer], tensors) for layer, tensors in layers.items()}


def header_files(paths: Iterable[str]) -> list[str]:
    """The names of the C headers of a layout, from the paths of its tensors."""
    return [_file(name) for name in _names(paths).values()]


def _names(paths: Iterable[str]) -> dict[str, str]:
    """A C identifier for each layer."""
    names: set[str] = set()
    return {layer: unique(identifier(layer), names) for layer in dict.fromkeys(map(_layer, paths))}


def _layer(path: str) -> str:
    return path.rpartition("/")[0] or path


def _file(name: str) -> str:
    return f"{name}_mask.h"


def write_headers(mask: Mask, folder: str | os.PathLike[str]) -> list[Path]:
    """Write the C headers of a mask into a folder, made if need be; their paths."""
    return _written(c_headers(mask), folder)


def words_headers(guard: CheckedWords, ones: Mask | None = None) -> dict[str, str]:
    """A C header per layer by file name: of each tensor the patterns to load, and how they are read.

    ones: the `stored_ones` of the check in another order, as `fkeras.hls4ml.reordered` gives them.
    """
    loaded = stored_ones(guard) if ones is None else ones
    names = _names(tensor.path for tensor in loaded.tensors)
    layers: dict[str, list[tuple[TensorLayout, np.ndarray, Reading]]] = {layer: [] for layer in names}
    for tensor, words, reading in zip(loaded.tensors, loaded.words(), guard.readings, strict=True):
        layers[_layer(tensor.path)].append((tensor, words, reading))
    digest = words_digest(guard)
    return {
        f"{names[layer]}_words.h": _words_header(loaded, digest, layer, names[layer], parts)
        for layer, parts in layers.items()
    }


def write_words_headers(guard: CheckedWords, folder: str | os.PathLike[str], ones: Mask | None = None) -> list[Path]:
    """Write the C headers of a check into a folder, made if need be; their paths. ones: as for `words_headers`."""
    return _written(words_headers(guard, ones), folder)


def _written(texts: dict[str, str], folder: str | os.PathLike[str]) -> list[Path]:
    target = Path(folder)
    if target.exists() and not target.is_dir():
        raise InputError(f"{target} is a file; name a folder for the C headers, one per layer")
    paths = []
    for name, text in texts.items():
        check_target(target / name)
        write_text(target / name, text)
        paths.append(target / name)
    return paths


def _header(mask: Mask, layer: str, name: str, tensors: list[tuple[TensorLayout, np.ndarray]]) -> str:
    about = [
        f"/* Protected bits of layer {comment(layer)}: 1 is protected. The highest bit of a mask word",
        "   covers the most significant bit of the weight, which addresses call bit 0.",
        f"   Words in {_ORDERS['order' in mask.provenance]}.",
        f"   Layout {mask.layout_digest[:16]}, mask {mask.digest[:16]} */",
    ]
    lines: list[str] = []
    names: set[str] = set()
    for tensor, words in tensors:
        own = unique(f"{name}_{identifier(tensor.path.rpartition('/')[2])}_mask", names)
        lines += _array(own, tensor.widest, words, f"{comment(tensor.path)}, shape {tensor.shape}")
        lines += _widths(unique(f"{own}_widths", names), tensor)
    return _guarded(f"FKERAS_{name.upper()}_MASK_H", about, lines)


def _words_header(
    loaded: Mask, digest: str, layer: str, name: str, parts: list[tuple[TensorLayout, np.ndarray, Reading]]
) -> str:
    about = [
        f"/* What the cells of layer {comment(layer)} are loaded with, and how they are read: a table has the word",
        "   that each pattern reads as; limits are the lower ones, then the upper ones, one per tensor or channel.",
        f"   Patterns in {_ORDERS['order' in loaded.provenance]}.",
        f"   Layout {loaded.layout_digest[:16]}, check {digest[:16]} */",
    ]
    lines: list[str] = []
    names: set[str] = set()
    for tensor, words, reading in parts:
        own, path = f"{name}_{identifier(tensor.path.rpartition('/')[2])}", comment(tensor.path)
        lines += _array(unique(f"{own}_patterns", names), tensor.widest, words, f"{path}, shape {tensor.shape}")
        lines += _widths(unique(f"{own}_widths", names), tensor)
        if isinstance(reading, MixedReading):
            number = np.zeros(tensor.size, np.int64)
            for nth, (elements, _) in enumerate(reading.parts, 1):
                number[elements] = nth
            which = f"{path}: which of the following reads each word, 0 for a word of no bits"
            lines += _array(unique(f"{own}_format", names), len(reading.parts).bit_length(), number, which)
        decoders = {"": reading}
        if isinstance(reading, MixedReading):
            decoders = {f"_{nth}": decoder for nth, (_, decoder) in enumerate(reading.parts, 1)}
        for suffix, decoder in decoders.items():
            what = f"{'limits' if isinstance(decoder, RangeReading) else 'table'}{suffix}"
            width = int(decoder.constant_widths[0])
            lines += _array(unique(f"{own}_{what}", names), width, decoder.constants, f"{path}: {what}")
    return _guarded(f"FKERAS_{name.upper()}_WORDS_H", about, lines)


def _guarded(guard: str, about: list[str], lines: list[str]) -> str:
    head = [*about, f"#ifndef {guard}", f"#define {guard}", "", "#include <stdint.h>"]
    return "\n".join([*head, *lines, "", f"#endif /* {guard} */", ""])


def _widths(name: str, tensor: TensorLayout) -> list[str]:
    """The bits of each word, where words differ in that."""
    if isinstance(tensor.width, int):
        return []
    return _array(name, MAX_WIDTH.bit_length(), tensor.width, f"{comment(tensor.path)}: bits of each word")


def _array(name: str, width: int, words: np.ndarray, about: str) -> list[str]:
    """An array of words of so many bits, with its width and size."""
    store = next(bits for bits in (8, 16, 32) if width <= bits)
    cells = [f"0x{word:0{store // 4}x}" for word in words.tolist()] or ["0"]
    return [
        "",
        f"/* {about} */",
        f"#define {name.upper()}_WIDTH {width}",
        f"#define {name.upper()}_SIZE {words.size}",
        f"static const uint{store}_t {name}[{len(cells)}] = {{",
        *(f"    {', '.join(cells[start : start + 8])}," for start in range(0, len(cells), 8)),
        "};",
    ]


def identifier(text: str) -> str:
    """A C identifier, and a file name, out of any text."""
    plain = re.sub(r"[^A-Za-z0-9]+", "_", text).strip("_")[:80]
    return plain if plain and not plain[0].isdigit() else f"layer_{plain}".rstrip("_")


def unique(name: str, taken: set[str]) -> str:
    """`name`, with a number where it is taken; upper and lower case count as one, as file systems may have it."""
    candidate, number = name, 2
    while candidate.lower() in taken:
        candidate, number = f"{name}_{number}", number + 1
    taken.add(candidate.lower())
    return candidate


def comment(text: str) -> str:
    return re.sub(r"[^\x20-\x7e]", "?", text).replace("*/", "* /").replace("/*", "/ *")
