"""Layer globs: the whole path or its last part, `!` excludes, no match is an error."""

from __future__ import annotations

import pytest

from fkeras.errors import InputError
from fkeras.memory import LayerChoice

PATHS = ["encoder/conv_1", "encoder/dense", "decoder/dense"]


@pytest.mark.parametrize(
    ("patterns", "chosen"),
    [
        ("*", PATHS),
        ("dense", ["encoder/dense", "decoder/dense"]),
        ("encoder/*", ["encoder/conv_1", "encoder/dense"]),
        ("!dense", ["encoder/conv_1"]),
        (["encoder/*", "!conv*"], ["encoder/dense"]),
    ],
)
def test_globs_choose_layers(patterns, chosen):
    choice = LayerChoice(patterns)
    choice.require_matches(PATHS)
    assert [path for path in PATHS if choice(path)] == chosen


@pytest.mark.parametrize("patterns", ["lstm", ["dense", "!lstm"], ["lstm", "dense"]])
def test_a_glob_without_a_match_is_an_error(patterns):
    with pytest.raises(InputError, match=r"no layer matches 'lstm'; the model has encoder/conv_1, encoder/dense"):
        LayerChoice(patterns).require_matches(PATHS)


@pytest.mark.parametrize("patterns", ["", "!", [], [3], 3, None])
def test_what_is_no_glob_is_refused(patterns):
    with pytest.raises(InputError, match="allowed are a glob such as"):
        LayerChoice(patterns)
