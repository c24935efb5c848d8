"""TensorFlow, its Keras 2 and QKeras, or one message with the line that repairs what is there."""

from __future__ import annotations

import base64
import hashlib
import importlib
import importlib.machinery
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

from fkeras.errors import EnvironmentSetupError, FkerasError, MissingExtraError
from fkeras.frontends.qkeras.model_file import first_line

_QKERAS = "0.9.0"
_EVERYTHING = "pip install 'pytest-fkeras[qkeras]'"
_IN_TIME = (
    "import fkeras (or a module that does) before TensorFlow, or set TF_USE_LEGACY_KERAS=1 in the environment "
    "before the process starts; under pytest, put any fkeras_* key (fkeras_seed = 1) into the ini file and the "
    "plugin does it in time"
)


def tensorflow() -> Any:
    """The tensorflow module, with Keras 2: its own, or from TensorFlow 2.16 on that of tf-keras.

    MissingExtraError where one of them is not installed, EnvironmentSetupError when it is too late for Keras 2.
    """
    module = sys.modules.get("tensorflow") or _imported_tensorflow()
    _keras_home(module)
    return module


def keras_home() -> str:
    """The package of the Keras in use, in which its own classes live: "keras" or "tf_keras"."""
    return _keras_home(tensorflow())


def keras_module(name: str) -> Any:
    """A module of the Keras in use by its name inside the package, such as "src.layers.serialization"."""
    return importlib.import_module(f"{keras_home()}.{name}")


def keras_version() -> str:
    """The version of the Keras in use."""
    return str(sys.modules[keras_home()].__version__)


@cache
def _keras_home(module: Any) -> str:
    what = f"the Keras 2 of TensorFlow {module.__version__}"
    try:
        home: str = module.keras.layers.Layer.__module__.partition(".")[0]
    except ImportError as error:
        raise _not_importable(what, error) from error
    version = sys.modules[home].__version__
    if version.startswith("2."):
        return home
    if _spec("tf_keras") is None:
        raise _no_tf_keras()
    legacy = os.environ.get("TF_USE_LEGACY_KERAS", "1")
    why = (
        "TensorFlow was imported before anything asked for it"
        if legacy in ("1", "true", "True")
        else f"TF_USE_LEGACY_KERAS is {legacy!r}"
    )
    raise EnvironmentSetupError(f"QKeras needs Keras 2, but {why}, and its Keras is {version}: {_IN_TIME}")


def _no_tf_keras() -> FkerasError:
    return MissingExtraError(f"QKeras needs Keras 2, which is tf-keras here, and that is not installed: {_repair()}")


def _imported_tensorflow() -> Any:
    try:
        with warnings.catch_warnings(), without_greetings():
            warnings.simplefilter("ignore")
            import tensorflow as module

            module.config.list_physical_devices()  # on a machine without a GPU this is when its drivers are missed
    except Exception as error:
        if _spec("tensorflow") is None:
            raise _no_framework() from None
        raise _not_importable("TensorFlow", error) from error
    return module


