"""A model file's configuration, reduced to what is known to be data; anything else is refused by its place.

Everything that a configuration names, as a class, a function or a string, is on a list of ours or among the user's own
`custom_objects`, and is resolved to just that: where the file says to look for it does not count.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from fkeras.errors import Argument, ModelError
from fkeras.frontends.qkeras import data_classes as known
from fkeras.frontends.qkeras.origins import origin
from fkeras.frontends.qkeras.setup import keras_home, keras_module

TRUST = ("if you trust where the file comes from, pass ", Argument("trusted", True))

_KNOWN_PACKAGES = ("builtins", "fkeras", "keras", "qkeras", "tensorflow_model_optimization", "tf_keras")
_KNOWN = frozenset(known.INTERNAL).union(known.QKERAS, known.PRUNING, *known.HOMES.values())
_LAMBDAS = ("Lambda", "__lambda__")
_PLAIN = ("TensorShape", "__bytes__", "__ellipsis__", "__tuple__")
_ARRAYS = ("__numpy__", "__tensor__")
_NUMBERS = re.compile(r"bool|bfloat16|float(16|32|64)|u?int(8|16|32|64)|complex(64|128)")
_FUNCTION_TYPES = ("lambda", "function", "raw")
"""What Keras writes beside `NAME` as `NAME_type` where NAME is a function."""
_NAMES = {
    "activation": known.ACTIVATIONS | known.ACTIVATION_LAYERS | known.QUANTIZERS | known.QUANTIZING_FUNCTIONS,
    "constraint": known.HOMES["keras.constraints"] | {"Clip"},
    "initializer": known.HOMES["keras.initializers"] | {"QInitializer"},
    "quantizer": known.ACTIVATIONS | known.QUANTIZERS | known.QUANTIZING_FUNCTIONS,
    "regularizer": known.HOMES["keras.regularizers"],
}
"""The functions that a text may name, by the last word of its key."""
_CALL = re.compile(r"\s*([A-Za-z_]\w*)\s*(\([^()]*\))?\s*")
_INTEGERS = re.compile(r"(?<![\w.])\d+(?![\w.])")
_WORD_LENGTHS = ("bits", "integer", "total_bits")
_LONGEST_WORD = 99_999
_DEEPEST = 200
_MOST_CALLS = 5_000
_MOST_PIECES = 4_096
_MOST_STEPS = 1_000


def data_only(config: Any, custom_objects: Mapping[str, Any], own_classes: Collection[str]) -> Any:
    """`config`, changed in place so that it names nothing but what it was checked for.

    custom_objects: the user's own classes by name; own_classes: names of classes of fkeras.
    ModelError for whatever could run code, open a file, or take a time that the file's size does not show.
    """
    _Reader(frozenset(custom_objects), frozenset(own_classes) | _KNOWN).visit(config, "", 0)
    calls = _calls(config)
    if calls > _MOST_CALLS:
        raise ModelError(
            f"its layers are called {calls:,} times, as nested models multiply; allowed are {_MOST_CALLS:,}"
        )
    unrolled = any(_inside(entry).get("unroll") for entry in entries(config))
    steps = max((size for entry in entries(config) for size in _sizes(_inside(entry))), default=0)
    if unrolled and steps > _MOST_STEPS:
        raise ModelError(
            f"it unrolls a loop in a model with {steps:,} steps; allowed are {_MOST_STEPS:,} with unroll=True"
        )
    return config


def entries(config: Any) -> Iterator[dict[str, Any]]:
    """Every description of an object in a configuration, however deep."""
    pending = [config]
    while pending:
        value = pending.pop()
        if isinstance(value, dict):
            if isinstance(value.get("class_name"), str):
                yield value
            pending += value.values()
        elif isinstance(value, list):
            pending += value


def _inside(entry: Mapping[str, Any]) -> Mapping[str, Any]:
    config = entry.get("config")
    return config if isinstance(config, dict) else {}


def _sizes(config: Mapping[str, Any]) -> Iterator[int]:
    """The numbers of steps that a layer may make its output have."""
    for key in ("batch_input_shape", "n", "target_shape", "padding", "size"):
        for size in _leaves(config.get(key)):
            if isinstance(size, int):
                yield size


@dataclass(frozen=True)
class _Reader:
    custom: frozenset[str]
    classes: frozenset[str]

    def visit(self, value: Any, place: str, depth: int) -> None:
        if depth > _DEEPEST:
            raise ModelError(f"its configuration is nested more than {_DEEPEST} deep, at {place[:60]}...")
        if isinstance(value, list):
            for index, item in enumerate(value):
                self.visit(item, f"{place}[{index}]", depth + 1)
        elif isinstance(value, dict):
            if "class_name" in value:
                value.pop("compile_config", None)  # how the model was trained is not read
                self._entry(value, place)
            if "_TYPE" in value:  # what follows is a text that Keras reads as a configuration of its own
                raise _code("a composite tensor", place)
            for key, item in value.items():
                where = f"{place}.{key}" if place else key
                self._argument(value, key, item, where)
                self.visit(item, where, depth + 1)

    def _entry(self, entry: dict[str, Any], place: str) -> None:
        """A description of an object: its class is one that we know, and is what Keras will take."""
        name, module = entry["class_name"], entry.get("module")
        inside = _inside(entry)
        if not isinstance(name, str):
            raise ModelError(f"is damaged: the class at {_at(place)} is {name!r}, not a name")
        name = name.removeprefix("fkeras>")  # our own layers are registered so, and .h5 files name them so
        if name in _PLAIN:
            return
        if name in _ARRAYS:
            if not _NUMBERS.fullmatch(str(inside.get("dtype"))):
                raise ModelError(f"{_at(place)} is an array of {inside.get('dtype')!r}; allowed are arrays of numbers")
            return
        if name == "function":
            self._function(entry, place)
            return
        registered = str(entry.get("registered_name") or name)
        own = [key for key in (registered, name, registered.rpartition(">")[2]) if key in self.custom]
        if own:
            _resolve(entry, own[0], None)
            return
        label = f" '{inside['name']}'" if inside.get("name") else ""
        if name.rpartition(".")[2] in _LAMBDAS:
            raise _code(f"Lambda layer{label}" if label else "a lambda", place)
        if module is not None and str(module).split(".")[0] not in _KNOWN_PACKAGES:
            raise ModelError(
                f"{_at(place)} asks for '{registered}' of module '{module}'; pass it in "
                f"custom_objects={{'{registered}': ...}}, or, ",
                *TRUST,
                f" to import the module{origin(registered, module)}",
            )
        if name in known.CALLS and not known.computes(str(inside.get("function"))):
            raise _code(f"{name} layer{label} that calls tf.{inside.get('function')}", place)
        if name in known.LOOKUPS and not isinstance(inside.get("vocabulary"), list):
            raise ModelError(
                f"{_at(place)}.config.vocabulary: {name} would read its words from a file; allowed is a list of them"
            )
        if name not in self.classes:
            self._refuse(name, label, inside, place, module)
        _resolve(entry, name, _home(name, str(module)))

    def _function(self, entry: dict[str, Any], place: str) -> None:
        name, module = entry.get("config"), str(entry.get("module"))
        if name in self.custom:
            entry.update(module=None, registered_name=name)
        elif name in _NAMES["activation"] and module.split(".")[0] in _KNOWN_PACKAGES:
            entry["module"] = "qkeras.quantizers" if module.startswith("qkeras") else "builtins"
        else:
            raise ModelError(
                f"{_at(place)} asks for the function '{name}' of module '{module}'; pass it in "
                f"custom_objects={{'{name}': ...}}, or, ",
                *TRUST,
                " to import the module",
            )

    def _argument(self, holder: Mapping[str, Any], key: str, value: Any, place: str) -> None:
        """What an object is made with: no function, no file, no quantizer that is not known."""
        if holder.get(f"{key}_type") in _FUNCTION_TYPES:
            raise _code(f"a function as '{key}'", place)
        if key in _WORD_LENGTHS and isinstance(value, int) and abs(value) > _LONGEST_WORD:
            raise ModelError(f"{_at(place)} is {value}; allowed are up to {_LONGEST_WORD} bits")
        if not isinstance(value, str) or value in self.custom:
            return
        if key.startswith("vocabulary"):
            raise ModelError(
                f"{_at(place)} names the file {value!r}, which is not opened; allowed is a list of the words"
            )
        kind = key.rpartition("_")[2]
        if kind in _NAMES:
            call = _CALL.fullmatch(value)
            if not call or call[1] not in _NAMES[kind] | self.custom:
                raise ModelError(
                    f"{_at(place)}: {value[:100]!r} is no {kind} that is known; functions of your own go into "
                    "custom_objects={name: function}"
                )
            if any(len(digits) > 5 for digits in _INTEGERS.findall(call[2] or "")):
                raise ModelError(f"{_at(place)} is {value[:100]!r}; allowed are up to {_LONGEST_WORD} bits")

    def _refuse(self, name: str, label: str, inside: Mapping[str, Any], place: str, module: Any) -> None:
        for key in inside:
            if inside.get(f"{key}_type") in _FUNCTION_TYPES:
                raise _code(f"{name}{label} with a function as '{key}'", f"{place}.config.{key}")
        if name in _keras_layers():
            raise _code(f"{name} layer{label}", place)
        raise ModelError(
            f"{_at(place)} needs the class '{name}', which is none of Keras' or QKeras'; pass it in "
            f"custom_objects={{'{name}': ...}}{origin(name, module)}"
        )


def _resolve(entry: dict[str, Any], name: str, module: str | None) -> None:
    """Let Keras find just the class that was checked: by its public module, or among the objects that it is handed."""
    if "module" in entry:
        entry.update(class_name=name, module=module, registered_name=name if module is None else None)
    else:
        entry.pop("registered_name", None)
        entry["class_name"] = name


def _home(name: str, module: str) -> str | None:
    if name in known.INTERNAL:
        return f"{keras_home()}.{known.INTERNAL[name]}"
    homes = [home for home, names in known.HOMES.items() if name in names]
    # A few names stand for two things, of different modules.
    return next((home for home in homes if home.rpartition(".")[2] in module), homes[0] if homes else None)


def _code(what: str, place: str) -> ModelError:
    return ModelError(f"holds code ({what}) at {_at(place)} that would run when the model is loaded or used; ", *TRUST)


def _at(place: str) -> str:
    return place or "the top"


def _keras_layers() -> Collection[str]:
    serialization = keras_module("src.layers.serialization")
    serialization.populate_deserializable_objects()
    names: Collection[str] = serialization.LOCAL.ALL_OBJECTS
    return names


def _calls(value: Any) -> int:
    """How many times layers are called while a model is built."""
    if isinstance(value, list):
        return sum(_calls(item) for item in value)
    if not isinstance(value, dict):
        return 0
    nodes = value.get("inbound_nodes")
    calls = sum(_calls(item) for item in value.values() if item is not nodes)
    calls += value.get("class_name") in known.LAYERS | known.QKERAS | known.CALLS
    if not isinstance(nodes, list):
        return calls
    if value.get("class_name") in known.CALLS:
        _check_call(value, nodes)
    return max(1, len(nodes)) * calls


def _check_call(layer: Mapping[str, Any], nodes: list[Any]) -> None:
    """ModelError for a call of TensorFlow that depends on no layer, so that it would run now, or on a huge number."""
    function = str(_inside(layer).get("function"))
    for node in nodes:
        leaves = list(_leaves(node))
        if not any(isinstance(leaf, tuple) for leaf in leaves):
            raise ModelError(f"layer '{layer.get('name')}' calls tf.{function} on constants alone; ", *TRUST)
        largest = max((abs(leaf) for leaf in leaves if isinstance(leaf, int)), default=0)
        if function.rpartition(".")[2] in ("split", "unstack") and largest > _MOST_PIECES:
            raise ModelError(f"layer '{layer.get('name')}' makes {largest} tensors; allowed are {_MOST_PIECES}")


def _leaves(node: Any) -> Iterator[Any]:
    """The values in a layer's call; outputs of other layers as tuples."""
    if isinstance(node, dict):
        for value in node.values():
            yield from _leaves(value)
    elif isinstance(node, list):
        if len(node) in (3, 4) and isinstance(node[0], str) and node[0] != "_CONSTANT_VALUE":
            yield tuple(node[:3])
            node = node[3:]
        for value in node:
            yield from _leaves(value)
    else:
        yield node
