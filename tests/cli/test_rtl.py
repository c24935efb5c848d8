"""`fkeras protect --rtl` and `fkeras rtl-check`."""

from __future__ import annotations

import json

import pytest

from fkeras.rtl.tools import missing

TMR = ("protect", "small.h5", "--share", "25%", "--under", "tmr", "--rtl", "rtl")


def test_from_a_ranking_to_rtl_that_is_verified(folder, fkeras, request):
    done = fkeras(*TMR, "--method", "msb", "--scrub-interval-seconds", "60", "--clock-hz", "1e6")
    assert done.code == 0, done.err
    assert "written to rtl: fkeras_cells.sv, " in done.out
    assert "`fkeras rtl-check` verifies it" in done.out
    assert "SCRUB_CYCLES_0 = 64'd60000000" in (folder / "rtl" / "weights_hidden_kernel.sv").read_text()
    if absent := missing("iverilog", "cocotb"):
        done = fkeras("rtl-check", "rtl")
        assert (done.code, done.out) == (2, "")
        assert all(package in done.err for package in absent)
        request.getfixturevalue("simulator")  # skips, or fails where all must run
    done = fkeras("rtl-check", "rtl", "--faults", "20", "--exposure-seconds", "240", "--trials", "3", "--json", "out")
    assert done.code == 0, done.err
    # 18 of 72 bits are covered, each with two further cells and a triple of three pairs.
    assert "the RTL reads what the library says; 108 cells hit one by one, 54 pairs" in done.out
    result = json.loads((folder / "out").read_text())
    assert (result["schema"], result["agrees"]) == ("fkeras-rtl-check/1", True)
    assert [store["n_trials"] for store in result["stores"]] == [3, 3]


def test_its_area_is_measured(folder, fkeras, request):
    assert fkeras(*TMR, "--method", "msb", "--output", "masks").code == 0
    done = fkeras("area", "rtl", "--json", "out")
    if absent := missing("yosys"):
        assert (done.code, done.out) == (2, "")
        assert absent[0] in done.err
        request.getfixturevalue("synthesis")
    assert done.code == 0, done.err
    assert "gate equivalents, measured: +" in done.out
    assert "every cell survives synthesis; decoders: fkeras_tmr proven" in done.out
    result = json.loads((folder / "out").read_text())
    assert (result["schema"], result["holds"]) == ("fkeras-area/1", True)
    assert [store["n_survived"] for store in result["stores"]] == [72, 36]
    assert result["total"] > result["plain"] > 0
    campaign = ("campaign", "small.h5", "--data", "data.npz", "--metric", "accuracy", "--faults", "2", "--trials", "2")
    masked = (*campaign, "--mask", "masks/protection.json", "--under", "tmr", "--area", "out")
    done = fkeras(*masked, "--json", "campaign")
    assert done.code == 0, done.err
    measured = f"area {result['overhead']:+.1%}, measured by synthesis (out)"
    assert measured in done.out
    assert json.loads((folder / "campaign").read_text())["protection"].endswith(measured)
    scrubbed = fkeras(*masked, "--exposure-seconds", "9", "--scrub-interval-seconds", "1")
    assert "area +50.0%, assumed to be that of the extra bits (out is of another memory" in scrubbed.out
    assert fkeras(*campaign, "--area", "data.npz").code == 2


FRONT = (
    "protect",
    "small.h5",
    "--layers",
    "out",
    "--front",
    "--data",
    "data.npz",
    "--metric",
    "accuracy",
    "--faults",
    "3",
)


