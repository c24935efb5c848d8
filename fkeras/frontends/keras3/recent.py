"""The networks of models that were read last: reading one again while nothing has changed is of no use."""

from __future__ import annotations

from typing import Any
from weakref import WeakKeyDictionary

from fkeras.errors import IdentityError
from fkeras.frontends.keras3.network import network_of
from fkeras.frontends.keras3.setup import array
from fkeras.frontends.qkeras.identity import architecture_digest
from fkeras.memory.space import Memory
from fkeras.network import Network
from fkeras.store import digest_of

_RECENT: WeakKeyDictionary[Any, dict[tuple[str, str], Network]] = WeakKeyDictionary()


def model_state(model: Any) -> str:
    """A digest of a model's architecture, where it has one, and of all its variables."""
    try:
        architecture = architecture_digest(model)
    except IdentityError:
        architecture = ""
    return digest_of((architecture, *(array(variable) for variable in model.variables)))


def recent_network(model: Any, memory: Memory) -> Network:
    """What a model stores and computes now."""
    key = model_state(model), memory
    known = _RECENT.setdefault(model, {})
    if key not in known:
        for old in [old for old in known if old[0] != key[0]]:
            del known[old]
        known[key] = network_of(model, memory)
    return known[key]
