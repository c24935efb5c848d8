"""What each command prints, writes and returns."""

from __future__ import annotations

import json
import os
import re
import shutil
from dataclasses import asdict, replace

import numpy as np
import pytest

import fkeras as library
from fkeras.campaigns import CampaignResult, FixedTrials, MetricTrials, Requirement, Setting, parse_limit
from fkeras.campaigns.measured_campaign import BudgetIdentity, MeasuredCampaign
from fkeras.cli import session
from fkeras.engine import GoldenScore
from fkeras.faults import AssumedImmune
from fkeras.memory import BitSet, BitSpace, FixedPoint, WordTensor
from fkeras.models import MODELS
from fkeras.plain import plain
from fkeras.report.document import new_report
from fkeras.report.record import record_of
from fkeras.sensitivity.methods import METHODS
from fkeras.sensitivity.spectrum import layer_traces

DATA = ("--data", "data.npz", "--metric", "mispredictions")
SPACE = BitSpace(
    (WordTensor("a/kernel", (2,), FixedPoint(4, 0), np.zeros(2, np.uint32), np.ones(2, "f4"), np.zeros(2, "f4")),)
)
EMD = ("--data", "charges.npz", "--metric", "emd", "--geometry", "geometry.npz")


def strict(path):
    def refuse(token):
        raise AssertionError(f"{token} is no JSON")

    return json.loads(path.read_text(), parse_constant=refuse)


def pair(name):
    arrays = np.load(name)
    return arrays["x"], arrays["y"]


def test_inspect_names_words_bits_and_what_is_left_out(folder, fkeras):
    done = fkeras("inspect", "small.h5", "--json", "i.json")
    assert done.code == 0
    assert "72 bits in 18 words of 2 tensors" in done.out
    assert "hidden/kernel" in done.out
    assert "out/bias: 2 values" in done.out
    written = strict(folder / "i.json")
    assert [(one["path"], one["n_bits"], one["first_bit"]) for one in written["tensors"]] == [
        ("hidden/kernel", 48, 0),
        ("out/kernel", 24, 48),
    ]
    assert written["golden"] == {}


def test_whose_words_are_the_memory_is_said_to_every_command(folder, fkeras):
    assert "72 bits in 18 words of 2 tensors" in fkeras("inspect", "small.h5", "--memory", "hls4ml").out
    done = fkeras("inspect", "small.h5", "--biases", "--words", "float32", "--json", "i.json")
    assert f"{72 + 2 * 32} bits in 20 words of 3 tensors" in done.out
    assert "float32, 32 bits" in done.out
    wrong = fkeras("inspect", "small.h5", "--memory", "chip")
    assert wrong.code == 2
    assert "--memory 'chip'; allowed are 'quantizer', 'hls4ml'" in wrong.err
    assert "--words 'float64'; allowed are 'float32'" in fkeras("inspect", "small.h5", "--words", "float64").err
    for line in (
        ("rank", "small.h5", "--method", "msb", "--json", "r.json"),
        ("protect", "small.h5", "--method", "msb", "--bits", "5", "--output", "masks"),
    ):
        assert "--memory 'chip'; allowed are" in fkeras(*line, "--memory", "chip").err
        assert fkeras(*line, "--memory", "hls4ml", "--biases", "--words", "float32").code == 0, line


def test_four_inputs_by_number_and_by_name_are_the_models_own(folder, fkeras):
    model = library.load_model("four.h5")
    rng = np.random.default_rng(6)
    x = {name: rng.normal(size=(9, width)) for width, name in enumerate("dbac", start=2)}
    y = rng.normal(size=(9, 2))
    np.savez("numbered.npz", y=y, **{f"x{number}": part for number, part in reversed([*enumerate(x.values())])})
    np.savez("named.npz", y=y, **{f"x_{name}": x[name] for name in "abcd"})
    run = ("--metric", "mean_squared_error", "--bits", "0:12", "--samples", "5", "--json", "out.json")
    first = tuple(part[:5] for part in x.values())
    expected = library.oracle(model, (first, y[:5]), metric="mean_squared_error", bits=range(12))
    for data in ("numbered.npz", "named.npz"):
        assert fkeras("oracle", "four.h5", "--data", data, *run).code == 0
        assert strict(folder / "out.json")["values"] == expected.values.tolist()
    assert fkeras("inspect", "four.h5", "--data", "named.npz").code == 0


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (
            ("x0", "x1", "x2"),
            "x has 3 array(s); the model has 4 inputs: d, b, a, c; give one array each, in this order",
        ),
        (("x_d", "x_b", "x_a", "x_e"), "x names the inputs a, b, d, e; the model has d, b, a, c; give one array each"),
        (("x0", "x1", "x2", "x_c"), "holds x0, x1, x2, x_c, y; which of them are x?"),
    ],
)
def test_inputs_that_do_not_fit_are_named_with_the_models(folder, fkeras, names, message):
    np.savez("bad.npz", **{name: np.ones((9, width)) for width, name in enumerate(names, start=2)}, y=np.ones((9, 2)))
    done = fkeras("oracle", "four.h5", "--data", "bad.npz", "--metric", "mean_squared_error")
    assert done.code == 2
    assert message in done.err
    assert "x0, x1, ..." in done.err


