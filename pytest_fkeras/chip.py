"""Whether the chip that hls4ml makes of the model under test computes what QKeras computes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pytest_fkeras.places import ini_folder

if TYPE_CHECKING:
    from fkeras.backends.hls4ml.agreement import Agreement
    from pytest_fkeras.resilience import Resilience

INI = "fkeras_hls4ml"


def project_of(config: pytest.Config) -> str | None:
    """The hls4ml project that the ini file names. ValueError where it does not exist."""
    name = config.getini(INI)
    if not name:
        return None
    path: Path = ini_folder(config) / name
    if not path.exists():
        raise ValueError(f"the ini option {INI} names {path}, which does not exist")
    return str(path)


@pytest.fixture(scope="session")
def fkeras_hls4ml_agrees(pytestconfig: pytest.Config, resilience: Resilience) -> Agreement:
    """The comparison of QKeras with hls4ml on the data; a test that asks for it does not run where they differ.

    The hls4ml project is that of the ini option fkeras_hls4ml, or one made for the model.
    """
    import fkeras.hls4ml

    found = fkeras.hls4ml.agreement(
        resilience.model, resilience.data[0], project=project_of(pytestconfig), space=resilience.space
    )
    if not found.agrees:
        pytest.fail(f"the chip does not compute what QKeras computes\n{found}", pytrace=False)
    return found
