"""Protections and masks in a budget, plain and with workers."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest

from fkeras.faults import TMR
from fkeras.memory import BitSet, BitSpace, FixedPoint, WordTensor
from fkeras.protection import Mask
from fkeras.rtl.folder import protection_digest

CODEC = FixedPoint(4, 0)
WORKERS = [(), ("-n", "2")]


def memory(*paths: str) -> BitSpace:
    values = np.zeros(4, np.float32)
    return BitSpace(tuple(WordTensor(path, (2, 2), CODEC, CODEC.encode(values), values + 1, values) for path in paths))


@pytest.fixture
def imports(project, write_test):
    """Write a test module that can use masks and protections."""
    return lambda source: write_test("from pytest_fkeras import SECDED, TMR, Parity, mask\n" + source)


@pytest.mark.parametrize("workers", WORKERS, ids=["plain", "n2"])
def test_a_mask_protects_its_bits_and_the_report_says_so(project, imports, workers):
    project.makeini("[pytest]\nfkeras_seed = 1\n")
    made = Mask.of(BitSet(range(1, 32, 2)), memory("first/kernel", "second/kernel"))
    made.write(project.path / "masks" / "protection.json")
    imports("""
@fault_budget(bits=3, protected=mask("masks/protection.json"), max_mse=1e6)
def test_masked(fkeras_campaign):
    assert list(fkeras_campaign.protection.bits) == list(range(1, 32, 2))

@fault_budget(bits=3, protected=TMR(mask("masks/protection.json") | ranking[:2]), max_mse=1e6)
def test_tripled(fkeras_campaign):
    assert len(fkeras_campaign.protection.bits) == 18

@fault_budget(bits=3, protected=mask("masks/protection.json") - ranking.layers("second"), max_mse=1e6)
def test_combined(fkeras_campaign):
    assert list(fkeras_campaign.protection.bits) == list(range(1, 16, 2))
""")
    result = project.runpytest_inprocess("-v", "--fkeras-json=run.json", *workers)
    result.assert_outcomes(passed=3)
    tests = json.loads((project.path / "run.json").read_text())["tests"]
    short = {test["nodeid"].rpartition("::")[2]: test["assumptions"]["protected"] for test in tests}
    assert short["test_masked"] == "mask('masks/protection.json')", "bits by themselves are assumed immune"
    assert short["test_tripled"] == "TMR(mask('masks/protection.json') | ranking[:2])"
    text = " ".join(" ".join(result.stdout.lines).split())
    assert f"16 bits (50.0%) assumed immune; a fixed mask, not ranked anew, sha {made.digest[:8]}" in text
    assert "18 bits under TMR, 36 extra bits (overhead 112.5%), hit like the others, never scrubbed" in text
    assert "area +112.5%, assumed to be that of the extra bits" in text
    assert "ranked anew for these weights" in text


def test_a_path_starts_at_the_ini_file(project, imports):
    project.makeini("[pytest]\nfkeras_seed = 1\n")
    Mask.of(BitSet([0]), memory("first/kernel", "second/kernel")).write(project.path / "protection.json")
    imports("""
@fault_budget(bits=3, protected=mask("protection.json"), max_mse=1e6)
def test_masked():
    pass
""")
    elsewhere = project.mkdir("elsewhere")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(elsewhere)
        project.runpytest_inprocess(project.path, "--rootdir", project.path).assert_outcomes(passed=1)


def test_an_area_is_measured_where_the_ini_file_names_one_that_fits(project, imports):
    space = memory("first/kernel", "second/kernel")
    project.makeini("[pytest]\nfkeras_area = area.json\n")
    area = {"schema": "fkeras-area/1", "layout_digest": space.layout_digest, "overhead": 0.75, "holds": True}
    area["protection_sha256"] = protection_digest(TMR(range(4)))
    (project.path / "area.json").write_text(json.dumps(area))
    imports("""
@fault_budget(bits=3, protected=TMR([0, 1, 2, 3]), max_mse=1e6)
def test_built():
    pass

@fault_budget(bits=3, protected=TMR([0, 1, 2, 3, 4]), max_mse=1e6)
def test_larger():
    pass
""")
    project.runpytest_inprocess("--fkeras-json=run.json").assert_outcomes(passed=2)
    built, larger = json.loads((project.path / "run.json").read_text())["tests"]
    assert built["assumptions"]["protection"].endswith("; area +75.0%, measured by synthesis (area.json)")
    assert "area +31.2%, assumed to be that of the extra bits (" in larger["assumptions"]["protection"]
    (project.path / "area.json").write_text("{}")
    result = project.runpytest_inprocess()
    result.assert_outcomes(errors=2)
    result.stdout.fnmatch_lines(["*area.json: 'schema' is 'None', expected 'fkeras-area/1'; write it with*"])


@pytest.mark.parametrize("workers", WORKERS, ids=["plain", "n2"])
def test_a_mask_of_another_layout_is_an_error(project, imports, workers):
    Mask.of(BitSet([0]), memory("first/kernel", "third/kernel")).write(project.path / "other.json")
    (project.path / "cut.json").write_text('{"schema": "fkeras-pro')
    imports("""
