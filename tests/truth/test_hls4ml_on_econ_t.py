"""hls4ml's emulation of the ECON-T encoder, on real wafers, golden and under faults, is QKeras to the last bit."""

from __future__ import annotations

import numpy as np

import fkeras
import fkeras.hls4ml


def test_econ_t_small_agrees(shared_data, chip_emulation):
    model = fkeras.load_model(shared_data / "models/econ_t_small.h5")
    charges = np.load(shared_data / "econ_t_val.npz")["calq"][:500].astype(np.float32)
    geometry = np.load(shared_data / "hgcal/geometry.npz")
    shares = charges / charges.sum(axis=1, keepdims=True)
    x = (shares[:, geometry["arrange"]] * geometry["mask"]).reshape(-1, 8, 8, 1)
    for faults, trials in ((1, 10), (960, 3)):
        found = fkeras.hls4ml.agreement(model, x, faults=faults, trials=trials)
        assert found.agrees, found
        assert found.n_outputs == 500 * 16
