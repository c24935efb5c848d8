"""Whether the chip that hls4ml makes of the model under test computes what QKeras computes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pytest_fkeras.options import whole_number
from pytest_fkeras.places import ini_folder

if TYPE_CHECKING:
    from fkeras.backends.hls4ml.agreement import Agreement
    from fkeras.study import Study

INI, SAMPLES_INI = "fkeras_hls4ml", "fkeras_hls4ml_samples"
SAMPLES = 500


def project_of(config: pytest.Config) -> str | None:
    """The hls4ml project that the ini file names. ValueError where it does not exist."""
    name = config.getini(INI)
    if not name:
        return None
    path: Path = ini_folder(config) / name
    if not path.exists():
        raise ValueError(f"the ini option {INI} names {path}, which does not exist")
    return str(path)


def samples_of(config: pytest.Config) -> int:
    """How many samples are compared. ValueError for what is no number of them."""
    text = config.getini(SAMPLES_INI)
    return SAMPLES if text is None else whole_number(text, 1, f"the ini option {SAMPLES_INI}")


@pytest.fixture(scope="session")
def fkeras_hls4ml_agrees(pytestconfig: pytest.Config, resilience: Study) -> Agreement:
    """The comparison of QKeras with hls4ml on the data; a test that asks for it does not run where they differ.

    On the first 500 samples, or as many as the ini option fkeras_hls4ml_samples says, fault-free and under 20 flips.
    The hls4ml project is that of the ini option fkeras_hls4ml, or one made for the model.
    """
    import fkeras.hls4ml

    found = fkeras.hls4ml.agreement(
        resilience.model,
        resilience.required_data[0],
        project=project_of(pytestconfig),
        space=resilience.space,
        samples=samples_of(pytestconfig),
    )
    if not found.agrees:
        pytest.fail(f"the chip does not compute what QKeras computes\n{found}", pytrace=False)
    return found