@contextmanager
def without_greetings() -> Iterator[None]:
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

    MissingExtraError where it is not installed, EnvironmentSetupError when the package of that name is another one's:
    HGQ2 and QKeras for Keras 3 bring their own.
    """
    require_qkeras_once()
    tensorflow()
    try:
        with warnings.catch_warnings(), _without_keras_3():
            warnings.simplefilter("ignore")
            import qkeras as module
    except Exception as error:
        raise _not_importable(f"QKeras {_QKERAS}", error) from error
    return module


def require_qkeras() -> None:
    """FkerasError unless `import qkeras` gives the files of QKeras 0.9.0, as pip installed them."""
    if _spec("tensorflow") is None:
        raise _no_framework()
    spec, distribution = _spec("qkeras"), _distribution("qkeras")
    if spec is None and distribution is None:
        raise MissingExtraError(f"QKeras is not installed: {_repair()}")
    imported = None if spec is None or spec.origin is None else Path(spec.origin)
    if distribution is None:
        raise EnvironmentSetupError(f"the package qkeras ({imported}) is {_owner()}, not QKeras: {_repair()}")
    home = Path(str(distribution.locate_file("qkeras")))
    if imported is not None and home.resolve() != imported.parent.resolve():
        raise EnvironmentSetupError(
            f"`import qkeras` finds {imported} before the QKeras that is installed in {home}: rename that file or "
            "folder, or start elsewhere"
        )
    foreign = _foreign_file(distribution)
    if foreign is not None:
        raise EnvironmentSetupError(
            f"the package qkeras is no longer QKeras {distribution.version}: {foreign} is not what was installed, but "
            f"{_owner()}: {_repair()}"
        )
    if distribution.version != _QKERAS:
        raise EnvironmentSetupError(
            f"QKeras {distribution.version} is installed, and the words of {_QKERAS} are known: {_repair()}"
        )


require_qkeras_once = cache(require_qkeras)


def _no_framework() -> FkerasError:
    return MissingExtraError(f"models need TensorFlow and QKeras, and TensorFlow is not installed: {_repair()}")


def _not_importable(what: str, error: Exception) -> FkerasError:
    if isinstance(error, ModuleNotFoundError) and error.name and "." not in error.name:
        return MissingExtraError(f"{what} needs the module '{error.name}', which is not installed: {_repair()}")
    if str(error).startswith("Keras cannot be imported"):  # so TensorFlow says when it was told to use tf-keras
        return _no_tf_keras()
    return EnvironmentSetupError(
        f"{what} cannot be imported ({first_line(error)}): `pip check` names versions that do not fit, and in "
        f"an environment of its own this line brings all that is needed: {_EVERYTHING}"
    )


def _repair() -> str:
    """The line that makes QKeras and its Keras 2 complete beside the TensorFlow that is there."""
    release, distribution, others = _release_of_tensorflow(), _distribution("qkeras"), _others()
    steps = [f"pip uninstall --yes {' '.join(others)}"] if others else []
    if release is None:
        steps.append(_EVERYTHING)
    else:  # tf-keras keeps pip from bringing another TensorFlow
        steps.append(f"pip install qkeras=={_QKERAS} tf-keras~={release}.0 pyparsing")
    if distribution is not None and (others or _foreign_file(distribution) is not None):
        steps.append(f"pip install --force-reinstall --no-deps qkeras=={_QKERAS}")
    apart = f"; or give {' and '.join(others)} an environment of its own" if others else ""
    return " && ".join(steps) + apart


def _spec(name: str) -> importlib.machinery.ModuleSpec | None:
    try:
        return importlib.util.find_spec(name)
    except (ImportError, ValueError):
        return None


def _distribution(name: str) -> metadata.Distribution | None:
    try:
        return metadata.distribution(name)
    except metadata.PackageNotFoundError:
        return None


def _release_of_tensorflow() -> str | None:
    """Such as "2.21"; None where there is no TensorFlow. Its distribution has several names."""
    names = metadata.packages_distributions().get("tensorflow", ()) if _spec("tensorflow") else ()
    return next((".".join(metadata.version(name).split(".")[:2]) for name in names), None)


def _others() -> list[str]:
    """Who else installed files into a package called qkeras."""
    return sorted({name for name in metadata.packages_distributions().get("qkeras", ()) if name.lower() != "qkeras"})


def _owner() -> str:
    others = _others()
    return f"that of {' and '.join(others)}" if others else "a changed or a private one"


def _foreign_file(distribution: metadata.Distribution) -> str | None:
    """A module of a distribution that is not as it was installed, or that a folder of its name hides."""
    for file in distribution.files or ():
        if file.suffix == ".py":
            if not _is_as_installed(file):
                return str(file)
            if Path(str(file.locate())).with_suffix("").is_dir():
                return str(file.with_suffix(""))
    return None


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
