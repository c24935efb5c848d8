"""A network as plain values and arrays, and back: what files hold of it, and what its digest is of."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields, is_dataclass
from math import prod
from typing import Any, get_type_hints

import numpy as np
from numpy.typing import NDArray

from fkeras.errors import Argument, InputError, ModelError
from fkeras.memory import CODECS, BitSpace, Uncovered, WordTensor
from fkeras.memory.inventory import Inventory, LayerMemory
from fkeras.memory.refusals import Refusal
from fkeras.memory.space import Memory, require_memory
from fkeras.network.network import Input, Network, Node
from fkeras.network.operation import Operation
from fkeras.plain import plain, restored

Array = NDArray[Any]
Plain = dict[str, Any]
Put = Callable[[Array], Any]
Get = Callable[[Any, tuple[int, ...]], Array]
_UNCOVERED = ("not_chosen", "without_biases", "with_biases")
_REFUSALS = ("refusals", "refusals_of_biases")


def content_of(network: Network, put: Put) -> Plain:
    """All of a network as what JSON can hold; put: what stands there for an array."""
    memory = network.memory
    return {
        "name": network.name,
        "inputs": plain(network.inputs),
        "nodes": [
            {"name": node.name, "inputs": list(node.inputs), "operation": _by_class(node.operation, put)}
            for node in network.nodes
        ],
        "outputs": list(network.outputs),
        "output_names": list(network.output_names),
        "constants": [[name, list(part.shape), put(part)] for name, part in sorted(network.constants.items())],
        "memory": {"model": memory.model, "layers": [_layer(layer, put) for layer in memory.layers]}
        | ({} if memory.memory == "quantizer" else {"words": memory.memory}),  # digests of what is older stay
    }


def network_of_content(content: Any, get: Get, operations: Mapping[str, type[Operation]]) -> Network:
    """The network that `content_of` made these values of.

    get: the array that a value stands for, of the shape that is told. ModelError for values that describe no network.
    """
    try:
        memory = content["memory"]
        return Network(
            _name(content["name"]),
            tuple(restored(Input, {**part, "name": _name(part["name"])}) for part in content["inputs"]),
            tuple(
                Node(
                    _name(node["name"]),
                    _of_class(node["operation"], operations, get),
                    tuple(map(_name, node["inputs"])),
                )
                for node in content["nodes"]
            ),
            tuple(map(_name, content["outputs"])),
            tuple(map(_name, content["output_names"])),
            Inventory(
                _name(memory["model"]),
                tuple(_layer_of(layer, get) for layer in memory["layers"]),
                _memory(memory.get("words", "quantizer")),
            ),
            {_name(name): _numbers(get(array, _shape(shape))) for name, shape, array in content["constants"]},
        )
    except ModelError:
        raise
    except InputError as error:
        raise ModelError(*error.args) from error
    except (KeyError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
        raise ModelError(f"describes no network ({type(error).__name__}: {error})") from error


def content_of_space(space: BitSpace, put: Put) -> Plain:
    """A space as what JSON can hold; put: what stands there for an array."""
    return {
        "tensors": [_tensor(tensor, put) for tensor in space.tensors],
        "uncovered": plain(space.uncovered),
        "memory": space.memory,
    }


def space_of_content(content: Any, get: Get) -> BitSpace:
    """The space that `content_of_space` made these values of. ModelError for values that describe none."""
    tensors = tuple(_tensor_of(tensor, get) for tensor in content["tensors"])
    return BitSpace(tensors, tuple(map(_uncovered_of, content["uncovered"])), _memory(content["memory"]))


def digest_of_network(network: Network) -> str:
    """SHA-256 of all that decides what a network computes: not of names of models and reasons."""
    content = content_of(network, array_digest)
    del content["name"], content["memory"]["model"]
    for layer in content["memory"]["layers"]:
        for which in (*_UNCOVERED, *_REFUSALS):
            layer.pop(which, None)
    return hashlib.sha256(b"fkeras-network/1" + canonical(content).encode()).hexdigest()


def array_digest(array: Array) -> str:
    """SHA-256 of an array's type, shape and numbers, whatever the byte order of the machine."""
    ordered = np.ascontiguousarray(array, array.dtype.newbyteorder("<"))
    return hashlib.sha256(f"{ordered.dtype.str} {array.shape};".encode() + ordered.tobytes()).hexdigest()


def canonical(content: Any) -> str:
    """The one JSON text of plain values."""
    return json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)


def _by_class(value: Any, put: Put) -> Plain:
    """A dataclass with the name of its class."""
    assert is_dataclass(value)
    parts = {field.name: getattr(value, field.name) for field in fields(value)}
    return {
        "class": type(value).__name__,
        **{
            name: {"shape": list(part.shape), "array": put(part)} if isinstance(part, np.ndarray) else plain(part)
            for name, part in parts.items()
        },
    }


def _of_class(content: Plain, kinds: Mapping[str, type[Any]], get: Get) -> Any:
    """The value that `_by_class` wrote. ModelError for a class or a field that this version does not know."""
    name = content["class"]
    if name not in kinds:
        raise ModelError(f"holds a {name!r}; known are {', '.join(sorted(kinds))}: a newer fkeras may know it")
    kind, values = kinds[name], {key: value for key, value in content.items() if key != "class"}
    known = {field.name for field in fields(kind)}
    if known != set(values):
        raise ModelError(
            f"holds a {name} with the fields {', '.join(sorted(values))}; it has {', '.join(sorted(known))}"
        )
    hints = get_type_hints(kind)
    return kind(
        **{
            key: get(value["array"], _shape(value["shape"])) if isinstance(value, dict) else restored(hints[key], value)
            for key, value in values.items()
        }
    )


