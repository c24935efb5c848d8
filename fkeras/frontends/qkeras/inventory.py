"""All that a model's layers hold, whichever of them are chosen later."""

from __future__ import annotations

from typing import Any

from fkeras.frontends.qkeras.reading import require_computable, require_model, require_name, tensors_of
from fkeras.frontends.qkeras.slots import NOT_CHOSEN, Slot, left_out, slots_of_layer, walk
from fkeras.memory.inventory import Inventory, LayerMemory
from fkeras.memory.refusals import Refusal, Refused
from fkeras.memory.space import Memory, require_memory


def inventory_of(model: Any, memory: Memory = "quantizer") -> Inventory:
    """The layers of a model with their words, biases included, and why those of others are not known."""
    require_memory(memory)
    require_model(model)
    require_name(model)
    require_computable(model)
    slots: dict[str, tuple[Slot, ...]] = {}
    reasons, refused = {}, dict[str, tuple[Refusal, ...]]()
    walked = list(walk(model))
    for path, layer in walked:
        try:
            slots[path], reasons[path] = slots_of_layer(path, layer, biases=True)
        except Refused as error:
            slots[path], reasons[path], refused[path] = (), NOT_CHOSEN, error.refusals
    asked = [slot for here in slots.values() for slot in here]
    tensors, unknown = tensors_of(model, asked, memory, refuses=bool(refused))
    while unknown:
        refused |= unknown
        asked = [slot for slot in asked if slot.path not in refused]
        tensors, unknown = tensors_of(model, asked, memory)
    layers = []
    for path, layer in walked:
        kernels = tuple(slot for slot in slots[path] if not slot.is_bias)
        biases = tuple(slot for slot in slots[path] if slot.is_bias)
        layers.append(
            LayerMemory(
                path,
                tuple(tensors[slot.path] for slot in kernels if slot.path in tensors),
                tuple(tensors[slot.path] for slot in biases if slot.path in tensors),
                not_chosen=tuple(left_out(path, layer, (), NOT_CHOSEN)),
                without_biases=tuple(left_out(path, layer, kernels, reasons[path])),
                with_biases=tuple(left_out(path, layer, slots[path], reasons[path])),
                refusals=refused.get(path, ()) + tuple(r for slot in kernels for r in refused.get(slot.path, ())),
                refusals_of_biases=tuple(r for slot in biases for r in refused.get(slot.path, ())),
            )
        )
    return Inventory(model.name, tuple(layers), memory)
