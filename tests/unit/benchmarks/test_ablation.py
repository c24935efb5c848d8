"""The ablation benchmark leaves out what is there."""

from __future__ import annotations

import pytest

from benchmarks.ablation import ABLATIONS, flow_without, rewritten
from fkeras.engines.cpu import flow


@pytest.mark.parametrize("ablation", ABLATIONS, ids=lambda ablation: ablation.name)
def test_every_kernel_that_is_left_out_is_there(ablation) -> None:
    with ablation.without():
        pass


def test_a_rewritten_flow_is_another_function() -> None:
    assert flow_without("maps") is not flow.flow


def test_text_that_is_gone_is_noticed() -> None:
    with pytest.raises(AssertionError, match="has changed: there is no 'no such text'"):
        rewritten(flow, {"no such text": ""})
