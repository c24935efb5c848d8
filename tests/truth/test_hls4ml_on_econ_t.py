"""hls4ml's emulation of the ECON-T encoder, on real wafers, golden and under faults, is QKeras to the last bit, and the
CPU engine where faults are between layers."""

from __future__ import annotations

import zlib

import numpy as np
import pytest

import fkeras
import fkeras.hls4ml
from fkeras.models import start_run


def digest(y_true, y):
    """A number that is another one for other outputs."""
    return float(zlib.crc32(np.asarray(y, np.float32).tobytes()))


DIGEST = fkeras.metrics.dataset_metric(digest, name="digest", better="lower")


def wafers(shared_data, n):
    charges = np.load(shared_data / "econ_t_val.npz")["calq"][:n].astype(np.float32)
    geometry = np.load(shared_data / "hgcal/geometry.npz")
    shares = charges / charges.sum(axis=1, keepdims=True)
    return (shares[:, geometry["arrange"]] * geometry["mask"]).reshape(-1, 8, 8, 1)


@pytest.mark.parametrize("size", ["small", "medium", "large"])
def test_the_encoder_agrees(shared_data, chip_emulation, size):
    model = fkeras.load_model(shared_data / f"models/econ_t_{size}.h5")
    x = wafers(shared_data, 500)
    for faults, trials in ((1, 10), (960, 3)):
        found = fkeras.hls4ml.agreement(model, x, faults=faults, trials=trials)
        assert found.agrees, found
        assert found.n_outputs == 500 * 16


def test_every_bit_between_the_layers(shared_data, chip_emulation):
    """Of ECON-T Medium's encoder: inputs, activations and outputs, each flipped in all wafers."""
    encoder = fkeras.load_model(shared_data / "models/econ_t_medium.h5").get_layer("encoder")
    x = wafers(shared_data, 3)
    space = fkeras.bit_space(encoder, of=["inputs", "activations", "outputs"])
    bits, values = np.arange(len(space)), {}
    for engine in ("hls4ml", "cpu"):
        run = start_run(encoder, (x, np.zeros((3, 16))), {"digest": DIGEST}, space, engine)
        values[engine] = run.flips(bits)["digest"].values
    assert (values["hls4ml"] != values["cpu"]).sum() == 0
    assert (values["cpu"] != run.golden["digest"].value).mean() > 0.8
