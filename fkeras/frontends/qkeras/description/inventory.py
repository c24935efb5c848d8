"""All that a model's layers hold, whichever of them are chosen later."""

from __future__ import annotations

from typing import Any

from fkeras.frontends.qkeras.reading import require_computable, require_model, require_name, tensors_of
from fkeras.frontends.qkeras.slots import NOT_CHOSEN, left_out, slots_of_layer, walk
from fkeras.frontends.refusals import Refusal, Refused
from fkeras.memory.inventory import Inventory, LayerMemory
from fkeras.memory.space import Memory, require_memory


def inventory_of(model: Any, memory: Memory = "quantizer") -> Inventory:
    """The layers of a model with their words, biases included. UnsupportedError where words are not known."""
    require_memory(memory)
    require_model(model)
    require_name(model)
    require_computable(model)
    walked = list(walk(model))
    slots = {path: slots_of_layer(path, layer, biases=True) for path, layer in walked}
    refusals: list[Refusal] = []
    tensors = {
        tensor.path: tensor
        for tensor in tensors_of(model, [slot for here, _ in slots.values() for slot in here], refusals, memory)
    }
    if refusals:
        raise Refused(*refusals)
    layers = []
    for path, layer in walked:
        everything, why = slots[path]
        kernels = tuple(slot for slot in everything if not slot.is_bias)
        layers.append(
            LayerMemory(
                path,
                tuple(tensors[slot.path] for slot in kernels),
                tuple(tensors[slot.path] for slot in everything if slot.is_bias),
                not_chosen=tuple(left_out(path, layer, (), NOT_CHOSEN)),
                without_biases=tuple(left_out(path, layer, kernels, why)),
                with_biases=tuple(left_out(path, layer, everything, why)),
            )
        )
    return Inventory(model.name, tuple(layers), memory)
