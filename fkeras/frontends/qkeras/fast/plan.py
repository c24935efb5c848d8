"""Which tensors of a space the shortcuts can serve: one site each, or the reference."""

from __future__ import annotations

import weakref
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fkeras.errors import FkerasError
from fkeras.frontends.qkeras.fast.chain import Chain, chain_after
from fkeras.frontends.qkeras.fast.exactness import Fact, analyse, grid_of, power_of_two_step
from fkeras.frontends.qkeras.fast.golden import GoldenFunction, Kernels
from fkeras.frontends.qkeras.fast.pointwise import Pointwise, pointwise_of
from fkeras.frontends.qkeras.fast.sites import Site, elementwise_segment, fact_after, window_of
from fkeras.frontends.qkeras.fast.suffix import Suffix, downstream_is_reproducible
from fkeras.frontends.qkeras.forward import slots_of_space
from fkeras.frontends.qkeras.freshness import weights_digest
from fkeras.frontends.qkeras.graph import Call, Graph, Key, flatten
from fkeras.frontends.qkeras.reading import bit_space
from fkeras.frontends.qkeras.setup import keras_home
from fkeras.frontends.qkeras.slots import FOLDING
from fkeras.memory import BitSpace, WordTensor


@dataclass(frozen=True, eq=False)
class Plan:
    """The graph, the golden kernels of all its quantized layers, and the sites by tensor number."""

    graph: Graph
    kernels: Kernels
    sites: Mapping[int, Site]
    _suffixes: dict[Key, Suffix] = field(default_factory=dict)
    _golden: dict[tuple[Key, ...], GoldenFunction] = field(default_factory=dict)
    _pointwise: dict[int, Pointwise | None] = field(default_factory=dict)
    _chains: dict[int, Chain | None] = field(default_factory=dict)

    def suffix(self, model: Any, end: Key) -> Suffix:
        """What computes outputs from `end` on; compiled once per plan."""
        if end not in self._suffixes:
            self._suffixes[end] = Suffix(model, self.graph, end, self.kernels)
        return self._suffixes[end]

    def golden(self, model: Any, keys: Iterable[Key]) -> GoldenFunction:
        """What computes the golden values of some tensors; traced once per plan."""
        wanted = tuple(dict.fromkeys(keys))
        if wanted not in self._golden:
            self._golden[wanted] = GoldenFunction(model, self.graph, self.kernels, wanted)
        return self._golden[wanted]

    def pointwise(self, site: Site) -> Pointwise | None:
        """What follows a site's sums, as arithmetic; compared with the network's own operations once per plan."""
        if site.number not in self._pointwise:
            self._pointwise[site.number] = pointwise_of(site)
        return self._pointwise[site.number]

    def chain(self, site: Site) -> Chain | None:
        """The exact layers behind a site; packed once per plan."""
        if site.number not in self._chains:
            self._chains[site.number] = chain_after(self.graph, self.sites, site, self.pointwise)
        return self._chains[site.number]

    def end(self, site: Site) -> Key:
        """The tensor to which a site's changes are followed exactly; what lies behind is the suffix."""
        chain = self.chain(site)
        return site.end if chain is None else chain.end


NOTHING = Plan(Graph((), (), ()), (), {})

_plans: weakref.WeakKeyDictionary[Any, dict[tuple[Any, ...], Plan]] = weakref.WeakKeyDictionary()


def plan_of(model: Any, space: BitSpace, inputs: Sequence[NDArray[Any]]) -> Plan:
    """The plan for a model and a data set; kept while the model has the same weights and the data the same grid."""
    facts = tuple(grid_of(array) for array in inputs)
    key = (space.content_digest, weights_digest(model), facts, *map(id, model._flatten_layers()))
    plans = _plans.setdefault(model, {})
    if key not in plans:
        plans.clear()
        plans[key] = _plan(model, space, facts) or NOTHING
    return plans[key]


def _is_plain(layer: Any) -> bool:
    """Whether a layer is Keras' or QKeras' own and computes without side effects or code from elsewhere."""
    home, kind = type(layer).__module__.split(".")[0], type(layer).__name__
    return home in (keras_home(), "qkeras") and kind not in ("Lambda", "QAdaptiveActivation")


def _plan(model: Any, space: BitSpace, inputs: Sequence[Fact]) -> Plan | None:
    graph = flatten(model)
    if graph is None or not all(_is_plain(call.layer) for call in graph.calls):
        return None
    try:
        everything = bit_space(model, biases=True)
    except FkerasError:
        return None
    tensors = {tensor.path: tensor for tensor in everything.tensors}
    slots = slots_of_space(model, everything)
    kernels = [(slot, tensors[slot.path].golden.reshape(tensors[slot.path].shape)) for slot in slots]
    parts = {id(slot.layer): slot.layer_path for slot in slots}
    known = {
        call.index: part
        for call in graph.calls
        if (part := _part(call, parts.get(id(call.layer)), tensors)) is not None
    }
    facts = analyse(
        graph,
        dict(zip(graph.inputs, inputs, strict=True)),
        {index: part.fact for index, part in known.items()},
    )
    sites = {}
    for number, tensor in enumerate(space.tensors):
        places = [part for part in known.values() if part.kernel.path == tensor.path]
        if len(places) == 1 and len(graph.calls_of(places[0].call.layer)) == 1:
            site = _site(graph, facts, number, tensor, places[0])
            if site is not None:
                sites[number] = site
    return Plan(graph, kernels, sites) if sites else None


@dataclass(frozen=True, eq=False)
class _Part:
    call: Call
    kernel: WordTensor
    bias: NDArray[np.float32] | None

    def fact(self, given: Fact) -> Fact:
        return fact_after(self.call, self.kernel, self.bias, given)


def _part(call: Call, path: str | None, tensors: Mapping[str, WordTensor]) -> _Part | None:
    if path is None or window_of(call) is None:
        return None
    kernels = [tensors[f"{path}/{name}"] for name in ("kernel", "depthwise_kernel") if f"{path}/{name}" in tensors]
    if len(kernels) != 1:
        return None
    bias: NDArray[np.float32] | None = None
    if f"{path}/bias" in tensors:
        bias = tensors[f"{path}/bias"].golden
    elif type(call.layer).__name__ in FOLDING:
        return None
    elif call.layer.use_bias:
        bias = call.layer.bias.numpy()
    return _Part(call, kernels[0], bias)


def _site(graph: Graph, facts: Mapping[Key, Fact], number: int, tensor: WordTensor, part: _Part) -> Site | None:
    window, step = window_of(part.call), power_of_two_step(tensor)
    given = facts[part.call.inputs[0]]
    if window is None or step is None or given.step is None or not facts[part.call.outputs[0]].reproducible:
        return None
    if not downstream_is_reproducible(graph, part.call, facts):
        return None
    segment, end = elementwise_segment(graph, part.call)
    return Site(number, tensor, part.bias, part.call, window, segment, end, given, facts[end], step)
