"""Loading model files with Keras 3: its own, and .h5 files that QKeras 0.9 wrote with Keras 2."""

from __future__ import annotations

import json
import os
import re
import warnings
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from typing import Any

from fkeras.errors import FkerasError, ModelError
from fkeras.frontends.keras3.setup import hgq, keras, qkeras
from fkeras.frontends.qkeras.model_file import ModelFile, first_line, open_model_file

_PACKAGES = {"hgq": "layers of HGQ2", "qkeras": "layers of QKeras"}


def load_model(
    path: str | os.PathLike[str], custom_objects: Mapping[str, Any] | None = None, trusted: bool = False
) -> Any:
    """The (uncompiled) Keras 3 model in a file, the classes of HGQ2 or QKeras known.

    path: `.keras` or `.h5`; custom_objects: the user's own classes by name; trusted: allow layers that bring code.
    InputError for a missing file, ModelError for one that is no model that can be loaded here, MissingExtraError or
    EnvironmentSetupError where its layers are not installed.
    """
    with ExitStack() as stack:
        source = open_model_file(path, "model", stack)
        if source.config is None or (source.weights is None and str(path).endswith(".json")):
            held = "weights" if source.config is None else "an architecture"
            raise ModelError(f"{path}: holds {held} only; save the whole model with model.save('name.keras')")
        known = dict(custom_objects or {}) | _objects(source)
        try:
            with warnings.catch_warnings(), keras().saving.custom_object_scope(known):
                warnings.simplefilter("ignore")
                if not is_of_keras_3(source):
                    return _of_keras_2(source, known)
                return keras().saving.load_model(str(path), compile=False, safe_mode=not trusted)
        except FkerasError as error:
            raise error.within(f"{path}: ") from error.__cause__
        except Exception as error:
            raise ModelError(f"{path}: {_reason(error, source)}") from error


def is_of_keras_3(source: ModelFile) -> bool:
    """Whether a file was written by Keras 3."""
    return source.keras is not None and not source.keras.startswith("2.")


def packages_in(source: ModelFile) -> set[str]:
    """Whose layers a file holds besides Keras' own: "hgq", "qkeras"."""
    text = json.dumps(source.config)
    modules = set(re.findall(r'"module": "(\w+)', text)) | set(re.findall(r'"registered_name": "(\w+)>', text))
    return modules & set(_PACKAGES)


def _objects(source: ModelFile) -> dict[str, Any]:
    """The classes that a file needs, by the names that files have for them."""
    packages = packages_in(source)
    written = f"was saved by Keras {source.keras or '2'}"
    try:
        if "hgq" in packages:
            hgq()
        elif "qkeras" in packages or not is_of_keras_3(source):
            qkeras()
            from qkeras.utils import _add_supported_quantized_objects

            objects: dict[str, Any] = {}
            _add_supported_quantized_objects(objects)
            if '"fkeras>' in json.dumps(source.config):
                from fkeras.frontends.layers import CUSTOM_OBJECTS

                objects |= CUSTOM_OBJECTS
            return objects
        else:
            keras()
    except FkerasError as error:
        holds = [_PACKAGES[package] for package in sorted(packages)]
        what = f"{written} and holds {' and '.join(holds)}" if holds else written
        raise error.within(f"{source.path}: {what}; ") from error.__cause__
    return {}


def _reason(error: Exception, source: ModelFile) -> str:
    what = f"{type(error).__name__}: {first_line(error, after='Exception encountered: ')}"
    if "safe_mode" in str(error):
        return f"holds code that would run ({what}); if you trust it, load it with trusted=True"
    return (
        f"cannot be loaded ({what}); it was saved by Keras {source.keras or '2'}, and is read by Keras "
        f"{keras().__version__}. Classes of your own go into custom_objects={{name: class}}"
    )