@pytest.mark.parametrize("under", ["secded", "parity"])
def test_every_wrong_bit_is_written(folder, fkeras, under):
    line = ("campaign", "small.h5", *DATA, "--faults", "30", "--trials", "5", "--protected", "60", "--under", under)
    assert fkeras(*line, "--json", "out.json").code == 0
    found = strict(folder / "out.json")
    kinds = [found[name] for name in ("bits", "bits_set_to_0", "bits_set_to_1")]
    assert [sum(map(len, trial)) for trial in zip(*kinds, strict=True)] == found["residual"]
    assert under != "parity" or any(found["bits_set_to_0"])


EVERY_6_S = ("--scrub-interval-seconds", "6", "--exposure-seconds", "60")
BLIND = ("--under", "blind-scrubbing", *EVERY_6_S)
ITSELF = (*EVERY_6_S, "--scrub-from", "itself")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--under", "known-words"), "protected: known words of these weights"),
        (("--under", "range-check", *EVERY_6_S), "scrubbed every 6 s"),
        (("--protected", "9", "--under", "tmr,recoded"), "9 bits under TMR"),
        (("--protected", "9", "--under", "tmr,recoded"), "recoded words of these weights"),
        (("--protected", "9", "--under", "known-words"), "%) assumed immune"),
        (("--protected", "100%", *BLIND), "all bits: 72 bits under blind scrubbing, no extra bit, scrubbed every 6 s"),
        (("--under", "known-words", *ITSELF), "scrubbed every 6 s from what it reads itself"),
        (("--protected", "9", "--under", "parity", "--on-detected", "reload"), "a word found wrong is loaded again"),
        (("--protected", "9", "--under", "tmr,recoded"), "ranking('displacement behind recoded words')[:9]: 9 bits"),
    ],
)
def test_a_check_of_words_alone_and_beside_protected_bits(folder, fkeras, options, said):
    done = fkeras("campaign", "small.h5", *DATA, "--faults", "30", "--trials", "3", *options)
    assert done.code == 0
    assert said in done.out


def test_a_mask_beside_a_check_has_only_the_bits_that_were_chosen(folder, fkeras):
    done = fkeras("protect", "small.h5", "--share", "10%", "--under", "tmr,known-words", "--json", "choice.json")
    assert done.code == 0
    found = strict(folder / "choice.json")
    assert found["n_protected"] == round(0.1 * found["n_bits"])
    assert "bits under TMR" in found["protection"]
    assert "known words of these weights" in found["protection"]
    line = ("endurance", "small.h5", *DATA, "--max-flips", "20", "--trials", "30")
    assert "protection known words of these weights" in fkeras(*line, "--under", "known-words").out


def test_scrubbing_goes_with_a_bit_error_rate_too(folder, fkeras):
    line = ("campaign", "small.h5", *DATA, "--ber", "0.05", "--trials", "3")
    line += ("--protected", "9", "--under", "tmr", "--scrub-interval-seconds", "60")
    refused = fkeras(*line)
    assert refused.code == 2
    assert "--bits" not in refused.err
    assert fkeras(*line, "--exposure-seconds", "600").code == 0