def test_designs_are_compared_by_failures_and_area(folder, fkeras, request):
    if absent := missing("yosys"):
        done = fkeras(*FRONT, "--limit", "max_accuracy_drop=0.2")
        assert (done.code, done.out) == (2, "")
        assert absent[0] in done.err
        request.getfixturevalue("synthesis")
    more = (
        "--limit",
        "max_accuracy_drop=0.2",
        "--method",
        "msb",
        "--max-trials",
        "60",
        "--json",
        "out",
        "--store",
        "s",
    )
    done = fkeras(*FRONT, *more, "--figure", "front.png")
    assert done.code in (0, 1), done.err
    result = json.loads((folder / "out").read_text())
    points = {point["design"]: point for point in result["points"]}
    assert len(points) >= 18
    assert all(point["trials"] == 60 for point in result["points"])
    areas = [point["area"] for point in result["points"]]
    assert areas == sorted(areas)
    assert points["nothing"]["overhead"] == 0
    assert points["nothing"]["on_front"]
    assert points["TMR of 10 %"]["cells"] == 24 + 2 * 2
    assert points["TMR of all bits"]["cells"] == 3 * 24
    assert points["TMR of all bits"]["failures"] <= points["nothing"]["failures"]
    assert result["smallest"] in (None, *points)
    assert (done.code == 0) == (result["smallest"] is not None)
    assert (folder / "front.png").read_bytes().startswith(b"\x89PNG")
    (areas,) = (folder / "s" / "area").iterdir()
    assert len(list(areas.glob("*.json"))) > 15  # designs that take the same are one
    assert fkeras(*FRONT, *more, "--figure", "front.svg").code == done.code
    drawn = (folder / "front.svg").read_text()
    assert "#01020" not in drawn  # the places of the page's colours
    assert "#a81530" in drawn
    assert fkeras(*FRONT, *more, "--figure", "front.svg").code == done.code  # its own file is replaced
    assert (folder / "front.svg").read_text() == drawn
    assert fkeras(*FRONT, *more, "--max-trials", "1", "--figure", "data.npz").code == 2


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (
            ("protect", "small.h5", "--bits", "3", "--rtl", "rtl"),
            "--rtl rtl: bits that are assumed immune say nothing that could be built; say by what they are protected",
        ),
        (("protect", "small.h5", "--bits", "3", "--clock-hz", "5"), "--clock-hz 5 is that of a scrubber"),
        ((*TMR, "--method", "msb", "--clock-hz", "0"), "--clock-hz 0.0; allowed are cycles per second"),
        (
            (*TMR, "--method", "msb", "--scrub-interval-seconds", "1e-9"),
            "a scrub takes 14 cycles, and one begins every 1",
        ),
        ((*TMR[:-1], "data.npz"), "data.npz is a file; name a folder for the SystemVerilog"),
        ((*TMR[:-1], "."), "README.md is no RTL file that fkeras wrote"),
        ((*FRONT, "--limit", "max_accuracy_drop=0.2", "--share", "3%"), "--share says what is protected, and --front"),
        ((*FRONT, "--limit", "max_accuracy_drop=0.2", "--under", "tmr"), "--under says what is protected, and --front"),
        (FRONT, "--front needs what must pass: --faults N or a rate, --limit, --metric and --data FILE.npz"),
        (
            (*FRONT, "--limit", "max_accuracy_drop=0.2", "--figure", "f.jpg"),
            "a figure becomes a file that ends in .png or .svg; got f.jpg",
        ),
        (("protect", "small.h5", "--bits", "3", "--figure", "f.png"), "--figure f.png is of the designs that --front"),
        (("rtl-check", "nowhere"), "nowhere is no folder"),
        (("area", "nowhere"), "nowhere is no folder"),
        (("rtl-check", "."), "rtl.json does not exist"),
        (("rtl-check", ".", "--trials", "4"), "--trials 4 are those of a campaign; say by --faults N"),
    ],
)
def test_bad_input_changes_nothing(folder, fkeras, line, message):
    (folder / "README.md").write_text("mine")
    before = sorted(path.name for path in folder.iterdir())
    done = fkeras(*line)
    assert (done.code, done.out) == (2, "")
    assert message in done.err
    assert sorted(path.name for path in folder.iterdir()) == before


def test_a_folder_keeps_one_memory(folder, fkeras):
    assert fkeras(*TMR, "--method", "msb").code == 0
    done = fkeras("protect", "wide.h5", *TMR[2:], "--method", "msb")
    assert done.code == 2
    assert "rtl holds the RTL of another memory" in done.err
    assert fkeras("protect", "other.h5", *TMR[2:], "--method", "msb").code == 0
