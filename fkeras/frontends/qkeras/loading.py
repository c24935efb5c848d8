"""Loading QKeras models from files, without running code that a file brings along."""

from __future__ import annotations

import json
import math
import os
import posixpath
import warnings
import zipfile
from collections.abc import Collection, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

from fkeras.errors import Argument, FkerasError, InputError, ModelError
from fkeras.frontends.qkeras.data_classes import QKERAS, QUANTIZING_FUNCTIONS, SINCE_2_14
from fkeras.frontends.qkeras.file_code import data_only, entries
from fkeras.frontends.qkeras.model_file import KINDS, ModelFile, first_line, open_model_file
from fkeras.frontends.qkeras.origins import origin_of_keras_3
from fkeras.frontends.qkeras.setup import keras_module, keras_version, qkeras, require_qkeras_once, tensorflow
from fkeras.frontends.qkeras.slots import REASONS

_SPARE_NUMBERS = 2**20
"""What a model may hold beyond its weights: counters, states of random generators."""


class PruningStripped(UserWarning):
    """A model file held pruning wrappers, which were taken off."""


def load_model(
    path: str | os.PathLike[str],
    weights: str | os.PathLike[str] | None = None,
    custom_objects: Mapping[str, Any] | None = None,
    trusted: bool = False,
) -> Any:
    """The (uncompiled) Keras model in a file, QKeras' own classes known, pruning wrappers stripped.

    path: `.h5`, `.keras`, or an architecture JSON (`model.to_json()`) together with `weights`, a `.h5` weight file;
    custom_objects: the user's own classes by name; trusted: allow layers that bring code along or call
    what they like (Lambda and others), which would run.
    InputError for a missing file, ModelError for one that is no model that can be loaded here.
    """
    require_qkeras_once()
    with ExitStack() as stack:
        source = open_model_file(path, "model", stack)
        holder = source if weights is None else open_model_file(weights, "weight", stack)
        _require_model(source)
        if holder.weights is None:
            raise InputError(f"{source.path}: an architecture has no weights; pass ", Argument("weights", "file.h5"))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model = _built(source, holder, dict(custom_objects or {}), trusted)
            try:
                _assign(model, holder)
            except Exception as error:
                raise ModelError(
                    f"{holder.path}: its weights do not fit the architecture in {source.path} "
                    f"({type(error).__name__}: {first_line(error)})"
                ) from error
            if trusted and source.archive is not None:
                _load_assets(model, source.archive)
    return _without_pruning(model, source)


def _require_model(source: ModelFile) -> None:
    config = source.config
    if config is None:
        how = "pass the architecture JSON as path and this file as "
        raise ModelError(f"{source.path}: holds weights only; {how}", Argument("weights"))
    if not isinstance(config, dict) or "class_name" not in config:
        raise ModelError(f"{source.path}: is no model file; its configuration describes no model; allowed are ", *KINDS)
    if source.keras is not None and not source.keras.startswith("2."):
        raise ModelError(
            f"{source.path}: was saved by Keras {source.keras}; QKeras needs Keras 2"
            f"{origin_of_keras_3(config)}: build the same model with TF_USE_LEGACY_KERAS=1 and QKeras' layers, and "
            "carry its numbers over with model.get_weights() and model.set_weights(...)"
        )


def _built(source: ModelFile, holder: ModelFile, custom_objects: dict[str, Any], trusted: bool) -> Any:
    """The model that a configuration describes, with the weights that its initializers give."""
    own, config = _own_objects(), source.config
    config.pop("compile_config", None)
    try:
        if not trusted:
            config = data_only(config, custom_objects, own)
        _name_functions(config)
        _leave_out_news(config, custom_objects)
        with (
            keras_module("src.saving.serialization_lib").SafeModeScope(safe_mode=not trusted),
            tensorflow().keras.utils.custom_object_scope({**own, **custom_objects}),
            _no_more_than(holder.numbers + _SPARE_NUMBERS),
        ):
            model = _deserialized(config, source)
        if not isinstance(model, tensorflow().keras.Model):
            raise ModelError(f"its configuration describes a {config['class_name']}, which is no model")
        return model
    except FkerasError as error:
        raise error.within(f"{source.path}: ") from error.__cause__
    except Exception as error:
        raise ModelError(f"{source.path}: {_reason(error, source)}") from error