@pytest.mark.parametrize(
    ("line", "advice"),
    [
        (("inspect", "m.h5"), "interrupted; nothing was kept"),
        (("compare", "a", "b"), "interrupted; nothing was kept"),
        (("rank", "m.h5"), "interrupted; nothing was kept"),
        (
            ("oracle", "m.h5"),
            "nothing was kept. With --store DIR the same line would go on where it stopped:\n  fkeras o",
        ),
        (("protect", "m.h5"), "With --store DIR the same line would go on where it stopped:\n  fkeras protect m.h5"),
        (("oracle", "m.h5", "--store", "s"), "what was measured is in the store. The same line goes on from there"),
        (("protect", "m.h5", "--share", "5%", "--store", "s"), "a ranking is stored when it is whole"),
        (("rank", "m.h5", "--store", "s"), "a ranking is stored when it is whole. The same line starts again"),
    ],
)
def test_an_interruption_advises_what_the_command_can_do(line, advice, capfd):
    def interrupted():
        raise KeyboardInterrupt

    assert session.run(interrupted, line) == session.INTERRUPTED
    message = capfd.readouterr().err
    assert advice in message
    assert ("--store" in message) == ({"oracle", "protect", "--store"} & {*line} != set())


def test_a_name_that_is_no_utf8_is_printed_with_escapes(folder, fkeras):
    name = os.fsdecode(b"caf\xe9.h5")
    shutil.copy("small.h5", name)
    for line in (("inspect", name), ("rank", name, "--method", "msb")):
        done = fkeras(*line)
        assert (done.code, done.err) == (0, "")
    assert "caf\\udce9.h5" in fkeras("inspect", name).out


def test_inspect_gives_the_golden_value_of_the_metric_or_of_the_one_that_the_targets_suggest(folder, fkeras):
    model = library.load_model("small.h5")
    oracle = library.oracle(model, pair("data.npz"), metric="accuracy", bits=[])
    for metric in ((), ("--metric", "accuracy")):
        done = fkeras("inspect", "small.h5", "--data", "data.npz", *metric, "--json", "i.json")
        assert f"golden accuracy: {oracle.golden:.6g} +-" in done.out
        assert strict(folder / "i.json")["golden"]["accuracy"]["value"] == oracle.golden
    assert "golden mean_squared_error" in fkeras("inspect", "small.h5", "--data", "charges.npz").out


def test_inspect_shows_the_trace_of_every_layer_with_its_standard_error(folder, fkeras):
    done = fkeras("inspect", "small.h5", "--data", "data.npz", "--traces", "--json", "i.json")
    assert done.code == 0
    written = strict(folder / "i.json")
    model = library.load_model("small.h5")
    derivatives = MODELS.evidence(model, pair("data.npz"), None, None, 0, library.bit_space(model)).derivatives()
    assert written["loss"] == derivatives.loss
    expected = [asdict(trace) for trace in layer_traces(derivatives)]
    assert [trace["layer"] for trace in expected] == ["hidden", "out"]
    assert written["traces"] == expected
    for trace in expected:
        line = f"trace of {derivatives.loss} in {trace['layer']}: {trace['trace']:.6g} +- {trace['standard_error']:.2g}"
        assert line in done.out
    refused = fkeras("inspect", "small.h5", "--traces")
    assert (refused.code, "--traces needs --data FILE.npz with arrays x and y" in refused.err) == (2, True)


def test_layers_choose_the_memory(folder, fkeras):
    assert "24 bits in 6 words" in fkeras("inspect", "small.h5", "--layers", "out").out
    assert "48 bits in 12 words" in fkeras("inspect", "small.h5", "--layers", "!out").out


def test_rank_writes_the_order_that_the_library_gives(folder, fkeras):
    done = fkeras("rank", "small.h5", *EMD, "--json", "r.json", "--seed", "3")
    written = strict(folder / "r.json")
    geometry = np.load("geometry.npz")
    metric = library.metrics.emd(geometry["coordinates"], cells=geometry["cell_of_output"])
    expected = library.rank(library.load_model("small.h5"), pair("charges.npz"), metric=metric, seed=3)
    assert done.code == 0
    assert "seed 3" in done.out
    assert written["method"] == expected.method == "adaptive"
    assert written["order"] == expected.order.tolist()
    assert fkeras("rank", "small.h5", "--json", "r.json").code == 0
    assert strict(folder / "r.json")["method"] == "msb"


