"""Numbers measured with the original FKeras and with independent code, reproduced by both engines."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import fkeras

WIDTHS = {"econ_t_small": 10_240, "econ_t_medium": 12_720, "econ_t_large": 61_344, "rn07_cifar10": 459_520}


@pytest.fixture(scope="module")
def wafers(shared_data: Path):
    geometry = np.load(shared_data / "hgcal/geometry.npz")
    calq = np.load(shared_data / "econ_t_val.npz")["calq"][:500].astype("float32")
    share = calq / calq.sum(1, keepdims=True)
    images = (share[:, geometry["arrange"]] * geometry["mask"]).reshape(-1, 8, 8, 1)
    metric = fkeras.metrics.emd(geometry["coordinates"], cells=geometry["cell_of_output"])
    return images, calq, metric


@pytest.fixture(scope="module")
def medium(shared_data: Path):
    return fkeras.load_model(shared_data / "models/econ_t_medium.h5")


@pytest.mark.parametrize("name", WIDTHS)
def test_the_models_have_the_bits_that_the_paper_counts(shared_data: Path, name: str) -> None:
    assert len(fkeras.bit_space(fkeras.load_model(shared_data / f"models/{name}.h5"))) == WIDTHS[name]


@pytest.mark.parametrize(("engine", "every"), [("cpu", 1), ("framework", 12)])
def test_original_fkeras_on_500_wafers(shared_data: Path, wafers, medium, engine: str, every: int) -> None:
    images, calq, metric = wafers
    truth = np.load(shared_data / "truth/econ_t_medium_500x240.npz")
    bits = truth["bits"][::every]
    oracle = fkeras.oracle(medium, (images, calq), metric=metric, bits=bits, engine=engine)
    assert oracle.engine == engine
    assert round(oracle.golden, 6) == 2.909104
    np.testing.assert_allclose(oracle.values, truth["mean_emd"][::every], rtol=1e-6)


def test_exhaustive_oracle_of_400_wafers(shared_data: Path, wafers, medium) -> None:
    images, calq, metric = wafers
    truth = np.load(shared_data / "truth/econ_t_medium_oracle_400.npz")
    oracle = fkeras.oracle(medium, (images[:400], calq[:400]), metric=metric)
    assert round(oracle.golden, 6) == 2.914975
    np.testing.assert_allclose(oracle.values, truth["mean_emd"], rtol=1e-6)


@pytest.mark.parametrize(("engine", "every"), [("cpu", 5), ("framework", 30)])
def test_mispredictions_of_the_cifar_network(shared_data: Path, engine: str, every: int) -> None:
    truth = np.load(shared_data / "truth/rn07_500x300.npz")
    images = np.load(shared_data / "cifar10_test_2000.npz")
    chosen = truth["image_index"]
    data = images["X"][chosen].astype("float32") / 256, images["Y"][chosen].ravel().astype(int)
    model = fkeras.load_model(shared_data / "models/rn07_cifar10.h5")
    oracle = fkeras.oracle(model, data, metric="mispredictions", bits=truth["bits"][::every], engine=engine)
    assert oracle.engine == engine
    assert oracle.golden == 0.0
    np.testing.assert_array_equal(oracle.counts, truth["mispredictions"][::every])