@fault_budget(bits=3, protected=mask("other.json"), max_mse=1e6)
def test_other():
    pass

@fault_budget(bits=3, protected=mask("cut.json"), max_mse=1e6)
def test_cut():
    pass

@fault_budget(bits=3, protected=mask("none.json"), max_mse=1e6)
def test_none():
    pass
""")
    result = project.runpytest_inprocess(*workers)
    result.assert_outcomes(errors=3)
    text = " ".join(" ".join(result.stdout.lines).split())
    assert "mask('other.json') was made for a memory of layout" in text
    assert (
        "'third/kernel' (2, 2) of 4-bit words in the mask is 'second/kernel' (2, 2) of 4-bit words in the model" in text
    )
    assert "cut.json: is no JSON" in text
    assert "none.json does not exist" in text


@pytest.mark.parametrize(
    "budget",
    [
        "bits=3, protected=TMR(ranking[:4])",
        "bits=3, exposure_seconds=60, protected=TMR(ranking[:4], scrub_interval_seconds=6)",
        "ber=0.1, exposure_seconds=60, protected=TMR(ranking[:4], scrub_interval_seconds=6, scrub_from='itself')",
        "upsets_per_second=0.5, exposure_seconds=8, protected=SECDED(ranking[:8], scrub_interval_seconds=2)",
        "bits=3, protected=Parity(ranking.layers('first'))",
        "bits=3, protected=fkeras.SECDED([0, 1, 2, 3], on_detected='reload')",
        "faults=fkeras.ClusteredUpsets(3, {1: 0.5, 2: 0.5}), protected=TMR(ranking[:4])",
        "faults=fkeras.ClusteredUpsets(fkeras.Exposure(8, upsets_per_second=0.5), {(2, 2): 1.0}, "
        "fkeras.CellLayout(columns=8, copies='adjacent')), protected=TMR(ranking[:4], scrub_interval_seconds=4)",
        "bits=1, trials='all', protected=SECDED(ranking[:4], scrub_interval_seconds=4)",
    ],
)
def test_every_way_to_state_a_protection(project, imports, budget):
    imports(f"""
@fault_budget({budget}, max_mse=1e6, max_failure_rate=0.2)
def test_passes():
    pass

@fault_budget({budget}, max_mse=1e-9)
def test_fails():
    pass
""")
    project.runpytest_inprocess().assert_outcomes(passed=1, failed=1)


def test_full_tmr_is_not_immune(project, imports):
    """All bits under TMR: two copies of one bit may still be hit, so nothing is exact."""
    imports("""
@fault_budget(bits=16, protected=TMR(ranking.fraction(1.0)), trials=60, max_mse=1e6)
def test_tripled(fkeras_campaign):
    assert not fkeras_campaign.result.is_exact
    assert fkeras_campaign.result.residual.max() > 0

@fault_budget(bits=16, exposure_seconds=1000, protected=TMR(ranking.fraction(1.0), scrub_interval_seconds=1),
              trials=60, max_mse=1e6)
def test_scrubbed(fkeras_campaign):
    assert fkeras_campaign.result.residual.max() == 0
    assert fkeras_campaign.estimate.best == 0.0
""")
    project.runpytest_inprocess().assert_outcomes(passed=2)


def test_every_flip_alone_under_a_protection(project, imports):
    """TMR and SECDED mend every single flip; parity knows of it and reads 0."""
    imports("""
@fault_budget(bits=1, trials="all", protected=SECDED(ranking.fraction(1.0)), max_mse=1e-9, max_failure_rate=0.0)
def test_mended():
    pass

@fault_budget(bits=1, trials="all", protected=Parity(ranking.layers("first")), max_mse=1e6)
def test_zeroed(fkeras_campaign):
    result = fkeras_campaign.result
    assert result.residual.tolist() == [4] * 16 + [1] * 16
    assert (result.values[:4] == result.values[0]).all()
    assert result.values[0] > 0
""")
    project.runpytest_inprocess().assert_outcomes(passed=2)


def test_scrubbing_without_a_time_is_refused_when_the_module_is_imported(project, imports):
    imports("""
@fault_budget(bits=3, protected=TMR(ranking[:4], scrub_interval_seconds=6), max_mse=1e6)
def test_untimed():
    pass
""")
    result = project.runpytest_inprocess()
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(
        ["*scrub_interval_seconds=6 needs to know how long the faults take: write exposure_seconds=14400*"]
    )


def test_what_would_pass_keeps_the_protection_s_options(project, imports):
    imports("""
@fault_budget(bits=2, exposure_seconds=60, protected=TMR(ranking[:4], scrub_interval_seconds=6), max_mse=0.05)
def test_too_few():
    pass