@pytest.mark.parametrize("engine", ["auto", "framework"])
def test_oracle_writes_bits_values_and_golden(folder, fkeras, engine):
    done = fkeras("oracle", "small.h5", *EMD, "--json", "o.json", "--engine", engine)
    written = strict(folder / "o.json")
    geometry = np.load("geometry.npz")
    metric = library.metrics.emd(geometry["coordinates"], cells=geometry["cell_of_output"])
    expected = library.oracle(library.load_model("small.h5"), pair("charges.npz"), metric=metric, engine=engine)
    assert done.code == 0
    assert written["bits"] == list(range(72))
    assert written["values"] == expected.values.tolist()
    assert written["golden"] == expected.golden
    assert written["layout_digest"] == expected.layout_digest
    assert "72 of 72 bits flipped alone\n24 samples" in done.out


@pytest.mark.parametrize(
    ("asked", "worse"), [(EMD, 1), (DATA, 1), (("--data", "data.npz", "--metric", "accuracy"), -1)]
)
def test_oracle_tells_harm_from_help(folder, fkeras, asked, worse):
    done = fkeras("oracle", "small.h5", *asked, "--json", "o.json")
    written = strict(folder / "o.json")
    harm = worse * (np.array(written["values"]) - written["golden"])
    for what, effect in (("harm", harm), ("help", -harm)):
        part = done.out.partition(f"largest {what}, ")[2].partition("largest ")[0]
        listed = [int(line.split()[1]) for line in part.splitlines() if line.startswith("  bit ")]
        assert effect[listed].tolist() == sorted(effect[effect > 0], reverse=True)[:10]
    assert (harm > 0).any() or (harm < 0).any(), "else the test shows nothing"


def test_oracle_of_some_bits_and_samples(folder, fkeras):
    assert fkeras("oracle", "small.h5", *DATA, "--bits", "10:13", "--samples", "5", "--json", "o.json").code == 0
    written = strict(folder / "o.json")
    assert written["bits"] == [10, 11, 12]
    assert written["n_samples"] == 5


def test_campaign_writes_bits_values_and_golden(folder, fkeras):
    done = fkeras("campaign", "small.h5", *DATA, "--faults", "5", "--trials", "7", "--seed", "4", "--json", "c.json")
    written = strict(folder / "c.json")
    model, data = library.load_model("small.h5"), pair("data.npz")
    expected = library.campaign(model, data, metric="mispredictions", faults=5, trials=7, seed=4)
    assert done.code == 0
    assert "seed 4" in done.out
    assert written["values"] == expected.values.tolist()
    assert written["golden"] == expected.golden.value
    assert [len(bits) for bits in written["bits"]] == [5] * 7
    with library.injected(model, library.FaultSet(written["bits"][2])) as faulty:
        wrong = np.argmax(faulty.predict(data[0]), axis=1) != data[1]
    assert written["values"][2] == wrong.mean()


def test_campaign_of_two_memories_is_the_library_s(folder, fkeras):
    stated = "--faults-in", "weights=3", "--faults-in", "activations=transient:0.01"
    done = fkeras("campaign", "small.h5", *DATA, *stated, "--trials", "4", "--json", "c.json")
    assert done.code == 0
    faults = {"weights": 3, "activations": library.Transient(0.01)}
    model, data = library.load_model("small.h5"), pair("data.npz")
    expected = library.campaign(model, data, metric="mispredictions", faults=faults, trials=4)
    assert expected.setting.fault_model.describe(0) in done.out
    written = strict(folder / "c.json")
    assert written["values"] == expected.values.tolist()
    for trial, pairs in enumerate(written["bits_in_samples"]):
        flips = expected.setting.residual(trial).in_samples
        assert pairs == np.stack([flips.samples, flips.bits], axis=1).tolist()
    assert sum(map(len, written["bits_in_samples"])) > 0


@pytest.mark.parametrize(
    ("stated", "says"),
    [
        (["weights"], "'weights'; write a memory and what goes wrong there, as in weights=960"),
        (["weights=lots:3"], "'weights=lots:3'; write a memory and what goes wrong there"),
        (["weights=3", "weights=4"], "--faults-in names one memory twice; state each once"),
        (["weights=upsets:1e-6"], "--faults-in weights=upsets:R needs --exposure-seconds S"),
        (["weights=transient:1e-6"], "is stored, and a stored bit that flips stays wrong until it is written anew"),
        (["cables=3"], "'cables'; allowed are 'weights', 'biases', 'tables', 'activations'"),
    ],
)
def test_faults_by_memory_that_make_no_sense_say_what_to_write(folder, fkeras, stated, says):
    done = fkeras("campaign", "small.h5", *DATA, *(part for one in stated for part in ("--faults-in", one)))
    assert done.code == 2
    assert says in done.err


