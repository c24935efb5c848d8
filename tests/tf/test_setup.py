"""TensorFlow with the Keras that QKeras needs, or one message with the remedy. Each case needs its own process."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from fkeras.frontends.qkeras.setup import keras_home, keras_module, keras_version

USE = """
import fkeras
from fkeras.frontends.qkeras.setup import keras_home, tensorflow
try:
    print("home", tensorflow().keras.layers.Layer.__module__, keras_home())
except fkeras.FkerasError as error:
    print(type(error).__name__, error)
"""
QKERAS = """
import sys
from fkeras.frontends.qkeras.setup import qkeras
qkeras()
print("Keras 3 loaded:", "keras" in sys.modules)
import keras
print("Keras", keras.__version__)
"""
TF_KERAS_MISSING = "import sys; sys.modules['tf_keras'] = None"
"""What tries to import it finds that it is not there."""

needs_tf_keras = pytest.mark.skipif(keras_home() == "keras", reason="TensorFlow has a Keras 2 of its own here")


def said_by(program: str, variable: str | None = None) -> str:
    environment = {k: v for k, v in os.environ.items() if k != "TF_USE_LEGACY_KERAS"}
    environment |= {"TF_CPP_MIN_LOG_LEVEL": "3"} | ({} if variable is None else {"TF_USE_LEGACY_KERAS": variable})
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_home_of_keras_is_where_the_layers_of_qkeras_come_from(tf, q):
    assert q.QDense.__mro__[1] is tf.keras.layers.Dense
    assert tf.keras.layers.Dense.__module__.startswith(f"{keras_home()}.src.")
    assert keras_module("src.engine.base_layer").Layer is tf.keras.layers.Layer
    assert keras_version().startswith("2.")


@needs_tf_keras
@pytest.mark.parametrize("variable", [None, "1"])
def test_tensorflow_imported_after_fkeras(variable):
    assert "home tf_keras.src.engine.base_layer tf_keras" in said_by(f"import fkeras, tensorflow\n{USE}", variable)


@needs_tf_keras
@pytest.mark.parametrize("late", ["", "import os; os.environ['TF_USE_LEGACY_KERAS'] = '1'"])
def test_tensorflow_imported_too_early(late):
    said = said_by(f"import tensorflow\nprint(tensorflow.keras.layers.Layer)\n{late}\n{USE}")
    assert "EnvironmentSetupError QKeras needs Keras 2, but TensorFlow was imported before anything asked" in said
    assert "and its Keras is 3." in said
    assert ": import fkeras (or a module that does) before TensorFlow, or set TF_USE_LEGACY_KERAS=1" in said


@needs_tf_keras
def test_keras_3_asked_for():
    said = said_by(USE, "0")
    assert "EnvironmentSetupError QKeras needs Keras 2, but TF_USE_LEGACY_KERAS is '0', and its Keras is 3." in said
    assert "set TF_USE_LEGACY_KERAS=1" in said


@needs_tf_keras
@pytest.mark.parametrize("variable", ["0", "1"])
def test_tf_keras_that_is_not_installed(tf, variable):
    release = ".".join(tf.__version__.split(".")[:2])
    said = said_by(TF_KERAS_MISSING + USE, variable)
    assert "MissingExtraError QKeras needs Keras 2, which is tf-keras here, and that is not installed: pip" in said
    assert f"pip install qkeras==0.9.0 tf-keras~={release}.0 pyparsing\n" in said


@needs_tf_keras
def test_keras_3_is_not_loaded_for_qkeras():
    said = said_by(QKERAS)
    assert "Keras 3 loaded: False" in said
    assert "Keras 3." in said


@pytest.mark.skipif(keras_home() == "tf_keras", reason="TensorFlow's own Keras is Keras 3 here")
@pytest.mark.parametrize(("first", "variable"), [("import tensorflow", None), ("import keras", "0"), ("", "1")])
def test_with_its_own_keras_2_tensorflow_may_be_imported_at_any_time(first, variable):
    assert "home keras.src.engine.base_layer keras" in said_by(f"{first}\n{USE}", variable)


def test_loading_a_model_first_sets_tensorflow_up(tf, q, tmp_path):
    tf.keras.Sequential([tf.keras.Input((4,)), q.QDense(3, kernel_quantizer="binary(alpha=1)")]).save(tmp_path / "m.h5")
    program = f"import fkeras, sys; fkeras.load_model({str(tmp_path / 'm.h5')!r}); print('keras' in sys.modules)"
    environment = {k: v for k, v in os.environ.items() if not k.startswith("TF_")}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == (f"{keras_home() == 'keras'}\n", "")


def test_a_package_that_qkeras_needs_and_lacks():
    said = said_by(
        "import sys; sys.modules['pyparsing'] = None\nimport fkeras\nfrom fkeras.frontends.qkeras.setup import qkeras\n"
        "try:\n    qkeras()\nexcept fkeras.MissingExtraError as error:\n    print(error)"
    )
    assert said.startswith("QKeras 0.9.0 needs the module 'pyparsing', which is not installed: pip install qkeras==0")


@pytest.mark.parametrize("call", ["tensorflow()", "qkeras()"])
def test_no_tensorflow(call):
    said = said_by(
        "import sys; sys.modules['tensorflow'] = None\nimport fkeras\nfrom fkeras.frontends.qkeras import setup\n"
        f"try:\n    setup.{call}\nexcept fkeras.MissingExtraError as error:\n    print(error)"
    )
    assert said == (
        "models need TensorFlow and QKeras, and TensorFlow is not installed: pip install 'pytest-fkeras[qkeras]'\n"
    )


def test_a_broken_tensorflow():
    said = said_by(
        "import sys; sys.modules['tensorflow.python'] = sys.modules['google.protobuf'] = None\nimport fkeras\n"
        "from fkeras.frontends.qkeras.setup import tensorflow\n"
        "try:\n    tensorflow()\nexcept fkeras.EnvironmentSetupError as error:\n    print(error)"
    )
    assert said.startswith("TensorFlow cannot be imported (")
    assert "`pip check` names versions that do not fit, and in an environment of its own this line brings all" in said