@fault_budget(bits=1, trials="all", protected=Parity(ranking[:4]), max_mse=1e-9)
def test_parity():
    pass

@fault_budget(min_flips_survived=3, exposure_seconds=60, protected=TMR(ranking[:4], scrub_interval_seconds=6),
              max_mse=1e-9)
def test_survived():
    pass
""")
    result = project.runpytest_inprocess()
    result.assert_outcomes(failed=3)
    text = " ".join(" ".join(result.stdout.lines).split())
    assert re.search(r"TMR\(ranking\[:\d+\], scrub_interval_seconds=6\) ", text)
    assert "InputError" not in text


def test_a_check_of_words_is_a_protection_like_others(project, write_test):
    project.makeini("[pytest]\nfkeras_seed = 1\n")
    write_test("""
import fkeras
from pytest_fkeras import TMR, KnownWords, RangeCheck, Recoded

def alike(space):
    return [1.0] * len(space)

@fault_budget(bits=9, max_mse=1e6, trials=60)
def test_bare(fkeras_campaign):
    pass

@fault_budget(bits=9, protected=KnownWords(), max_mse=1e6, trials=60)
def test_known(fkeras_campaign):
    assert isinstance(fkeras_campaign.protection.stated, fkeras.KnownWords)

@fault_budget(bits=9, exposure_seconds=10, protected=RangeCheck("clamp", scrub_interval_seconds=1), max_mse=1e6,
              trials=60)
def test_in_range(fkeras_campaign):
    pass

@fault_budget(bits=9, protected=[TMR(ranking[:4]), Recoded(importance=ranking(alike))], max_mse=1e6, trials=60)
def test_recoded(fkeras_campaign):
    assert fkeras_campaign.protection.extra_bits == 8

@fault_budget(bits=1, trials="all", protected=[ranking[:4], KnownWords()], max_mse=1e6)
def test_each_bit(fkeras_campaign):
    assert not fkeras_campaign.result.residual[list(fkeras_campaign.protection.stated[0].bits)].any()
""")
    result = project.runpytest_inprocess("--fkeras-json=run.json")
    result.assert_outcomes(passed=5)
    tests = {
        test["nodeid"].rpartition("::")[2]: test
        for test in json.loads((project.path / "run.json").read_text())["tests"]
    }
    assert {name: test["assumptions"]["protected"] for name, test in tests.items()} == {
        "test_bare": "-",
        "test_known": "KnownWords()",
        "test_in_range": "RangeCheck(scrub_interval_seconds=1.0, outside='clamp')",
        "test_recoded": "TMR(ranking[:4]), Recoded(importance=<Ranking 'alike' of 32 bits>)",
        "test_each_bit": "ranking[:4], KnownWords()",
    }
    assert "a word that is never stored reads the expected value" in tests["test_known"]["assumptions"]["protection"]
    means = {name: test["metrics"]["mse"]["mean"] for name, test in tests.items()}
    assert max(means[name] for name in ("test_known", "test_in_range", "test_recoded")) < means["test_bare"] / 2


def test_a_ranking_beside_a_check_is_of_what_flips_do_behind_it(project, write_test):
    write_test("""
from pytest_fkeras import TMR, KnownWords

CHECK = KnownWords()

@fault_budget(bits=3, protected=[TMR(ranking[:4]), CHECK], max_mse=1e6)
def test_beside(fkeras_campaign, resilience):
    tripled, _ = fkeras_campaign.protection.stated
    assert tripled.bits == resilience.rank(behind=CHECK)[:4] != resilience.rank()[:4]
    assert fkeras_campaign.ranking[:4] == tripled.bits

@fault_budget(bits=3, protected=[ranking("msb")[:4], KnownWords(importance=ranking("random"))], max_mse=1e6)
def test_each_by_its_own_method(fkeras_campaign, resilience):
    immune, check = fkeras_campaign.protection.stated
    assert immune.bits == resilience.rank("msb", behind=check)[:4] != resilience.rank("msb")[:4]
    assert check.importance is resilience.rank("random")

@fault_budget(bits=3, protected=ranking[:4], max_mse=1e6)
def test_alone(fkeras_campaign, resilience):
    assert fkeras_campaign.protection.bits == fkeras_campaign.ranking[:4] == resilience.rank()[:4]
""")
    project.runpytest_inprocess().assert_outcomes(passed=3)


def test_a_missed_budget_says_how_many_bits_would_do_beside_a_check(project, write_test):
    write_test("""
from pytest_fkeras import KnownWords

@fault_budget(bits=16, protected=[KnownWords(), ranking[:1]], max_mse=1e-9)
def test_fails():
    pass
""")
    result = project.runpytest_inprocess()
    result.assert_outcomes(failed=1)
    result.stdout.re_match_lines([r".*would pass  protected=\[KnownWords\(\), ranking\[:\d+\]\]"])