def _deserialized(config: Any, source: ModelFile) -> Any:
    """Keras' own reading of a configuration, in the three ways that its formats have."""
    if source.archive is not None:
        saving_lib, serialization_lib = map(keras_module, ("src.saving.saving_lib", "src.saving.serialization_lib"))
        with _as_in_keras_files(saving_lib), serialization_lib.ObjectSharingScope():
            return serialization_lib.deserialize_keras_object(_finite(config), safe_mode=False)
    text, json_utils = json.dumps(config), keras_module("src.saving.legacy.saved_model.json_utils")
    if source.weights is not None:
        return keras_module("src.saving.legacy.model_config").model_from_config(_finite(json_utils.decode(text)))
    layers = keras_module("src.layers.serialization")
    layers.populate_deserializable_objects()
    decoded = json_utils.decode_and_deserialize(text, module_objects=layers.LOCAL.ALL_OBJECTS)
    return layers.deserialize(_finite(decoded))


@contextmanager
def _as_in_keras_files(saving_lib: Any) -> Iterator[None]:
    """Within the block Keras takes what it reads for part of a `.keras` file."""
    state = saving_lib._SAVING_V3_ENABLED
    before = getattr(state, "value", False)
    state.value = True
    try:
        yield
    finally:
        state.value = before


class _Rounds(list[Any]):
    """The layers of a model, which Keras goes through until it has made every call; one a round, or it never will."""

    def __init__(self, layers: list[Any]) -> None:
        super().__init__(layers)
        nodes = [layer.get("inbound_nodes") for layer in layers if isinstance(layer, dict)]
        self._left = 8 + sum(len(calls) for calls in nodes if isinstance(calls, list))

    def __iter__(self) -> Iterator[Any]:
        self._left -= 1
        if self._left < 0:
            raise ModelError(
                "its layers wait for each other (inbound_nodes in a circle, or to a call that is not there)"
            )
        return super().__iter__()


def _finite(config: Any) -> Any:
    if isinstance(config, dict):
        values = {key: _finite(value) for key, value in config.items()}
        return values | {"layers": _Rounds(values["layers"])} if type(values.get("layers")) is list else values
    return [_finite(value) for value in config] if type(config) is list else config


@contextmanager
def _no_more_than(numbers: int) -> Iterator[None]:
    """Within the block variables of more numbers than a file holds are refused before they take memory."""
    left = numbers

    def create(next_creator: Any, **arguments: Any) -> Any:
        nonlocal left
        shape = tuple(arguments.get("shape") or ())
        left -= math.prod(size or 0 for size in shape)
        if left < 0:
            raise ModelError(
                f"asks for weights of shape {shape}, more than the {numbers - _SPARE_NUMBERS:,} numbers that "
                "its weights hold"
            )
        return next_creator(**arguments)

    with tensorflow().variable_creator_scope(create):
        yield


def _assign(model: Any, holder: ModelFile) -> None:
    """Give the model the numbers in a file, in the layout that they have there."""
    content = holder.weights
    legacy = content if "layer_names" in content.attrs else content.get("model_weights")
    if legacy is None:
        keras_module("src.saving.saving_lib")._load_state(
            model, weights_store=_Numbers(content), assets_store=None, inner_path="", visited_trackables=set()
        )
        return
    for group in (legacy, *legacy.values()):
        names = [posixpath.normpath(name) for name in group.attrs.get("weight_names", ())]
        if len(set(names)) < len(names):
            raise ModelError(f"'{group.name}' names one of its weights twice")
    keras_module("src.saving.legacy.hdf5_format").load_weights_from_hdf5_group(legacy, model)


_OTHER_NAMES = {"layers": "_layer_checkpoint_dependencies", "_layer_checkpoint_dependencies": "layers"}
"""What Keras from 2.15 on, and Keras up to 2.14, call the layers of a model in a path."""


