"""The chip part of a model as hls4ml's graph, under the user's configuration or one made for it."""

from __future__ import annotations

import copy
import json
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fkeras.engines.hls4ml.precision import (
    FixedType,
    Precisions,
    quantizer_type,
    stated,
    type_before,
    type_of_data,
)
from fkeras.engines.hls4ml.project import Project
from fkeras.engines.hls4ml.setup import hls4ml, parser, quiet
from fkeras.errors import FkerasError, UnsupportedError
from fkeras.frontends.qkeras.chip import ChipPart
from fkeras.memory import BitSpace, FixedPoint

STREAMED = 4096
"""Activations of more elements than this go through streams: as wires they take g++ (and synthesis) forever."""
PROJECT = "fkeras"
NOWHERE = "fkeras_hls4ml"
"""The folder of a project that is not written."""
WEIGHTS = {"weight": "kernel", "depthwise": "kernel", "pointwise": "kernel", "bias": "bias", "param": "slope"}
"""What layers have as weights by hls4ml's names, and by Keras'."""


@dataclass(frozen=True, slots=True, eq=False)
class Conversion:
    """hls4ml's graph of a chip part.

    config: the configuration it was made with; softmax: per output, whether a final softmax is left to Keras;
    names: for each Keras layer the nodes that it may have become; sources: what each layer of hls4ml's parser reads;
    widens: whether words may be wider than what hls4ml holds, and its types are made to fit.
    """

    part: ChipPart
    graph: Any
    config: Mapping[str, Any]
    softmax: tuple[bool, ...]
    names: Mapping[str, tuple[str, ...]]
    sources: Mapping[str, tuple[str, ...]]
    widens: bool = False

    @property
    def version(self) -> str:
        """hls4ml's."""
        return str(hls4ml().__version__)


_TOOLS = {"Libero": {"smarthls_path": "not installed"}}
"""By backend: where it believes a compiler that nothing here starts."""


def convert(part: ChipPart, inputs: Sequence[NDArray[Any]], project: Project | None, directory: str) -> Conversion:
    """Convert the chip part. inputs: its data, which decide the input type where no quantizer does.

    UnsupportedError names a layer that hls4ml cannot convert, and a weight that has no word because nothing quantizes
    it (without `project`; a project states a precision for everything).
    """
    layers, outputs = _parsed(part)
    whole = default_config(part, inputs, layers) if project is None else dict(project.config)
    config = copy.deepcopy(whole)
    softmax = tuple(_is_softmax(layers, name) for name in outputs)
    for name, soft in zip(outputs, softmax, strict=True):
        if soft:
            config["HLSConfig"].setdefault("LayerName", {}).setdefault(name, {})["Skip"] = True
    graph = converted(parser().keras_v2_to_hls, part, config, directory)
    return Conversion(part, graph, whole, softmax, _names(layers), _sources(layers))


def converted(converter: Callable[[Any], Any], part: ChipPart, config: Mapping[str, Any], directory: str) -> Any:
    """The graph that one of hls4ml's converters makes of the chip part under a configuration."""
    with quiet():
        whole = {
            **hls4ml().converters.create_config(
                backend=config["Backend"], io_type=config.get("IOType"), **_TOOLS.get(config["Backend"], {})
            ),
            **config,
            "KerasModel": part.model,
            "OutputDir": directory,
            "ProjectName": PROJECT,
            "WriterConfig": {"Namespace": None, "WriteWeightsTxt": True, "WriteTar": False, "TBOutputStream": "file"},
        }
    with _named(part, "convert"), quiet():
        graph = converter(whole)
    graph.config.config.pop("KerasModel")  # it would be written into the project's YAML
    return graph


def unwritten(part: ChipPart, project: Project | None) -> Conversion:
    """The same of no data, to look at words, order and storage, which are in hls4ml's graph."""
    nothing = [np.zeros([1 if size is None else size for size in one.shape]) for one in part.model.inputs]
    return convert(part, nothing, project, NOWHERE)


def default_config(
    part: ChipPart, inputs: Sequence[NDArray[Any]], layers: Sequence[Mapping[str, Any]] | None = None
) -> dict[str, Any]:
    """A configuration for hls4ml under which the chip computes what QKeras computes, where fixed point can.

    Every layer's types follow from the model's quantizers; the first quantizer decides the input's type, or the data,
    or the words of an input that faults hit.
    """
    parsed = _parsed(part)[0] if layers is None else layers
    _require_quantized(part, parsed)
    precisions = Precisions(parsed, _input_types(parsed, inputs, part), _scales(part.space))
    largest = max((int(np.prod(shape[1:])) for shape in _shapes(part)), default=0)
    return {
        "Backend": "Vitis",
        "IOType": "io_stream" if largest > STREAMED else "io_parallel",
        "HLSConfig": {
            "Model": {"Precision": str(precisions.default), "ReuseFactor": 1, "Strategy": "Latency"},
            "LayerName": stated(precisions.layers.items()),
        },
    }


def _parsed(part: ChipPart) -> tuple[list[dict[str, Any]], list[str]]:
    """The layers as hls4ml's parser describes them, and the names of those that are outputs."""
    uses = Counter(node.layer.name for nodes in part.model._nodes_by_depth.values() for node in nodes)
    for name, count in uses.items():
        if count > 1:
            raise UnsupportedError(
                f"layer '{part.prefix}{name}' is used {count} times; hls4ml converts the first use only: give every "
                "use a layer of its own"
            )
    reading = parser()
    with _named(part, "parse"), quiet():
        layers, _, outputs, _ = reading.parse_keras_model(
            json.loads(part.model.to_json()), reading.KerasModelReader(part.model)
        )
    return layers, list(outputs) if outputs else [layers[-1]["name"]]