def _of_keras_2(source: ModelFile, objects: Mapping[str, Any]) -> Any:
    """The model in an .h5 file of Keras 2, its architecture as Keras 3 reads it, its weights by position."""
    from keras.src.legacy.saving import saving_utils

    if source.weights is None or source.archive is not None:
        raise ModelError(
            "was saved by Keras 2, of which Keras 3 reads .h5 files; save it as .h5, or load it with QKeras 0.9"
        )
    model = saving_utils.model_from_config(_with_nested_calls(_cleaned(source.config)), custom_objects=dict(objects))
    content = source.weights
    _assign(model, content.get("model_weights", content))
    return model


def _cleaned(node: Any) -> Any:
    """A configuration of Keras 2 without what Keras 3 does not take: pruning wrappers, arguments, slashes in names."""
    if isinstance(node, list):
        is_call = len(node) in (3, 4) and isinstance(node[0], str) and isinstance(node[1], int)
        return [_unslashed(node[0]), *map(_cleaned, node[1:])] if is_call else [_cleaned(part) for part in node]
    if not isinstance(node, dict):
        return node
    if node.get("class_name") == "PruneLowMagnitude":
        inner = dict(node["config"]["layer"])
        name = node["config"].get("name", node.get("name"))
        inner["config"] = dict(inner["config"], name=name)
        node = inner | {key: node[key] for key in ("inbound_nodes", "name") if key in node}
    node = {key: _cleaned(value) for key, value in node.items()}
    config, kind = node.get("config"), node.get("class_name")
    if isinstance(config, dict) and kind is not None:
        if config.get("groups") == 1 and str(kind).removeprefix("Q") not in ("Conv1D", "Conv2D", "Conv3D"):
            del config["groups"]
        if str(kind).removeprefix("Q") in ("LSTM", "GRU", "SimpleRNN"):
            config.pop("time_major", None)
    for named in (node, config):
        if isinstance(named, dict) and isinstance(named.get("name"), str):
            named["name"] = _unslashed(named["name"])
    return node


def _unslashed(name: str) -> str:
    return name.replace("/", "__")


def _with_nested_calls(node: Any) -> Any:
    """The configuration, with the numbers of the calls of nested models as Keras 3 counts them."""
    config = node.get("config") if isinstance(node, dict) else None
    layers = config.get("layers", []) if isinstance(config, dict) else []
    kinds = {layer["config"]["name"]: layer.get("class_name") for layer in layers if "layers" in layer["config"]}
    for layer in layers:
        _with_nested_calls(layer)
        for call in layer.get("inbound_nodes", []):
            _count_from_0(call, set(kinds))
    if isinstance(config, dict):  # those of functional models Keras 3 counts itself
        _count_from_0(config.get("output_layers", []), {name for name, kind in kinds.items() if kind == "Sequential"})
    return node


def _count_from_0(tensors: Any, models: set[str]) -> None:
    """Keras 2 counts the making of a nested model as its first call."""
    for tensor in tensors:
        if isinstance(tensor, list) and tensor and tensor[0] in models:
            tensor[1] = max(0, tensor[1] - 1)


def _assign(model: Any, group: Any) -> None:
    """Give a model the numbers in an .h5 file, layer by layer in their order."""
    from keras.src.legacy.saving.legacy_h5_format import _legacy_weights

    held = [weights for weights in _weights_in(group) if weights]
    layers = [layer for layer in model.layers if _legacy_weights(layer)]
    if [len(weights) for weights in held] != [len(_legacy_weights(layer)) for layer in layers]:
        raise ModelError("its weights do not fit its architecture as Keras 3 reads it; load it with QKeras 0.9")
    for weights, layer in zip(held, layers, strict=True):
        for value, variable in zip(weights, _legacy_weights(layer), strict=True):
            variable.assign(value[()])


def _weights_in(group: Any) -> Iterator[list[Any]]:
    """The numbers of each layer in an .h5 file, without what pruning added."""
    from keras.src.legacy.saving.legacy_h5_format import load_attributes_from_hdf5_group

    for layer in load_attributes_from_hdf5_group(group, "layer_names"):
        names = load_attributes_from_hdf5_group(group[layer], "weight_names")
        yield [
            group[layer][name] for name in names if not name.endswith(("/mask:0", "/threshold:0", "/pruning_step:0"))
        ]
