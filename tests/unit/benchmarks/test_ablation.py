"""The ablation benchmark leaves out what is there."""

from __future__ import annotations

import pytest

from benchmarks.ablation import ABLATIONS, rewritten, solve_without
from fkeras.metrics import transport_kernel


@pytest.mark.parametrize("ablation", ABLATIONS, ids=lambda ablation: ablation.name)
def test_every_kernel_that_is_left_out_is_there(ablation) -> None:
    with ablation.without():
        pass


def test_rewritten_code_is_another_function() -> None:
    assert solve_without("if golden:", "if True:") is not transport_kernel.solve


def test_text_that_is_gone_is_noticed() -> None:
    with pytest.raises(AssertionError, match="has changed: there is no 'no such text'"):
        rewritten(transport_kernel, {"no such text": ""})