class _Numbers:
    """The weights in a `.keras` file, by the path of their layer, whichever Keras 2 reads what whichever wrote."""

    def __init__(self, content: Any) -> None:
        self._content = content

    def get(self, path: str) -> Any:
        if not path:
            return self._content["vars"]
        parts = [_OTHER_NAMES.get(part, part) for part in path.split("/")]
        for name in (path, "/".join(parts)):
            if f"{name}/vars" in self._content:
                return self._content[f"{name}/vars"]
        return {}


def _load_assets(model: Any, archive: zipfile.ZipFile) -> None:
    """The files in a `.keras` file that is trusted: the vocabularies of lookup layers."""
    if any(name.startswith("assets/") and not name.endswith("/") for name in archive.namelist()):
        saving_lib = keras_module("src.saving.saving_lib")
        store = saving_lib.DiskIOStore("assets", archive=archive, mode="r")
        try:
            saving_lib._load_state(
                model, weights_store=None, assets_store=store, inner_path="", visited_trackables=set()
            )
        finally:
            store.close()


def _own_objects() -> dict[str, Any]:
    """QKeras' classes, ours, and those of pruned models, by the names that files have for them."""
    module = qkeras()  # before its dependencies, which would import TensorFlow as it is
    from tensorflow_model_optimization.python.core.sparsity.keras.pruning_wrapper import PruneLowMagnitude

    from fkeras.frontends import layers

    objects: dict[str, Any] = {"PruneLowMagnitude": PruneLowMagnitude, **layers.CUSTOM_OBJECTS}
    module.utils._add_supported_quantized_objects(objects)
    return objects | {"QActivation": _activation(module)}


def _activation(module: Any) -> type:
    """QActivation, whose quantizer a `.keras` file describes in a way that QKeras itself does not read back."""

    class Activation:
        @classmethod
        def from_config(cls, config: Mapping[str, Any]) -> Any:
            activation = config["activation"]
            if isinstance(activation, dict):
                activation = module.quantizers.get_quantizer(activation)
            return module.QActivation.from_config({**config, "activation": activation})

    return Activation


def _name_functions(config: Any) -> None:
    """Let QKeras' layers find QKeras' functions by name; as files describe them, they would be looked for in Keras."""
    for entry in entries(config):
        inside = entry.get("config")
        if entry["class_name"] not in QKERAS or not isinstance(inside, dict):
            continue
        for key, value in inside.items():
            if isinstance(value, dict) and value.get("class_name") == "function":
                name = value.get("config")
                inside[key] = name if isinstance(name, str) and name in QUANTIZING_FUNCTIONS else value


def _leave_out_news(config: Any, custom_objects: Collection[str]) -> None:
    """Let a Keras 2 that does not know them yet read what newer ones write beside all that it needs."""
    for entry in entries(config):
        name, inside = entry["class_name"], entry.get("config")
        if name in SINCE_2_14 and name not in custom_objects and isinstance(inside, dict):
            argument = SINCE_2_14[name]
            inside.pop(argument, None) if not inside.get(argument) else None


def _reason(error: Exception, source: ModelFile) -> str:
    """Why Keras could not build what passed our own checks."""
    # Keras puts the whole configuration before what went wrong in it.
    what = f"{type(error).__name__}: {first_line(error, after='Exception encountered: ')}"
    for kind in sorted({entry["class_name"] for entry in entries(source.config)} & set(REASONS)):
        return f"holds a {kind}{REASONS[kind]}: {what}; build the model without it"
    writer = f"Keras {source.keras}" if source.keras else "a Keras that left no version"
    return (
        f"cannot be loaded as a QKeras model ({what}); it was saved by {writer}, and is read by "
        f"Keras {keras_version()} with QKeras {qkeras().__version__}. Classes of your own go into "
        "custom_objects={name: class}"
    )


def _without_pruning(model: Any, source: ModelFile) -> Any:
    if not any(type(layer).__name__ == "PruneLowMagnitude" for layer in model._flatten_layers()):
        return model
    from tensorflow_model_optimization.sparsity import keras as sparsity

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        stripped = sparsity.strip_pruning(model)
    warnings.warn(
        f"{source.path}: pruning wrappers stripped; the pruned weights are kept", PruningStripped, stacklevel=3
    )
    return stripped