@pytest.mark.parametrize(
    ("limit", "code", "verdict"),
    [("max_mispredictions=0.99", 0, "PASS"), ("max_mispredictions=0.01", 1, "FAIL")],
)
def test_the_exit_code_is_the_verdict(folder, fkeras, limit, code, verdict):
    line = ("campaign", "small.h5", *DATA, "--faults", "20", "--allow-chance", "--limit", limit)
    done = fkeras(*line, "--json", "c.json")
    assert (done.code, strict(folder / "c.json")["verdict"]["outcome"]) == (code, verdict)
    assert verdict in done.out


def test_an_undecided_campaign_is_neither(folder, fkeras):
    line = ("campaign", "small.h5", *DATA, "--faults", "5", "--allow-chance", "--limit", "max_mispredictions=0.6")
    done = fkeras(*line, "--max-trials", "3")
    assert done.code == 3
    assert "INCONCLUSIVE" in done.out


def test_a_fixed_number_of_trials_is_judged_too(folder, fkeras):
    line = ("campaign", "small.h5", *DATA, "--faults", "20", "--trials", "80", "--limit", "max_mispredictions=0.99")
    done = fkeras(*line, "--allow-chance", "--json", "c.json")
    assert done.code == 0
    assert strict(folder / "c.json")["verdict"]["trials"] == 80


def test_a_network_at_chance_fails_at_once_unless_that_is_allowed(folder, fkeras):
    line = ("campaign", "small.h5", *DATA, "--faults", "20", "--limit", "max_mispredictions=0.99")
    done = fkeras(*line, "--json", "c.json")
    content = strict(folder / "c.json")
    assert (done.code, content["values"], content["verdict"]["outcome"]) == (1, [], "FAIL")
    assert "golden mispredictions 0.458333 is no better than chance, 0.458333" in done.out
    assert "or allow it: --allow-chance" in done.out
    senseless = fkeras(*line[:-1], "max_mispredictions_increase=0.9")
    assert (senseless.code, "is no better than chance" in senseless.out) == (1, True)
    assert fkeras(*line, "--allow-chance").code == 0


def test_a_limit_on_the_fault_free_value_fails_at_once(folder, fkeras):
    line = ("campaign", "small.h5", *DATA, "--faults", "20", "--allow-chance", "--limit", "max_mispredictions=0.99")
    done = fkeras(*line, "--limit", "max_golden_mispredictions=0.4")
    assert done.code == 1
    assert "FAIL: golden mispredictions 0.458333 breaks max_golden_mispredictions=0.4" in done.out
    assert fkeras(*line, "--limit", "max_golden_mispredictions=0.5").code == 0
    wrong = fkeras(*line, "--limit", "min_golden_mispredictions=0.5")
    assert "did you mean max_golden_mispredictions?" in wrong.err


def test_protected_bits_are_those_that_the_ranking_names(folder, fkeras):
    for protected, n in (("18", 18), ("25%", 18), ("100%", 72), ("0", 0)):
        done = fkeras(
            "campaign",
            "small.h5",
            *DATA,
            "--faults",
            "72",
            "--trials",
            "1",
            "--protected",
            protected,
            "--json",
            "c.json",
        )
        assert done.code == 0
        assert len(strict(folder / "c.json")["bits"][0]) == 72 - n
    ranking = library.rank(library.load_model("small.h5"), method="msb")
    fkeras("campaign", "small.h5", *DATA, "--faults", "72", "--trials", "1", "--protected", "18", "--method", "msb",
           "--json", "c.json")  # fmt: skip
    assert set(strict(folder / "c.json")["bits"][0]) == set(range(72)) - set(ranking[:18])