@contextmanager
def _named(part: ChipPart, what: str) -> Iterator[None]:
    """hls4ml's own exceptions as one of ours."""
    try:
        yield
    except FkerasError:
        raise
    except Exception as error:
        raise UnsupportedError(
            f"hls4ml {hls4ml().__version__} cannot {what} model '{part.model.name}': {type(error).__name__}: {error}. "
            "Change that layer, or keep it off the chip: only the nested model that holds the quantized layers is "
            "converted"
        ) from error


def _require_quantized(part: ChipPart, layers: Sequence[Mapping[str, Any]]) -> None:
    for layer in layers:
        name = f"{part.prefix}{layer['name']}"
        if "BatchNormalization" in str(layer["class_name"]):
            raise UnsupportedError(
                f"layer '{name}' ({layer['class_name']}) has float weights, so what the chip holds is not defined; "
                "fold it (QConv2DBatchnorm), or state its precision in an hls4ml configuration "
                "(engine='hls4ml:config.yml')"
            )
        for kind, called in WEIGHTS.items():
            data = layer.get(f"{kind}_data")
            folded = kind == "bias" and "mean_data" in layer
            if layer.get(f"{kind}_quantizer") is None and (folded or (data is not None and np.any(data))):
                raise UnsupportedError(
                    f"layer '{name}': its {called} has no quantizer, so the word that "
                    "the chip holds is not defined; quantize it, state its precision in an hls4ml configuration "
                    "(engine='hls4ml:config.yml'), or put the chip's layers into a nested model of their own"
                )


def _input_types(
    layers: Sequence[Mapping[str, Any]], inputs: Sequence[NDArray[Any]], part: ChipPart
) -> list[FixedType]:
    types, sources = [], _sources(layers)
    for layer, x in zip([config for config in layers if config["class_name"] == "InputLayer"], inputs, strict=True):
        users = [config for config in layers if layer["name"] in sources[config["name"]]]
        quantizers = [config.get("activation_quantizer") for config in users]
        codec = _words_of_input(part, layer["name"], {config["name"] for config in users})
        if codec is not None:
            integer, quantizer = codec.integer + codec.signed, quantizers[0]
            overflow = "SAT" if quantizer is None else quantizer_type(quantizer, layer["name"]).overflow
            types.append(FixedType(codec.width, integer, codec.signed, "RND_CONV", overflow))
        elif users and all(quantizer is not None for quantizer in quantizers):
            wanted = [type_before(quantizer_type(q, layer["name"])) for q in quantizers if q is not None]
            integer, fraction = max(t.integer for t in wanted), max(t.fraction for t in wanted)
            types.append(FixedType(integer + fraction, integer, True, "TRN", "SAT"))
        else:
            types.append(type_of_data(x))
    return types


def _sources(layers: Sequence[Mapping[str, Any]]) -> dict[str, tuple[str, ...]]:
    """What each layer reads: those that it names, else the one before it."""
    sources, before = dict[str, tuple[str, ...]](), ""
    for layer in layers:
        is_first = layer["class_name"] == "InputLayer" or not before
        sources[layer["name"]] = () if is_first else tuple(layer.get("inputs") or [before])
        before = str(layer["name"])
    return sources


def _words_of_input(part: ChipPart, name: str, users: Collection[str]) -> FixedPoint | None:
    """The words in which an input comes that faults hit; None of others."""
    for register in part.space.registers:
        reader = register.quantizer.rpartition("/")[0].removeprefix(part.prefix)
        is_here = reader in users if register.quantizer else part.is_whole and register.tensor == name
        if register.memory == "inputs" and is_here and isinstance(register.codec, FixedPoint):
            return register.codec
    return None


def _scales(space: BitSpace) -> dict[str, tuple[float, float]]:
    scales = {}
    for tensor in space.tensors:
        scale = np.abs(tensor.scale[tensor.scale != 0])
        if (tensor.scale != 1).any() and scale.size:
            scales[tensor.path.split("/")[-2]] = float(scale.max()), float(scale.min())
    return scales


def _shapes(part: ChipPart) -> Iterator[tuple[int, ...]]:
    for layer in part.model.layers:
        shape = layer.output_shape
        yield from shape if isinstance(shape, list) else [shape]


def _is_softmax(layers: Sequence[Mapping[str, Any]], name: str) -> bool:
    return any(
        layer["class_name"] == "Softmax"
        for layer in layers
        if layer["name"] == name or layer["name"] == f"{name}_softmax"
    )


def _names(layers: Sequence[Mapping[str, Any]]) -> dict[str, tuple[str, ...]]:
    """For each Keras layer the nodes it may become; the activation in a layer is a node of its own behind it."""
    names: dict[str, tuple[str, ...]] = {}
    owner = ""
    for layer in layers:
        name = str(layer["name"])
        inside = owner and name.startswith(f"{owner}_") and layer.get("inputs") is None and "activation" in layer
        owner = owner if inside else name
        names.setdefault(owner, (name, f"{name}_depthwise", f"{name}_pointwise", f"{name}_alpha"))
        if inside:
            names[owner] = (*names[owner], name)
    return names
