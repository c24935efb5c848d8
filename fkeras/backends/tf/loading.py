"""Loading QKeras models from files, without running code that a file brings along."""

from __future__ import annotations

import json
import os
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fkeras.backends.tf.file_code import refuse_code
from fkeras.backends.tf.setup import qkeras, tensorflow
from fkeras.errors import FkerasError, InputError, ModelError

_KINDS = "a .h5 or .keras model, or an architecture .json with weights="


class PruningStripped(UserWarning):
    """A model file held pruning wrappers, which were taken off."""


def load_model(
    path: str | os.PathLike[str],
    weights: str | os.PathLike[str] | None = None,
    custom_objects: Mapping[str, Any] | None = None,
    trusted: bool = False,
) -> Any:
    """The (uncompiled) tf-keras model in a file, QKeras' own classes known, pruning wrappers stripped.

    path: `.h5`, `.keras`, or an architecture JSON (`model.to_json()`) together with `weights`, a `.h5` weight file;
    custom_objects: the user's own classes by name; trusted: allow layers that bring code along or call
    what they like (Lambda and others), which would run.
    InputError for a missing file, ModelError for one that is no model that can be loaded here.
    """
    file = _existing(path, "model")
    weight_file = None if weights is None else _existing(weights, "weight")
    config = _architecture(file)
    if not isinstance(config, dict) or "class_name" not in config:
        raise ModelError(f"{file}: is no model file; its configuration describes no model; allowed are {_KINDS}")
    if weight_file is None and _is_json(file):
        raise InputError(f"{file}: an architecture has no weights; pass weights='file.h5'")
    if not trusted:
        refuse_code(config, file, custom_objects or {})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        objects = _known_objects(custom_objects)
        try:
            model = _deserialize(file, config, objects)
        except Exception as error:
            raise ModelError(
                f"{file}: cannot be loaded as a QKeras model ({type(error).__name__}: "
                f"{_first_line(error)}). Classes of your own go into custom_objects={{name: class}}; "
                "the file must have been saved by tf-keras, not by Keras 3"
            ) from error
        if weight_file is not None:
            try:
                model.load_weights(str(weight_file))
            except Exception as error:
                raise ModelError(
                    f"{weight_file}: its weights do not fit the architecture in {file} "
                    f"({type(error).__name__}: {_first_line(error)})"
                ) from error
    return _without_pruning(model, file)


def _existing(path: str | os.PathLike[str], what: str) -> Path:
    file = Path(path)
    if file.is_dir():
        raise InputError(f"{file}: is a directory; allowed are {_KINDS} (a SavedModel must be saved again as .h5)")
    if not file.exists():
        raise InputError(f"{what} file {file} does not exist (looked in {Path.cwd()})")
    if not file.is_file():
        raise InputError(f"{what} file {file} is no regular file; allowed are {_KINDS}")
    return file


def _is_json(file: Path) -> bool:
    return file.suffix == ".json" and not zipfile.is_zipfile(file)


def _architecture(file: Path) -> Any:
    """The architecture as plain data; nothing is built yet."""
    try:
        if zipfile.is_zipfile(file):
            with zipfile.ZipFile(file) as archive:
                _refuse_keras_3(json.loads(archive.read("metadata.json")).get("keras_version"), file)
                return json.loads(archive.read("config.json"))
        import h5py

        if h5py.is_hdf5(file):
            with h5py.File(file, "r") as content:
                if "model_config" not in content.attrs:
                    raise ModelError(
                        f"{file}: holds weights only; pass the architecture JSON as path and this file as weights="
                    )
                _refuse_keras_3(content.attrs.get("keras_version"), file)
                return json.loads(content.attrs["model_config"])
        if file.suffix == ".json":
            return json.loads(file.read_text())
    except FkerasError:
        raise
    except (OSError, KeyError, ValueError, AttributeError, RecursionError, zipfile.BadZipFile) as error:
        raise ModelError(f"{file}: is damaged or no model file ({_first_line(error)}); allowed are {_KINDS}") from error
    raise ModelError(f"{file}: is no model file; allowed are {_KINDS}")


def _refuse_keras_3(version: Any, file: Path) -> None:
    if version is not None and not str(version).startswith("2."):
        raise ModelError(
            f"{file}: was saved by Keras {version}; QKeras needs tf-keras (Keras 2): rebuild the model "
            "with TF_USE_LEGACY_KERAS=1, load the weights there, and save it again"
        )


def _known_objects(custom_objects: Mapping[str, Any] | None) -> dict[str, Any]:
    tensorflow()
    from tensorflow_model_optimization.python.core.sparsity.keras.pruning_wrapper import PruneLowMagnitude

    from fkeras.backends.tf import layers

    objects: dict[str, Any] = {"PruneLowMagnitude": PruneLowMagnitude, **layers.CUSTOM_OBJECTS}
    qkeras().utils._add_supported_quantized_objects(objects)
    return {**objects, **(custom_objects or {})}


def _deserialize(file: Path, config: Any, objects: dict[str, Any]) -> Any:
    """The model of a file whose code, if it holds any, was found to be trusted."""
    keras = tensorflow().keras
    from tf_keras.src.saving.serialization_lib import SafeModeScope

    with SafeModeScope(safe_mode=False), keras.utils.custom_object_scope(objects):
        if _is_json(file):
            return keras.models.model_from_json(json.dumps(config), custom_objects=objects)
        if zipfile.is_zipfile(file):
            return keras.models.load_model(file, custom_objects=objects, compile=False, safe_mode=False)
        import h5py

        with h5py.File(file, "r") as content:
            return keras.models.load_model(content, custom_objects=objects, compile=False)


def _without_pruning(model: Any, file: Path) -> Any:
    if not any(type(layer).__name__ == "PruneLowMagnitude" for layer in model._flatten_layers()):
        return model
    from tensorflow_model_optimization.sparsity import keras as sparsity

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        stripped = sparsity.strip_pruning(model)
    warnings.warn(f"{file}: pruning wrappers stripped; the pruned weights are kept", PruningStripped, stacklevel=3)
    return stripped


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or ["no details"])[0][:300]