@pytest.mark.parametrize(
    ("faults", "model"),
    [
        (("--ber", "0.1"), library.BitErrorRate(0.1)),
        (("--upsets-per-second", "0.5", "--exposure-seconds", "20"), library.Exposure(20, upsets_per_second=0.5)),
        (("--upsets-per-bit-second", "0.01", "--exposure-seconds", "10"), library.Exposure(10, 0.01)),
    ],
)
def test_other_fault_models(folder, fkeras, faults, model):
    done = fkeras("campaign", "small.h5", *DATA, *faults, "--trials", "3", "--seed", "2", "--json", "c.json")
    assert done.code == 0, done.err
    expected = library.campaign(
        library.load_model("small.h5"), pair("data.npz"), metric="mispredictions", faults=model, trials=3, seed=2
    )
    assert strict(folder / "c.json")["values"] == expected.values.tolist()


def test_infinities_are_texts(folder, fkeras):
    x, _ = pair("data.npz")
    np.savez("far.npz", x=x, y=np.full((24, 2), 1e200))
    done = fkeras(
        "oracle", "small.h5", "--data", "far.npz", "--metric", "mean_squared_error", "--bits", "0:2", "--json", "o.json"
    )
    assert done.code == 0
    assert strict(folder / "o.json")["golden"] == "inf"


def test_help_is_there_for_every_command(fkeras):
    from fkeras.cli import COMMANDS

    whole = fkeras("--help")
    assert whole.code == 0
    for name in COMMANDS:
        assert name in whole.out
        one = fkeras(name, "--help")
        assert one.code == 0
        assert f"  fkeras {name} " in one.out, "an example that can be copied"
        assert fkeras(name).code == 2


def test_endurance_writes_curve_and_claim(folder, fkeras):
    line = ("endurance", "small.h5", *DATA, "--limit", "max_mispredictions=0.99", "--trials", "60", "--max-flips", "8")
    done = fkeras(*line, "--min-survived", "3", "--json", "e.json")
    written = strict(folder / "e.json")
    assert done.code == 0
    assert "PASS: 3 flips must be survived" in done.out
    expected = library.endurance(
        library.load_model("small.h5"),
        pair("data.npz"),
        metric="mispredictions",
        limits={"max_mispredictions": 0.99},
        trials=60,
        max_flips=8,
    )
    assert written["largest"] == expected.largest
    assert written["curve"] == plain(expected.curve())


def test_endurance_of_two_memories_is_the_library_s(folder, fkeras):
    stated = "--faults-in", "weights=upsets:1e-3", "--faults-in", "activations=transient:0.01"
    line = ("endurance", "small.h5", *DATA, *stated, "--exposure-seconds", "50", "--trials", "30", "--json", "e.json")
    done = fkeras(*line)
    faults = {"weights": library.Exposure(50, 1e-3), "activations": library.Transient(0.01)}
    model, data = library.load_model("small.h5"), pair("data.npz")
    expected = library.endurance(model, data, metric="mispredictions", faults=faults, trials=30)
    assert done.code == 0
    assert "drawn anew at each look; weights: Poisson, 0.001 upsets/bit/s" in done.out
    assert strict(folder / "e.json")["curve"] == plain(expected.curve())
    assert expected.survey.looks[-1] == 50
    refused = fkeras("endurance", "small.h5", *DATA, "--faults-in", "weights=3")
    assert refused.code == 2
    assert "allowed are upsets in time" in refused.err


@pytest.mark.parametrize(("limit", "least", "code"), [("0.01", "9", 1), ("0.55", "20", 3)])
def test_what_is_not_shown_to_be_survived_does_not_pass(folder, fkeras, limit, least, code):
    line = ("endurance", "small.h5", *DATA, "--limit", f"max_mispredictions={limit}", "--trials", "59")
    assert fkeras(*line, "--looks", "9,10", "--min-survived", least).code == code


@pytest.mark.parametrize("command", [("campaign", "--faults", "1", "--trials", "20"), ("endurance", "--looks", "1")])
def test_a_limit_that_the_fault_free_network_breaks_is_said(folder, fkeras, command):
    name, *more = command
    text = "the golden model breaks max_mispredictions=0.01 already"
    line = (name, "small.h5", *DATA, *more, "--limit")
    assert text in fkeras(*line, "max_mispredictions=0.01").out
    assert "already" not in fkeras(*line, "max_mispredictions=0.9").out