def _layer(layer: LayerMemory, put: Put) -> Plain:
    return {
        "path": layer.path,
        "kernels": [_tensor(tensor, put) for tensor in layer.kernels],
        "biases": [_tensor(tensor, put) for tensor in layer.biases],
        **{which: plain(getattr(layer, which)) for which in _UNCOVERED},
        **{which: plain(refusals) for which in _REFUSALS if (refusals := getattr(layer, which))},
    }


def _memory(name: Any) -> Memory:
    require_memory(name)
    memory: Memory = name
    return memory


def _layer_of(content: Plain, get: Get) -> LayerMemory:
    uncovered: dict[str, Any] = {which: tuple(map(_uncovered_of, content[which])) for which in _UNCOVERED}
    refusals: dict[str, Any] = {which: restored(tuple[Refusal, ...], content.get(which, ())) for which in _REFUSALS}
    return LayerMemory(
        _name(content["path"]),
        tuple(_tensor_of(tensor, get) for tensor in content["kernels"]),
        tuple(_tensor_of(tensor, get) for tensor in content["biases"]),
        **uncovered,
        **refusals,
    )


def _uncovered_of(content: Plain) -> Uncovered:
    parts = tuple(Argument(**part) if isinstance(part, dict) else str(part) for part in content["parts"])
    return Uncovered(**{**restored(dict[str, Any], content), "path": _name(content["path"]), "parts": parts})


def _tensor(tensor: WordTensor, put: Put) -> Plain:
    """The words in the smallest type that holds them, the scale once where it is the same along an axis, and the
    golden values where they are others than the words mean."""
    scale = _once(tensor.scale.reshape(tensor.shape))
    usual = np.array_equal(_bits(tensor.golden), _bits(_meant(tensor)))
    return {
        "path": tensor.path,
        "shape": list(tensor.shape),
        "codec": _by_class(tensor.codec, put),
        "words": put(tensor.words.astype(np.min_scalar_type(int(tensor.words.max(initial=0))))),
        "scale": {"shape": list(scale.shape), "array": put(scale)},
        "golden": None if usual else put(tensor.golden),
    }


def _tensor_of(content: Plain, get: Get) -> WordTensor:
    path, shape = _name(content["path"]), _shape(content["shape"])
    size, scale = (prod(shape),), content["scale"]
    words = get(content["words"], size)
    if words.dtype.kind != "u":
        raise ModelError(f"tensor '{path}' holds words of {words.dtype}; words are unsigned integers")
    once = _numbers(get(scale["array"], _shape(scale["shape"])))
    if not np.isfinite(once).all():
        raise ModelError(f"tensor '{path}' has a scale that is no finite number")
    if once.ndim != len(shape) or any(n not in (1, whole) for n, whole in zip(once.shape, shape, strict=True)):
        raise ModelError(f"tensor '{path}' of shape {shape} has a scale of shape {once.shape}")
    tensor = WordTensor(
        path,
        shape,
        _of_class(content["codec"], CODECS, get),
        words.astype(np.uint32),
        np.broadcast_to(once, shape).reshape(-1).copy(),
        np.zeros(size, np.float32),
    )
    golden = _meant(tensor) if content["golden"] is None else get(content["golden"], size).astype(np.float32)
    if (np.isfinite(_meant(tensor)) & ~np.isfinite(golden)).any():
        raise ModelError(f"tensor '{path}' computes with values that are no numbers, and its words are numbers")
    return WordTensor(path, shape, tensor.codec, tensor.words, tensor.scale, golden)


def _meant(tensor: WordTensor) -> NDArray[np.float32]:
    return tensor.values_of(tensor.words, np.arange(tensor.size))


def _bits(values: NDArray[np.float32]) -> NDArray[np.uint32]:
    return values.astype(np.float32).view(np.uint32)


def _once(array: NDArray[np.float32]) -> NDArray[np.float32]:
    for axis in range(array.ndim):
        first = array.take([0], axis) if array.shape[axis] else array
        if np.array_equal(_bits(np.broadcast_to(first, array.shape)), _bits(array)):
            array = first
    return np.ascontiguousarray(array)


def _numbers(array: Array) -> NDArray[np.float32]:
    if array.dtype != np.float32 or np.isnan(array).any():
        raise ModelError(f"holds a parameter of {array.dtype} with NaN in it, or none of float32")
    return array


def _shape(sizes: Iterable[Any]) -> tuple[int, ...]:
    shape = restored(tuple[int, ...], list(sizes))
    if any(n < 0 for n in shape):
        raise ModelError(f"has a shape {shape}; sizes are 0 or more")
    return tuple(shape)


def _name(text: Any) -> str:
    """A name, of which nothing is hidden when it is shown. ModelError for another one."""
    if not isinstance(text, str) or not text.isprintable() or len(text) > _LONGEST_NAME:
        raise ModelError(f"has a name {str(text)[:80]!r}; names are of up to {_LONGEST_NAME:,} printable characters")
    return text


_LONGEST_NAME = 1000
