"""The report says that chip and QKeras agree, or names the first layer where they part and why."""

from __future__ import annotations

import copy
import re

import numpy as np
import pytest

import fkeras
import fkeras.hls4ml


@pytest.fixture(scope="module")
def stated(tiny, make):
    """The configuration made for `tiny`, to be spoilt, and a comparison under it."""
    x = make.data_for(tiny)
    made = fkeras.hls4ml.config(tiny, x)

    def compared(**changes):
        config = copy.deepcopy(made)
        for layer, types in changes.items():
            config["HLSConfig"]["LayerName"].setdefault(layer, {"Precision": {}})["Precision"].update(types)
        return fkeras.hls4ml.agreement(tiny, x, project=config, faults=3, trials=4)

    return compared


def test_a_made_configuration_agrees_fault_free_and_under_faults(tiny, make):
    found = fkeras.hls4ml.agreement(tiny, make.data_for(tiny), faults=3, trials=10)
    assert found.agrees
    assert bool(found)
    assert (found.differing, found.faulty, found.first) == (0, (0,) * 10, "")
    assert [(one.layer, one.n_differing) for one in found.layers] == [(n, 0) for n in ("qin", "d1", "a1", "d2", "a2")]
    assert found.layers[0].type == "fixed<8,2,RND_CONV,SAT>"
    assert "agrees with QKeras" in str(found)
    assert "0 of 120 outputs of 40 samples differ" in str(found)
    assert "NOT STORED" not in str(found)


@pytest.mark.parametrize(
    ("changes", "layer", "cause"),
    [
        ({"x": {"result": "fixed<8,3>"}}, "qin", "input precision: hls4ml reads 'x' as fixed<8,3>, which changes"),
        (
            {"d1": {"accum": "fixed<14,2>"}},
            "d1",
            r"accumulator overflow: QKeras reaches .*, 'd1' has fixed<14,2>, -2 to",
        ),
        ({"a1": {"result": "ufixed<6,2,TRN,SAT>"}}, "a1", r"rounding mode: ufixed<6,2,TRN,SAT> keeps 4 bits .* TRN"),
    ],
)
def test_the_first_layer_that_differs_and_the_cause(stated, changes, layer, cause):
    found = stated(**changes)
    assert not found.agrees
    assert found.first == layer
    assert re.match(cause, found.cause), found.cause
    assert found.differing > 0
    before = [one for one in found.layers if one.layer != layer][: [o.layer for o in found.layers].index(layer)]
    assert all(one.n_differing == 0 for one in before)
    text = str(found)
    assert "DIFFERS from QKeras" in text
    assert f"they part at layer '{layer}': " in text
    assert "NOT STORED: 210 of 210 bits (d1/kernel: constants: strategy latency" in text
    assert "the FPGA's configuration memory (the logic and the constants in it) is outside this model" in text


def test_the_sample_that_differs_is_named_by_its_place_in_the_data(make):
    model = make.chain((4,), make.bits("qin"), make.dense(5, "d1"), make.relu("a1"))
    x = np.zeros((200, 4), np.float32)
    x[150] = [-2, 2, -2, 2]
    config = fkeras.hls4ml.config(model, x)
    config["HLSConfig"]["LayerName"]["d1"]["Precision"].update(accum="fixed<14,2>")
    found = fkeras.hls4ml.agreement(model, x, project=config, trials=0)
    assert found.cause.startswith("accumulator overflow")
    assert " (the first: sample 150, element " in found.cause


def test_a_quantizer_that_hls4ml_drops_behind_a_separate_scale(make):
    model = make.chain(
        (4,), make.bits("qin"), make.dense(5, "d1", "quantized_bits(6,1,alpha='auto_po2')"), make.bits("q")
    )
    found = fkeras.hls4ml.agreement(model, make.data_for(model), trials=0)
    assert found.first == "q"
    assert "quantizer removed: hls4ml" in found.cause
    assert "goes on with the result of 'd1_alpha'" in found.cause
    assert "use quantized_relu there or alpha=1" in found.cause


def test_separate_scales_agree(make):
    for kernel in ("quantized_bits(6,1,alpha='auto_po2')", "binary()"):
        model = make.chain((4,), make.bits("qin"), make.dense(5, "d1", kernel), make.relu("a1"))
        found = fkeras.hls4ml.agreement(model, make.data_for(model), faults=3, trials=4)
        assert found.agrees, found


@pytest.mark.parametrize("kernel", ["quantized_bits(6,1,alpha=1)", "quantized_bits(6,1,alpha='auto_po2')"])
def test_an_activation_inside_a_layer_does_not_hide_an_overflow_before_it(make, kernel):
    model = make.chain((4,), make.bits("qin"), make.dense(5, "d1", kernel, activation="quantized_relu(6,1)"))
    x = make.data_for(model)
    config = fkeras.hls4ml.config(model, x)
    config["HLSConfig"]["LayerName"]["d1"]["Precision"].update(accum="fixed<14,2>")
    before = [weight.copy() for weight in model.get_weights()]
    found = fkeras.hls4ml.agreement(model, x, project=config, trials=0)
    assert found.first == "d1"
    assert re.match(r"accumulator overflow: QKeras reaches (-[23]|[2-9])\S*, 'd1' has fixed<14,2>", found.cause), found
    assert model.get_layer("d1").activation is not None
    assert all((a == b).all() for a, b in zip(before, model.get_weights(), strict=True))


def test_what_differs_under_faults_only_is_named_too(tiny, make):
    x = make.data_for(tiny)
    config = fkeras.hls4ml.config(tiny, x)
    types = config["HLSConfig"]["LayerName"]["d1"]["Precision"]
    config["HLSConfig"]["LayerName"]["d1"]["Precision"] = {**types, "accum": "fixed<16,4>"}
    found = fkeras.hls4ml.agreement(tiny, x, project=config, faults=60, trials=30)
    assert found.differing == 0, "the fault-free sums fit"
    assert any(found.faulty)
    assert found.first == "d1"
    assert found.cause.startswith("accumulator overflow: QKeras reaches ")
    assert "they part at layer 'd1' under the first of these faults: accumulator overflow" in str(found)


def test_scores_are_compared_before_a_softmax_hides_them(make):
    model = make.chain((4,), make.bits("qin"), make.dense(3, "d1"), make.layer("Activation", "softmax"))
    x = make.data_for(model)
    assert fkeras.hls4ml.agreement(model, x, trials=3).agrees
    config = fkeras.hls4ml.config(model, x)
    config["HLSConfig"]["LayerName"].setdefault("d1", {"Precision": {}})["Precision"].update(result="fixed<24,20>")
    found = fkeras.hls4ml.agreement(model, x, project=config, trials=0)
    assert not found.agrees
    assert found.first == "d1"
