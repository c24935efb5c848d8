"""The front: designs that none beats in area and in failures, and the smallest that passes."""

from __future__ import annotations

import numpy as np
import pytest

from fkeras.campaigns import Outcome
from fkeras.campaigns.verdict import VerdictRecord
from fkeras.faults import TMR, FlipCount, RangeCheck, protection
from fkeras.report.figures import front_figure
from fkeras.rtl.area import AreaMeter, area_identity
from fkeras.rtl.folder import weight_memory
from fkeras.rtl.front import Front, FrontPoint, _marked, designs
from fkeras.sensitivity import Ranking
from fkeras.store import Store


def point(design, area, failures, outcome):
    return FrontPoint(design, 10, area, area / 100 - 1, VerdictRecord(outcome, failures, 100, 0.0, failures / 50))


def front(*points):
    return Front(tuple(_marked(list(points))), "max_emd <= 1", "960 flips", 3)


def test_the_front_is_what_no_smaller_design_matches():
    found = front(
        point("nothing", 100.0, 90, Outcome.FAIL),
        point("same for more", 150.0, 90, Outcome.FAIL),
        point("a little", 200.0, 20, Outcome.FAIL),
        point("worse for more", 250.0, 30, Outcome.FAIL),
        point("TMR of all bits", 300.0, 0, Outcome.PASS),
        point("none better", 400.0, 0, Outcome.PASS),
    )
    assert [each.design for each in found.front] == ["nothing", "a little", "TMR of all bits"]
    assert found.smallest.design == "TMR of all bits"
    assert "the smallest that passes: TMR of all bits, 300 gate equivalents (+200.0%); chosen on" in str(found)
    assert found.to_dict()["smallest"] == "TMR of all bits"
    assert found.to_dict()["points"][0]["outcome"] == "FAIL"


def test_a_smaller_design_is_compared_with_the_whole():
    found = front(point("half", 150.0, 1, Outcome.PASS), point("TMR of all bits", 300.0, 0, Outcome.PASS))
    assert "half, 150 gate equivalents (+50.0%), 50.0% less than TMR of all bits" in str(found)


def test_that_none_passes_is_said():
    found = front(point("nothing", 100.0, 90, Outcome.FAIL))
    assert found.smallest is None
    assert str(found).endswith("no design passes: ask for fewer faults, a looser limit or other designs")


def test_the_usual_designs_are_protections_of_the_memory(memory):
    ranking = Ranking.from_scores(np.arange(66.0)[::-1], memory)
    named = designs(memory, ranking, FlipCount(6, exposure_seconds=14400.0), 0)
    assert {"nothing", "TMR of 33 %", "SECDED of dense/kernel", "TMR of all bits, scrubbed every 60 s"} <= named.keys()
    assert {"range check, scrubbed every 60 s", "recoded words, TMR of 20 %"} <= named.keys()
    assert {"blind scrubbing every 60 s", "TMR of 33 %, all scrubbed every 60 s"} <= named.keys()
    everywhere = protection(named["TMR of 33 %, all scrubbed every 60 s"], memory)
    assert (len(everywhere.bits), everywhere.extra_bits) == (66, 2 * 22)
    both = named["recoded words, TMR of 20 %, scrubbed every 60 s from itself"]
    assert {(part.scrub_interval_seconds, part.scrub_from) for part in both} == {(60, "itself")}
    assert repr(named["known words"]) == "KnownWords(bit_error_rate=0.091)"  # six of 66
    assert repr(named["range check"]) == repr(RangeCheck())
    covered = protection(named["TMR of 33 %"], memory).bits
    assert covered == ranking[: round(0.33 * 66)]
    assert not any("scrubbed" in name for name in designs(memory, ranking, FlipCount(6), 0))
    for protected in named.values():
        protection(protected, memory)


def test_a_store_that_is_the_same_again_is_not_synthesized_again(memory, synthesis, monkeypatch):
    from fkeras.rtl import area as module

    asked = []
    usual = module._store_area
    monkeypatch.setattr(module, "_store_area", lambda store, *more: asked.append(store.name) or usual(store, *more))
    meter = AreaMeter()
    first = meter.measured(weight_memory(TMR(range(60)), memory))
    assert sorted(asked) == ["weights_dense_kernel"] * 2 + ["weights_wire_end"]
    second = meter.measured(weight_memory(TMR(range(60, 66)), memory))
    assert sorted(asked) == ["weights_dense_kernel"] * 2 + ["weights_wire_end"] * 2
    assert first.plain == second.plain
    assert second.stores[0].total < first.stores[0].total


def test_a_run_that_was_ended_goes_on_where_it_was(memory, synthesis, monkeypatch, tmp_path):
    from fkeras.rtl import area as module

    def measured(is_first=False):
        results = Store(tmp_path / "store")
        if is_first:
            results.write_waiting()
        return AreaMeter(results.documents(area_identity())).measured(weight_memory(TMR(range(60)), memory))

    first = measured(is_first=True)
    (folder,) = (tmp_path / "store" / "area").iterdir()
    assert len(list(folder.glob("*.json"))) == 1 + 3  # its identity, and two stores under TMR or plain, one alike

    def never(store, *more):
        raise AssertionError(store.name)

    with monkeypatch.context() as patched:
        patched.setattr(module, "_store_area", never)
        assert measured() == first
        patched.setattr(module, "yosys_version", lambda: "another")
        with pytest.raises(AssertionError, match="weights_dense_kernel"):
            measured()
    for path in folder.glob("*.json"):
        path.write_text(path.read_text()[:9])
    assert measured() == first


def test_a_figure_has_a_mark_for_each_outcome():
    pytest.importorskip("matplotlib")
    drawn = front_figure(front(point("nothing", 100.0, 90, Outcome.FAIL), point("all", 300.0, 0, Outcome.PASS)), 0.05)
    labels = [text.get_text() for text in drawn.axes[0].get_legend().get_texts()]
    assert {"passes", "fails", "front", "allowed 5 %"} == set(labels)
