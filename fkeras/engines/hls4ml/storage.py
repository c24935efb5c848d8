"""Which words the chip stores at all.

hls4ml's default strategy makes weights constants of the logic, which synthesis merges, narrows or drops: there is no
bit that could flip. What is said here holds for memories on the chip; the FPGA's configuration memory, which holds the
logic itself and any constants in it, is outside fkeras' model.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from fkeras.engines.hls4ml.convert import Conversion
from fkeras.engines.hls4ml.words import Hls4mlOrder
from fkeras.errors import Argument, InputError
from fkeras.rtl.generate import Port

CONFIGURATION_MEMORY = "the FPGA's configuration memory (the logic and the constants in it) is outside this model"


EXTERNAL = "external memory"
_CHOOSING = {"Libero": "SmartHLS", "Catapult": "Catapult"}
"""Whose templates name no kind of memory and no port, by backend."""


class ConstantWeights(UserWarning):
    """Bits were put into a memory that the chip does not have."""


@dataclass(frozen=True, slots=True)
class Storage:
    """Where a tensor's words are. stored: whether bits of the tensor exist in a memory; why: in words."""

    path: str
    n_words: int
    n_bits: int
    stored: bool
    why: str


def storage_of(conversion: Conversion, order: Hls4mlOrder) -> tuple[Storage, ...]:
    """The storage of every tensor of the space, as the strategy, reuse factor and BramFactor of its layer decide."""
    storage = []
    for held, tensor in zip(order.tensors, order.space.tensors, strict=True):
        node = conversion.graph.graph[held.node]
        stored, why = _where(node, tensor.path.rsplit("/", 1)[-1] == "bias")
        if stored and why.startswith("block RAM") and (tool := _CHOOSING.get(conversion.config["Backend"])) is not None:
            why = why.replace("block RAM", f"memory or registers, as {tool} chooses")
        storage.append(Storage(tensor.path, tensor.size, tensor.n_bits, stored, why))
    return tuple(storage)


def ports_of(conversion: Conversion, order: Hls4mlOrder) -> dict[str, Port]:
    """How each tensor is read from outside. InputError for one that is not, and where no port is known.

    A layer of reuse factor r reads r rows, as hls4ml's `ARRAY_RESHAPE block` packs them; by the latency strategy it
    reads word by word.
    """
    backend = conversion.config["Backend"]
    if (tool := _CHOOSING.get(backend)) is not None:
        raise InputError(
            f"backend {backend}: hls4ml's C++ says nothing of how weights from outside are read, {tool} decides; ports "
            "are known of Vivado and Vitis: set Backend to one of them, or leave out ", Argument("project")
        )  # fmt: skip
    ports = {}
    for held, tensor in zip(order.tensors, storage_of(conversion, order), strict=True):
        if not tensor.why.startswith(EXTERNAL):
            raise InputError(
                f"tensor '{tensor.path}' is not read from outside ({tensor.why}), so that no memory can take its "
                "place: set BramFactor below its number of words, or exclude it with ",
                Argument("layers", f"!{tensor.path.rsplit('/', 1)[0]}"),
            )
        node = conversion.graph.graph[held.node]
        is_packed = str(node.get_attr("strategy", "latency")).lower().startswith("resource")
        rows = int(node.get_attr("reuse_factor", 1)) if is_packed else tensor.n_words
        ports[tensor.path] = Port(held.variable, rows, tuple(held.elements.tolist()))
    return ports


def _where(node: Any, is_bias: bool) -> tuple[bool, str]:
    variable = node.weights["bias" if is_bias else "weight"]
    if getattr(variable, "storage", "register").lower() == "bram":
        return True, f"{EXTERNAL} (larger than BramFactor)"
    if is_bias:
        return False, "constants: biases are partitioned completely"
    strategy, reuse = str(node.get_attr("strategy", "latency")).lower(), int(node.get_attr("reuse_factor", 1))
    if strategy not in ("resource", "resource_unrolled"):
        return False, f"constants: strategy {strategy}"
    if reuse == 1:
        return False, f"constants: strategy {strategy} with reuse factor 1 reads all of them at once"
    left_out = "; zero words may be left out" if strategy == "resource_unrolled" else ""
    return True, f"block RAM: strategy {strategy}, reuse factor {reuse}{left_out}"


def missing(storage: tuple[Storage, ...]) -> str:
    """One sentence on the words that are not stored, "" when all are."""
    absent = [tensor for tensor in storage if not tensor.stored]
    if not absent:
        return ""
    bits, every = sum(tensor.n_bits for tensor in absent), sum(tensor.n_bits for tensor in storage)
    return f"NOT STORED: {bits:,} of {every:,} bits ({', '.join(f'{tensor.path}: {tensor.why}' for tensor in absent)})"
