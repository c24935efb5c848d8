"""hls4ml and a C++ compiler, or an error that says what to install."""

from __future__ import annotations

import contextlib
import importlib
import io
import shutil
import warnings
from collections.abc import Iterator
from typing import Any

from fkeras.errors import EnvironmentSetupError, MissingExtraError
from fkeras.frontends.qkeras.setup import tensorflow


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Without hls4ml's progress on standard output and the warnings of the libraries that it loads."""
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        yield


def hls4ml() -> Any:
    """The hls4ml module. MissingExtraError where it is not installed."""
    try:
        with quiet():
            import hls4ml as module
    except ImportError as error:
        raise MissingExtraError(
            f"the hls4ml engine needs hls4ml ({error}); install it with: pip install 'pytest-fkeras[hls4ml]'"
        ) from error
    return module


def parser() -> Any:
    """hls4ml's module for Keras 2 models; the package has a function of the same name."""
    tensorflow()
    hls4ml()
    return importlib.import_module("hls4ml.converters.keras_v2_to_hls")


def compiler() -> str:
    """The path of g++, which hls4ml's emulation is compiled with. EnvironmentSetupError where there is none."""
    path = shutil.which("g++")
    if path is None:
        raise EnvironmentSetupError(
            "the hls4ml engine compiles hls4ml's C++ emulation and found no g++ on PATH; install one "
            "(apt install g++, dnf install gcc-c++, or a conda compiler named g++)"
        )
    return path
