"""HGQ2 models on hls4ml's chip, against outputs and flips that were measured without fkeras."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

import fkeras
import fkeras.hls4ml
from fkeras.cli import main
from fkeras.errors import InputError, UnsupportedError
from fkeras.faults import FaultSet
from fkeras.memory import FixedPoint
from fkeras.metrics.named import resolve
from fkeras.models import start_run

pytest.importorskip("hls4ml", reason="needs hls4ml 1.3 beside HGQ2: pip install 'hls4ml==1.3.0'")
pytestmark = pytest.mark.usefixtures("chip_emulation")
METRICS = {"mean_squared_error": resolve("mean_squared_error")}
TOO_FINE = ["bn2/kernel[15,10]:7", "bn2/kernel[16,6]:7", "out/kernel[17,6]:6", "out/kernel[19,3]:6"]
"""Flips after which sums have steps that the accumulators, sized for the weights as they are, do not have."""


def trained(folder: Path, name: str) -> tuple[Any, np.ndarray, Any]:
    truth = np.load(folder / f"{name}.npz")
    return fkeras.load_model(folder / f"models/{name}.keras"), truth["x16"].astype(np.float32) / 16, truth


@pytest.mark.parametrize(
    ("name", "memory", "differing"),
    [
        ("hgq_mlp", "hls4ml", []),
        ("hgq_mlp", "quantizer", []),
        ("hgq_cnn", "hls4ml", []),
        ("hgq_bn", "hls4ml", TOO_FINE),
        ("hgq_bn", "quantizer", []),
    ],
)
def test_measured_flips(keras3_data: Path, hgq: Any, name: str, memory: Any, differing: list[str]) -> None:
    model, x, truth = trained(keras3_data, name)
    space = fkeras.bit_space(model, memory=memory)
    run = start_run(model, (x, truth["golden"]), METRICS, space, "hls4ml")
    assert run.engine == "hls4ml"
    assert np.array_equal(run.golden_outputs, truth["golden"])
    prefix = "uni_" if memory == "hls4ml" else ""
    bits = truth[f"{prefix}flip_bit"]
    measured = run.flips(bits)["mean_squared_error"].values
    wrong = ~np.isclose(measured, truth[f"{prefix}flip_mse"], rtol=0, atol=1e-12)
    assert [str(space.address(bit)) for bit in bits[wrong].tolist()] == differing


def test_the_accumulator_that_is_too_coarse_is_named(keras3_data: Path, hgq: Any) -> None:
    from fkeras.engines.hls4ml.accumulators import beyond_accumulators
    from fkeras.engines.hls4ml.keras3 import NetworkSide

    model, x, truth = trained(keras3_data, "hgq_bn")
    space = fkeras.bit_space(model, memory="hls4ml")
    chip = start_run(model, (x, truth["golden"]), METRICS, space, "hls4ml").chip  # type: ignore[attr-defined]
    side = NetworkSide(chip, model)
    named = {}
    for bit in truth["uni_flip_bit"].tolist():
        beyond = list(beyond_accumulators(chip.conversion, side.network, side.tensors(FaultSet([bit]))))
        if beyond:
            named[str(space.address(bit))] = beyond
    assert set(TOO_FINE) < set(named)
    assert {name for name in named if name not in TOO_FINE} == {"bn2/kernel[16,13]:7"}  # no output shows it
    for address, ((layer, why), *more) in named.items():
        assert not more
        assert layer == address.partition("/")[0]
        assert "finer than its steps of 0.0625" in why
        assert f"its accumulator is {'fixed<11,7>' if layer == 'bn2' else 'fixed<12,8>'}" in why


def test_the_check_finds_agreement_and_what_overflows(
    keras3_data: Path, hgq: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model, x, _ = trained(keras3_data, "hgq_bn")
    found = fkeras.hls4ml.agreement(model, x, faults=1, trials=5, samples=50)
    assert found.agrees, found
    assert "agrees with HGQ2" in str(found)
    space = fkeras.bit_space(model, memory="hls4ml", layers="bn2")
    found = fkeras.hls4ml.agreement(model, x, space=space, faults=40, trials=10, samples=50)
    assert not found.agrees
    assert found.differing == 0
    assert (
        "they part at layer 'bn2' under the first of these faults: accumulator too narrow: its accumulator is"
        in str(found)
    )
    np.savez(tmp_path / "x.npz", x=x[:20])
    file = str(keras3_data / "models/hgq_bn.keras")
    assert main(["hls4ml-check", file, "--data", str(tmp_path / "x.npz"), "--trials", "2"]) == 0
    assert "hls4ml 1.3.0, a configuration made by fkeras: agrees with HGQ2" in capsys.readouterr().out


def test_a_project_says_what_is_stored_and_how_it_adds_up(keras3_data: Path, hgq: Any, tmp_path: Path) -> None:
    model, x, _ = trained(keras3_data, "hgq_bn")
    config = fkeras.hls4ml.config(model, x)
    bit = fkeras.hls4ml.order(model, space=fkeras.bit_space(model, memory="hls4ml"))["bn2/kernel[15,10]:7"]
    assert str(bit.hls4ml) == "w6[310]:7"
    with pytest.raises(UnsupportedError, match=r"tensor 'bn1/kernel': hls4ml holds .* name bits of memory='hls4ml'"):
        fkeras.hls4ml.order(model)["bn2/kernel[15,10]:0"]
    assert "NOT STORED: 17,400 of 17,400 bits" in fkeras.hls4ml.not_stored(
        model, config, fkeras.bit_space(model, memory="hls4ml")
    )
    (tmp_path / "project.yml").write_text(yaml.safe_dump(config))
    space = fkeras.bit_space(model, of="accumulators", project=tmp_path / "project.yml")
    assert {register.path: register.codec for register in space.registers} == {"bn1/accumulator": FixedPoint(13, 6)}
    assert {entry.path: entry.reason.partition(",")[0] for entry in space.uncovered} == {
        "bn2/accumulator": "hls4ml adds up in fixed<11",  # which wrong weights make sums too fine for
        "out/accumulator": "hls4ml adds up in fixed<12",
    }


def test_what_the_chip_does_not_take_is_refused(keras3_data: Path, hgq: Any, tmp_path: Path) -> None:
    model, x, truth = trained(keras3_data, "hgq_bn")
    data = x, truth["golden"]
    with pytest.raises(UnsupportedError, match=r"of models of Keras 3 the hls4ml engine hits stored words alone"):
        start_run(model, data, METRICS, fkeras.bit_space(model, of="activations"), "hls4ml")
    network = fkeras.load_model(_exported(keras3_data / "models/hgq_bn.keras", tmp_path / "m.fkn", x))
    with pytest.raises(InputError, match="'hgq_bn' is a network, and hls4ml converts Keras models: give the file"):
        fkeras.hls4ml.order(network)


def _exported(source: Path, target: Path, x: np.ndarray) -> Path:
    from fkeras.models.exporting import export

    export(source, target, x)
    return target
