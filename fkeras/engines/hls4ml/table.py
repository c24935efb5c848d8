"""Words, bits and protection of every tensor beside hls4ml's own numbers for its layer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from typing import Any

import numpy as np

from fkeras.engines.hls4ml.convert import Conversion
from fkeras.engines.hls4ml.storage import CONFIGURATION_MEMORY, missing, storage_of
from fkeras.engines.hls4ml.words import Hls4mlOrder
from fkeras.memory import BitSet


@dataclass(frozen=True, slots=True)
class ResourceRow:
    """One tensor. variable: hls4ml's array; type: of its words; extra_bits: what TMR of the protected bits adds;
    multipliers: how many the layer's products need at its reuse factor, zero weights left out where hls4ml does.
    """

    path: str
    variable: str
    type: str
    n_words: int
    n_bits: int
    protected_bits: int
    extra_bits: int
    stored: bool
    why: str
    strategy: str
    reuse_factor: int
    multipliers: int

    @property
    def overhead(self) -> float:
        """Extra bits as a share of the tensor's own."""
        return self.extra_bits / self.n_bits if self.n_bits else 0.0


@dataclass(frozen=True, slots=True)
class ResourceTable:
    """rows: one per tensor of the space; synthesis: hls4ml's reading of the project's reports, empty without any."""

    rows: tuple[ResourceRow, ...]
    synthesis: Mapping[str, Any]
    not_stored: str

    def __str__(self) -> str:
        from tabulate import tabulate

        headers = ("tensor", "array", "type", "words", "bits", "protected", "TMR bits", "overhead", "stored",
                   "strategy", "reuse", "multipliers")  # fmt: skip
        body = [_cells(row) for row in self.rows]
        n_bits, protected = sum(row.n_bits for row in self.rows), sum(row.protected_bits for row in self.rows)
        extra = sum(row.extra_bits for row in self.rows)
        total = ("all", "", "", sum(row.n_words for row in self.rows), n_bits, protected, extra,
                 f"{extra / n_bits:.1%}", "", "", "", sum(row.multipliers for row in self.rows))  # fmt: skip
        lines = [tabulate([*body, total], headers, "simple", intfmt=",", disable_numparse=[2, 7])]
        lines.append(self.not_stored or "every word is stored")
        lines.append(f"({CONFIGURATION_MEMORY})")
        lines += _synthesis_lines(self.synthesis) or ["synthesis: the project has no report"]
        return "\n".join(lines)


def resource_table(
    conversion: Conversion, order: Hls4mlOrder, protected: BitSet | None, synthesis: Mapping[str, Any]
) -> ResourceTable:
    """The table of a converted model; protected: bits of the space that are to be kept in three copies."""
    space = order.space
    covered = np.zeros(len(space), bool)
    if protected is not None:
        covered[space.check(protected)] = True
    storage = storage_of(conversion, order)
    rows = []
    for number, (held, stored) in enumerate(zip(order.tensors, storage, strict=True)):
        node = conversion.graph.graph[held.node]
        here = int(covered[space.offsets[number] : space.offsets[number + 1]].sum())
        is_bias = held.path.endswith("/bias")
        rows.append(
            ResourceRow(
                held.path, held.variable, held.type, stored.n_words, stored.n_bits, here, 2 * here, stored.stored,
                stored.why,
                str(node.get_attr("strategy", "")), int(node.get_attr("reuse_factor", 1)),
                0 if is_bias else _multipliers(conversion, node),
            )
        )  # fmt: skip
    return ResourceTable(tuple(rows), dict(synthesis), missing(storage))


def _multipliers(conversion: Conversion, node: Any) -> int:
    """hls4ml's limit on the multipliers of a layer (`multiplier_limit` in its templates), times its parallel copies."""
    n_in, n_out = conversion.graph.config.backend.get_layer_mult_size(node)
    if "Depthwise" in node.class_name:
        n_out = 1
    reuse = int(node.get_attr("reuse_factor", 1))
    zeros = int(node.weights["weight"].nzeros) if str(node.get_attr("strategy")) == "latency" else 0
    return (ceil(int(n_in) * int(n_out) / reuse) - zeros // reuse) * int(
        node.get_attr("parallelization_factor", 1) or 1
    )


def _cells(row: ResourceRow) -> tuple[Any, ...]:
    held = (row.path, row.variable, row.type, row.n_words, row.n_bits)
    protection = (row.protected_bits, row.extra_bits, f"{row.overhead:.1%}")
    return (*held, *protection, "yes" if row.stored else "NO", row.strategy, row.reuse_factor, row.multipliers)


def _synthesis_lines(synthesis: Mapping[str, Any]) -> Sequence[str]:
    lines = []
    for name, report in synthesis.items():
        if isinstance(report, Mapping):
            # Libero's resources have a number each that is in use, and how many there are.
            used = {key: value.get("Used") if isinstance(value, Mapping) else value for key, value in report.items()}
            numbers = (
                f"{key} {value}" for key, value in used.items() if value is not None and not isinstance(value, list)
            )
            lines.append(f"{name}: {', '.join(numbers)}")
    return lines
