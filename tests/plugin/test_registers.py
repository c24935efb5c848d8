"""Budgets of several memories: what the mark says is measured, and the report tells the rates apart."""

from __future__ import annotations

import json

import pytest

CONFTEST = """
import numpy as np
import pytest

from fkeras import network as fn
from fkeras.memory import FixedPoint, WordTensor
from fkeras.memory.inventory import Inventory, LayerMemory


@pytest.fixture(scope="session")
def fkeras_model():
    codec, kernel = FixedPoint(4, 0), np.eye(4, dtype=np.float32).ravel() * np.float32(0.5)
    tensor = WordTensor("d/kernel", (4, 4), codec, codec.encode(kernel), np.ones(16, np.float32), kernel)
    nodes = (
        fn.Node("q/activation", fn.Quantize(2.0**-5, 0, 31), ("x",)),
        fn.Node("d/sum", fn.Dense("d/kernel"), ("q/activation",)),
    )
    memory = Inventory("four", (LayerMemory("d", (tensor,)),))
    return fn.Network("four", (fn.Input("x", (4,)),), nodes, ("d/sum",), ("y",), memory)


@pytest.fixture(scope="session")
def fkeras_data():
    labels = np.arange(80) % 4
    return np.eye(4, dtype=np.float32)[labels] * np.float32(0.5), labels
"""
BUDGETS = """
import fkeras
from pytest_fkeras import TMR, StuckAt, Transient, fault_budget, ranking


@fault_budget(
    faults={"weights": fkeras.FlipCount(1), "activations": Transient(ber=1e-3)}, min_accuracy=0.5, trials=20,
    max_failure_rate=0.5,
)
def test_two_memories(fkeras_campaign):
    space = fkeras_campaign.space
    assert [array.path for array in space.arrays] == ["d/kernel", "q/activation"]


@fault_budget(faults=Transient(ber=0.2), of="activations", min_accuracy=0.999)
def test_transients_break_it():
    pass


@fault_budget(faults=StuckAt(0, 20), of="activations", trials=3)
def test_everything_stuck_at_0(fkeras_campaign):
    assert fkeras_campaign["accuracy"].values.tolist() == [0.25] * 3  # the first class always wins


@fault_budget(faults=Transient(ber=0.2), of="activations", protected=range(20), min_accuracy=0.9)
def test_immune():
    pass


BOTH = {"weights": fkeras.FlipCount(2), "activations": Transient(ber=0.1)}
LIMITS = {"min_accuracy": 0.95, "trials": 20, "max_failure_rate": 0.5}


@fault_budget(faults=BOTH, protected=ranking[:40], **LIMITS)
def test_the_first_bits_of_both_memories_are_immune():
    pass


@fault_budget(faults=BOTH, protected=range(24, 64), **LIMITS)
def test_as_many_other_bits_do_not_help():
    pass


@fault_budget(faults=Transient(ber=1e-3), min_accuracy=0.5)
def test_transients_of_weights_are_refused():
    pass
"""


def test_budgets_of_several_memories(pytester: pytest.Pytester) -> None:
    pytester.makeconftest(CONFTEST)
    pytester.makepyfile(BUDGETS)
    pytester.makeini("[pytest]\nfkeras_seed = 1\n")
    result = pytester.runpytest("-p", "no:randomly", "--fkeras-json=r.json", "--fkeras-html=r.html")
    result.assert_outcomes(passed=4, failed=2, errors=1)
    result.stdout.fnmatch_lines(
        [
            "*tensor 'd/kernel' is*",
            "*activations transient 0.001 + weights 1*",
        ]
    )
    report = json.loads((pytester.path / "r.json").read_text())
    budgets = {budget["nodeid"].rpartition("::")[2]: budget for budget in report["tests"]}
    assert budgets["test_transients_break_it"]["verdict"] == "FAIL"
    assert "@" in json.dumps(budgets["test_transients_break_it"]["minimal_faults"])
    assert budgets["test_two_memories"]["assumptions"]["fault_model"] == (
        "activations: transient, bit error rate 0.001 per inference, 0.02 of 20 bits expected wrong in each inference; "
        "weights: 1 distinct bits, uniform over 64"
    )


CHECKED = """
import fkeras
from pytest_fkeras import RangeCheck, StuckAt, Transient, fault_budget

FAULTS = {"weights": fkeras.FlipCount(1), "activations": Transient(ber=0.1)}


@fault_budget(faults=FAULTS, protected=RangeCheck("zero"), min_accuracy=0.999, trials=9)
def test_check_breaks():
    pass


@fault_budget(faults=StuckAt(1, 20), of="activations", protected=RangeCheck("clamp"), trials=3)
def test_limit(fkeras_campaign):
    assert {register.limits.high.max() for register in fkeras_campaign.space.registers} == {0.5}
    assert fkeras_campaign["accuracy"].values.tolist() == [0.25] * 3  # all read 0.5, the first class wins


@fault_budget(faults=StuckAt(1, 20), of="activations", protected=RangeCheck(), min_accuracy=0.5)
def test_undone():
    pass
"""


def test_a_budget_reads_registers_through_their_range(pytester: pytest.Pytester) -> None:
    pytester.makeconftest(CONFTEST)
    pytester.makepyfile(CHECKED)
    result = pytester.runpytest("-p", "no:randomly")
    result.assert_outcomes(passed=1, failed=1, errors=1)
    result.stdout.fnmatch_lines(["*outside='undo': registers, such as 'q/activation', *write outside='clamp' or *"])
    result.stdout.fnmatch_lines(["*protection*range check of these weights*of 1 registers two comparators*"])


OF_THE_INI_FILE = """
from pytest_fkeras import KnownWords, Transient, fault_budget, ranking

BOTH = {"weights": 2, "activations": Transient(ber=0.1)}
EASY = {"trials": 3, "min_accuracy": 0.01, "max_failure_rate": 0.9}


def test_session(fault_space, fkeras_ranking):
    assert set(fault_space.kinds) == {"weights", "activations"}
    assert len(fkeras_ranking) == len(fault_space) == 84


@fault_budget(faults=BOTH, of=["activations", "weights"], protected=ranking[:9], **EASY)
def test_budget(fkeras_campaign, fkeras_ranking):
    assert fkeras_campaign.ranking[:9] == fkeras_campaign.protection.bits
    assert len(fkeras_campaign.ranking) == len(fkeras_ranking)


@fault_budget(faults={"weights": 40}, **EASY)
def test_weights_alone(fkeras_campaign):
    assert len(fkeras_campaign.space) == len(fkeras_campaign.ranking) == 64


@fault_budget(bits=3, protected=KnownWords(), **EASY)
def test_check():
    pass
"""


def test_the_ini_file_says_which_memories_are_measured_and_ranked(pytester: pytest.Pytester) -> None:
    pytester.makeconftest(CONFTEST)
    pytester.makepyfile(OF_THE_INI_FILE)
    pytester.makeini("[pytest]\nfkeras_of = weights, activations\n")
    result = pytester.runpytest("-p", "no:randomly", "--fkeras-json=r.json")
    result.assert_outcomes(passed=4)
    (check,) = [
        test for test in json.loads((pytester.path / "r.json").read_text())["tests"] if "check" in test["nodeid"]
    ]
    assert "covers 64 of 64 bits of weights, 0 of 20 bits of activations" in check["assumptions"]["protection"]
    pytester.makeini("[pytest]\nfkeras_of = weights neurons\n")
    result = pytester.runpytest()
    result.stderr.fnmatch_lines(["*the ini option fkeras_of: 'neurons'; allowed are weights, biases, tables, activ*"])