def test_protect_writes_mask_csv_and_headers(folder, fkeras):
    done = fkeras("protect", "small.h5", "other.h5", "--share", "25%", "--granularity", "word", "--output", "p",
                  "--method", "random", "--json", "p.json")  # fmt: skip
    assert done.code == 0, done.err
    mask = library.read_mask("p/protection.json")
    expected = library.protect(
        [library.load_model(name) for name in ("small.h5", "other.h5")],
        share=0.25,
        granularity="word",
        method="random",
    )
    assert mask.digest == expected.mask.digest
    assert strict(folder / "p.json")["sha256"] == mask.digest
    assert {path.name for path in (folder / "p").iterdir()} == {
        "protection.json", "protection.csv", "hidden_mask.h", "out_mask.h"
    }  # fmt: skip
    assert "small.h5: the mask has" in done.out
    again = fkeras("campaign", "other.h5", *DATA, "--faults", "72", "--trials", "1", "--mask", "p/protection.json",
                   "--json", "c.json")  # fmt: skip
    assert again.code == 0
    assert set(strict(folder / "c.json")["bits"][0]) == set(range(72)) - set(mask.bits)
    tripled = fkeras("campaign", "other.h5", *DATA, "--faults", "9", "--exposure-seconds", "60", "--trials", "2",
                     "--mask", "p/protection.json", "--under", "tmr", "--scrub-interval-seconds", "1")  # fmt: skip
    assert "under TMR" in tripled.out
    assert fkeras("campaign", "wide.h5", *DATA, "--faults", "9", "--mask", "p/protection.json").code == 2


def test_the_help_of_rank_explains_every_method(fkeras):
    explained = re.findall(r"^  (\w+)  +\S", fkeras("rank", "--help").out.partition("methods:\n")[2], re.MULTILINE)
    assert explained == list(METHODS)


def test_protect_ends_with_the_worst_verdict(folder, fkeras):
    line = ("protect", "small.h5", *DATA, "--bits", "0", "--output", "p", "--limit",
            "max_mispredictions_increase=0.01")  # fmt: skip
    failed = fkeras(*line, "--faults", "60")
    assert "FAIL with 0 bits" in failed.out
    assert "nothing is protected" in failed.out
    assert (failed.code, (folder / "p" / "protection.json").exists()) == (1, True)
    undecided = fkeras(*line, "--faults", "60", "--max-trials", "1")
    assert ("INCONCLUSIVE" in undecided.out, undecided.code) == (True, 3)
    assert fkeras(*line, "--faults", "0").code == 2, "nothing could fail"


def test_a_folder_holds_the_mask_of_one_memory(folder, fkeras):
    assert fkeras("protect", "small.h5", "--bits", "9", "--output", "p").code == 0
    before = {path.name: path.read_bytes() for path in (folder / "p").iterdir()}
    refused = fkeras("protect", "wide.h5", "--bits", "9", "--output", "p")
    assert refused.code == 2
    assert "--output p: holds the mask of another memory" in refused.err
    assert {path.name: path.read_bytes() for path in (folder / "p").iterdir()} == before
    assert fkeras("protect", "other.h5", "--bits", "9", "--output", "p").code == 0


def test_protect_finds_the_smallest_mask_that_passes(folder, fkeras):
    line = ("protect", "small.h5", *DATA, "--faults", "6", "--limit", "max_mispredictions=0.7", "--method", "msb")
    done = fkeras(*line, "--json", "p.json")
    assert done.code == 0, done.err
    expected = library.protect(
        library.load_model("small.h5"),
        pair("data.npz"),
        faults=6,
        limits={"max_mispredictions": 0.7},
        metric="mispredictions",
        method="msb",
    )
    assert strict(folder / "p.json")["n_protected"] == len(expected.mask.bits)


def report_of(values):
    """A report of one test whose trials gave these values."""
    setting = Setting(library.FlipCount(2), AssumedImmune(BitSet([])), 7, "numpy", 50, SPACE)
    n, score = len(values), GoldenScore(0.09, 0.01, 0, None)
    trials = MetricTrials("loss", "lower", (0.0, 1.0), np.array(values), np.zeros(n, np.int64), score)
    hits = np.full(n, 2)
    result = CampaignResult({"loss": trials}, setting, FixedTrials(n), hits, np.zeros(n, np.int64), hits)
    requirement = Requirement((parse_limit("max_loss", 0.9),))
    record = record_of("t.py::test_budget", "small", result, requirement, result.verdict(requirement))
    measured = MeasuredCampaign.of(result, BudgetIdentity("small", "FlipCount(n_faults=2)")).to_plain()
    return new_report([replace(record, measured=measured, outcome="passed")], 0, 7)


