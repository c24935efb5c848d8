"""fkeras: how many bit flips does a quantized neural network survive, and which bits must be protected?

The public names are loaded on first use: `import fkeras` imports neither TensorFlow nor numba nor matplotlib.
It asks TensorFlow for tf-keras, where that is installed, unless the environment already says otherwise: QKeras is
made for Keras 2.
"""

from __future__ import annotations

import ast
import importlib
import os
import sys
from importlib.machinery import PathFinder
from pathlib import Path
from typing import Any

__version__ = "0.1.0"

if "tensorflow" not in sys.modules and PathFinder.find_spec("tf_keras"):
    os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")

_HOMES = {
    name.name: statement.module
    for statement in ast.parse(Path(__file__).with_suffix(".pyi").read_bytes()).body
    if isinstance(statement, ast.ImportFrom)
    for name in statement.names
}
"""The module of every name; those of `fkeras` itself are modules."""

__all__ = ["__version__", *sorted(_HOMES.keys() - {"faults", "hls4ml", "memory", "statistics"})]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'fkeras' has no attribute {name!r}")
    home = importlib.import_module(f"fkeras.{name}" if _HOMES[name] == "fkeras" else _HOMES[name])
    return home if _HOMES[name] == "fkeras" else getattr(home, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
