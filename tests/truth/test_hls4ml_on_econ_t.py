"""hls4ml's emulation of the ECON-T encoder, on real wafers, golden and under faults, is QKeras to the last bit."""

from __future__ import annotations

import numpy as np
import pytest

import fkeras
import fkeras.hls4ml


@pytest.mark.parametrize("size", ["small", "medium", "large"])
def test_the_encoder_agrees(shared_data, chip_emulation, size):
    model = fkeras.load_model(shared_data / f"models/econ_t_{size}.h5")
    charges = np.load(shared_data / "econ_t_val.npz")["calq"][:500].astype(np.float32)
    geometry = np.load(shared_data / "hgcal/geometry.npz")
    shares = charges / charges.sum(axis=1, keepdims=True)
    x = (shares[:, geometry["arrange"]] * geometry["mask"]).reshape(-1, 8, 8, 1)
    for faults, trials in ((1, 10), (960, 3)):
        found = fkeras.hls4ml.agreement(model, x, faults=faults, trials=trials)
        assert found.agrees, found
        assert found.n_outputs == 500 * 16