def test_reports_are_shown_and_made_into_pages(folder, fkeras):
    report_of([0.1] * 60).write("r.json")
    shown = fkeras("report", "r.json")
    assert shown.code == 0
    assert "test_budget" in shown.out
    assert "1 PASS" in shown.out
    files = {"html": "r.html", "markdown": "r.md", "trend": "t.json", "badge": "b.json", "openmetrics": "m.txt"}
    assert fkeras("report", "r.json", *(word for name, path in files.items() for word in (f"--{name}", path))).code == 0
    assert strict(folder / "b.json")["schemaVersion"] == 1
    assert (folder / "m.txt").read_text().endswith("# EOF\n")
    assert isinstance(strict(folder / "t.json"), list)
    assert "<html" in (folder / "r.html").read_text()
    assert "PASS" in (folder / "r.md").read_text()


def test_comparisons_judge_by_the_tolerance(folder, fkeras):
    report_of([0.1] * 200).write("old.json")
    report_of([0.1] * 100 + [0.8] * 100).write("new.json")
    assert fkeras("compare", "old.json", "old.json", "--fail=loss:0.1").code == 0
    worse = fkeras("compare", "old.json", "new.json", "--fail=loss:0.1")
    assert worse.code == 1
    assert "FAIL" in worse.out
    assert fkeras("compare", "old.json", "new.json", "--fail=loss:900%").code == 0
    by_mean = fkeras("compare", "old.json", "new.json", "--fail=loss.mean:0.1")
    assert by_mean.code == 1
    assert "at most 0.1 worse in the mean: FAIL" in " ".join(by_mean.out.split())
    assert fkeras("compare", "old.json", "new.json").code == 0
    assert fkeras("compare", "old.json", "new.json", "--fail=emd:5%").code == 3


OF = ("--of", "weights", "--of", "activations")
OF_COMMANDS = {
    "inspect": (),
    "rank": ("--method", "msb"),
    "oracle": DATA,
    "campaign": (*DATA, "--faults", "3", "--trials", "2"),
    "endurance": (*DATA, "--looks", "1,4", "--trials", "3"),
    "protect": ("--bits", "9", "--method", "msb"),
}


@pytest.mark.parametrize("command", OF_COMMANDS)
def test_every_command_with_a_memory_is_asked_of_registers_too(folder, fkeras, command):
    done = fkeras(command, "small.h5", *OF, *OF_COMMANDS[command], "--json", "o.json")
    assert done.code == 0, done.err
    space = library.bit_space(library.load_model("small.h5"), of=["weights", "activations"])
    assert strict(folder / "o.json")["n_bits"] == len(space) > 72


def test_what_knows_stored_words_alone_is_refused_on_the_command_line(folder, fkeras):
    limit = ("--faults", "3", "--limit", "max_mispredictions=0.9")
    for line in (
        ("inspect", "small.h5", *OF, *DATA, "--traces"),
        ("protect", "small.h5", *OF, *DATA, *limit, "--free"),
        ("protect", "small.h5", *OF, *DATA, *limit, "--front"),
        ("protect", "small.h5", *OF, "--bits", "9", "--under", "tmr", "--rtl", "rtl"),
    ):
        done = fkeras(*line)
        assert done.code == 2
        # Keras numbers layers without a name in each process
        assert re.search(r"needs words that are stored, and register 'q_activation\w*/activation' is written", done.err)


def test_inputs_come_in_the_words_that_are_stated(folder, fkeras):
    line = ("inspect", "small.h5", "--of", "inputs")
    assert "no quantizer reads it; --input-format 8,0 says in which words it comes" in fkeras(*line).err
    assert re.search(r"input_\d+/input", fkeras(*line, "--input-format", "u8,2").out)
    assert "fixed point, 8 bits, step 0.015625, unsigned" in fkeras(*line, "--input-format", "u8,2").out
    refused = fkeras(*line, "--input-format", "8")
    assert refused.code == 2
    assert "'8'; write the bits of a word (1 to 32) and those before the point, as in 8,0" in refused.err
