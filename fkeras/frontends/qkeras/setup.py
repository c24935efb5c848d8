"""TensorFlow with the legacy Keras that QKeras needs, or an error that says what to change."""

from __future__ import annotations

import base64
import hashlib
import importlib.util
import os
import sys
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

from fkeras.errors import EnvironmentSetupError

_REMEDY = (
    "Import fkeras (or a module that does) before TensorFlow, or set TF_USE_LEGACY_KERAS=1 in the environment "
    "before the process starts; under pytest, put any fkeras_* key (fkeras_seed = 1) into the ini file and the "
    "plugin does it in time."
)


def _refuse(what: str) -> None:
    raise EnvironmentSetupError(f"QKeras needs TensorFlow's legacy Keras (tf-keras), but {what}. {_REMEDY}")


def tensorflow() -> Any:
    """The tensorflow module, running on tf-keras. EnvironmentSetupError when it is too late for that."""
    if "tensorflow" in sys.modules:
        loaded = sys.modules["tensorflow"]
        home = loaded.keras.layers.Layer.__module__
        if not home.startswith("tf_keras."):
            _refuse(f"TensorFlow was imported earlier without TF_USE_LEGACY_KERAS=1, and its Keras is now '{home}'")
        return loaded
    if os.environ.get("TF_USE_LEGACY_KERAS", "1").lower() not in ("1", "true"):
        _refuse(f"TF_USE_LEGACY_KERAS is {os.environ['TF_USE_LEGACY_KERAS']!r}")
    os.environ["TF_USE_LEGACY_KERAS"] = "1"
    with warnings.catch_warnings(), _without_greetings():
        warnings.simplefilter("ignore")
        import tensorflow as module

        module.config.list_physical_devices()  # on a machine without a GPU this is when its drivers are missed
    return module


@contextmanager
def _without_greetings() -> Iterator[None]:
    """Keeps back what TensorFlow's C++ code prints while it is imported, unless the import fails.

    A user who sets TF_CPP_MIN_LOG_LEVEL gets what that asks for.
    """
    if "TF_CPP_MIN_LOG_LEVEL" in os.environ:
        yield
        return
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "2"
    sys.stderr.flush()
    with tempfile.TemporaryFile() as log:
        usual = os.dup(2)
        os.dup2(log.fileno(), 2)
        try:
            yield
        except BaseException:
            log.seek(0)
            os.write(usual, log.read())
            raise
        finally:
            os.dup2(usual, 2)
            os.close(usual)
            os.environ.pop("TF_CPP_MIN_LOG_LEVEL", None)  # read by now; child processes must not take it for the user's


def qkeras() -> Any:
    """The qkeras module, imported after TensorFlow was set up for it.

    EnvironmentSetupError when the package of that name is another one's: HGQ2 and QKeras for Keras 3 bring their own.
    """
    _require_qkeras_once()
    tensorflow()
    with warnings.catch_warnings(), _without_keras_3():
        warnings.simplefilter("ignore")
        import qkeras as module
    return module


def require_qkeras() -> None:
    """EnvironmentSetupError unless `import qkeras` gives the files of QKeras, as pip installed them."""
    spec = importlib.util.find_spec("qkeras")
    try:
        distribution = metadata.distribution("qkeras")
    except metadata.PackageNotFoundError:
        distribution = None
    if spec is None or spec.origin is None:
        raise EnvironmentSetupError(f"QKeras is not installed: {_INSTALL}")
    if distribution is None:
        raise EnvironmentSetupError(
            f"the package qkeras ({spec.origin}) is {_owners()}, not QKeras: {_INSTALL}, {_APART}"
        )
    home, imported = Path(str(distribution.locate_file("qkeras"))), Path(spec.origin)
    if home.resolve() != imported.parent.resolve():
        raise EnvironmentSetupError(
            f"`import qkeras` finds {imported} before the QKeras that is installed in {home}: rename that file or "
            "folder, or start elsewhere"
        )
    replaced = [str(file) for file in distribution.files or () if file.suffix == ".py" and not _is_as_installed(file)]
    if replaced:
        raise EnvironmentSetupError(
            f"the package qkeras is no longer QKeras {distribution.version}: {replaced[0]} is not what was installed, "
            f"but {_owners()}: {_REINSTALL}, {_APART}"
        )


_require_qkeras_once = cache(require_qkeras)

_INSTALL = "pip install qkeras==0.9.0"
_REINSTALL = "pip install --force-reinstall --no-deps qkeras==0.9.0"
_APART = "or give what brought the other package an environment of its own"


def _owners() -> str:
    """Who installed the files of a package called qkeras, other than QKeras."""
    names = {name for name in metadata.packages_distributions().get("qkeras", ()) if name.lower() != "qkeras"}
    return f"that of {' and '.join(sorted(names))}" if names else "a changed or a private one"


def _is_as_installed(file: metadata.PackagePath) -> bool:
    if file.hash is None or file.hash.mode != "sha256":
        return True
    try:
        digest = hashlib.sha256(Path(str(file.locate())).read_bytes()).digest()
    except OSError:
        return False
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode() == file.hash.value


@contextmanager
def _without_keras_3() -> Iterator[None]:
    """Spares the seconds in which Keras 3 is imported, with all that it finds installed, to learn that it has no
    `keras.engine`: that is where TensorFlow Model Optimization, which QKeras imports, looks before it does without."""
    is_loaded = "keras" in sys.modules
    if not is_loaded:
        sys.modules["keras"] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        if not is_loaded:
            del sys.modules["keras"]


@contextmanager
def whole_float32() -> Iterator[None]:
    """Within the block a GPU multiplies float32 as float32: TensorFloat-32 keeps ten bits, and sums must be exact."""
    config = tensorflow().config.experimental
    before = config.tensor_float_32_execution_enabled()
    config.enable_tensor_float_32_execution(False)
    try:
        yield
    finally:
        config.enable_tensor_float_32_execution(before)
