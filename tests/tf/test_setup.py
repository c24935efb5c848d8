"""TensorFlow with the Keras that QKeras needs, or an error with the remedy. Each case needs its own process."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

USE = """
import fkeras
from fkeras.frontends.qkeras.setup import tensorflow
try:
    print("home", tensorflow().keras.layers.Layer.__module__)
except fkeras.EnvironmentSetupError as error:
    print("refused", error)
"""
QKERAS = """
import sys
from fkeras.frontends.qkeras.setup import qkeras
qkeras()
print("Keras 3 loaded:", "keras" in sys.modules)
import keras
print("Keras", keras.__version__)
"""


@pytest.mark.parametrize(
    ("program", "variable", "expected"),
    [
        (
            f"import tensorflow\n{USE}",
            None,
            (
                "refused QKeras needs TensorFlow's legacy Keras",
                "imported earlier without",
                "Import fkeras",
                "before TensorFlow, or set TF_USE_LEGACY_KERAS=1",
            ),
        ),
        (f"import fkeras, tensorflow\n{USE}", None, ("home tf_keras.",)),
        (QKERAS, None, ("Keras 3 loaded: False", "Keras 3.")),
        (USE, "0", ("refused", "TF_USE_LEGACY_KERAS is '0'", "set TF_USE_LEGACY_KERAS=1")),
    ],
)
def test_set_up(program, variable, expected):
    environment = {k: v for k, v in os.environ.items() if k != "TF_USE_LEGACY_KERAS"}
    environment |= {"TF_CPP_MIN_LOG_LEVEL": "3"} | ({} if variable is None else {"TF_USE_LEGACY_KERAS": variable})
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    for part in expected:
        assert part in done.stdout
