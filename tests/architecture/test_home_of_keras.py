"""Which package the Keras in use is, tf_keras or TensorFlow's own keras, is said in one place."""

from __future__ import annotations

import re
from pathlib import Path

import fkeras

FOLDER = Path(fkeras.__file__).parent
ASKS = {"__init__.py"}
"""Asks TensorFlow for tf-keras."""
KNOWS_BOTH = {"frontends/qkeras/file_code.py", "frontends/qkeras/identity.py"}
"""Names both packages among those whose code is known."""
SAYS = {"frontends/qkeras/setup.py"}


def modules_with(pattern: str) -> set[str]:
    paths = FOLDER.rglob("*.py")
    return {str(path.relative_to(FOLDER)) for path in paths if re.search(pattern, path.read_text(encoding="utf-8"))}


def test_one_module_says_it():
    assert modules_with(r"tf_keras") == ASKS | KNOWS_BOTH | SAYS


def test_only_front_ends_of_keras_3_import_keras_itself():
    importing = modules_with(r"(?m)^\s*(import|from) (tf_)?keras\b")
    assert {name for name in importing if not re.match(r"frontends/(?!qkeras/)", name)} == set()
