"""`fkeras hls4ml-check` and `fkeras hls4ml-resources`."""

from __future__ import annotations

import json
import warnings

import numpy as np
import pytest
import yaml

import fkeras
import fkeras.hls4ml
from fkeras.cli import main
from fkeras.protection import Mask


@pytest.fixture
def folder(tiny, make, tmp_path, monkeypatch):
    """tiny.h5, x.npz, protection.json and an hls4ml configuration, in the current directory."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tiny.save(tmp_path / "tiny.h5")
    x = make.data_for(tiny)
    np.savez(tmp_path / "x.npz", x=x)
    space = fkeras.bit_space(tiny)
    Mask.of(fkeras.BitSet(np.arange(10), space.layout_digest), space).write(tmp_path / "protection.json")
    config = fkeras.hls4ml.config(tiny, x)
    (tmp_path / "good.yml").write_text(yaml.safe_dump(config))
    config["HLSConfig"]["LayerName"]["x"]["Precision"]["result"] = "fixed<8,3>"
    (tmp_path / "coarse.yml").write_text(yaml.safe_dump(config))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_check_is_the_exit_code_and_the_report(folder, capsys):
    assert main(["hls4ml-check", "tiny.h5", "--data", "x.npz", "--trials", "2", "--json", "check.json"]) == 0
    assert "agrees with QKeras" in capsys.readouterr().out
    written = json.loads((folder / "check.json").read_text())
    assert (written["schema"], written["agrees"], written["faulty"]) == ("fkeras-hls4ml-check/1", True, [0, 0])
    assert main(["hls4ml-check", "tiny.h5", "--data", "x.npz", "--trials", "2", "--project", "coarse.yml"]) == 1
    shown = capsys.readouterr().out
    assert "they part at layer 'qin': input precision: hls4ml reads 'x' as fixed<8,3>" in shown
    assert "NOT STORED" in shown


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--project", "nowhere"], "nowhere does not exist"),
        (["--samples", "99"], "--samples 99: x.npz has 40; ask for that many at most"),
    ],
)
def test_check_refuses_what_it_cannot_use(folder, capsys, arguments, message):
    assert main(["hls4ml-check", "tiny.h5", "--data", "x.npz", *arguments]) == 2
    assert message in capsys.readouterr().err


def test_resources_prints_the_table_and_writes_masks(folder, capsys):
    line = ["hls4ml-resources", "tiny.h5", "--project", "good.yml", "--json", "table.json"]
    assert main([*line, "--mask", "protection.json", "--masks-to", "masks"]) == 0
    shown = capsys.readouterr().out
    assert "d1/kernel" in shown
    assert "wrote masks/protection.json" in shown
    assert (folder / "masks/d1_mask.h").exists()
    rows = json.loads((folder / "table.json").read_text())["rows"]
    assert [(row["path"], row["protected_bits"]) for row in rows] == [("d1/kernel", 10), ("d2/kernel", 0)]
    assert main(["hls4ml-resources", "tiny.h5", "--masks-to", "masks"]) == 2
    assert "needs --mask FILE" in capsys.readouterr().err


def test_protect_writes_masks_in_both_orders(folder, capsys):
    line = ["protect", "tiny.h5", "--share", "25%", "--output", "p"]
    assert main([*line, "--hls4ml-order", "--project", "good.yml"]) == 0
    assert "written to p/hls4ml: protection.json, protection.csv, d1_mask.h, d2_mask.h" in capsys.readouterr().out
    ours, moved = (fkeras.read_mask(folder / "p" / name) for name in ("protection.json", "hls4ml/protection.json"))
    model = fkeras.load_model(folder / "tiny.h5")
    expected = fkeras.hls4ml.reordered(ours, model, project=str(folder / "good.yml"))
    assert moved.digest == expected.digest
    assert len(moved.bits) == len(ours.bits) > 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["--output", "p", "--project", "good.yml"],
            "--project good.yml decides hls4ml's order and ports; give --hls4ml",
        ),
        (["--hls4ml-order"], "--hls4ml-order needs --output DIR"),
        (["--output", "p", "--hls4ml-order", "--project", "nowhere"], "nowhere does not exist"),
    ],
)
def test_protect_refuses_an_order_before_it_measures(folder, capsys, arguments, message):
    assert main(["protect", "tiny.h5", "--share", "25%", *arguments]) == 2
    assert message in capsys.readouterr().err
    assert not (folder / "p").exists()
