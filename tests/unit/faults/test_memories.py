"""Faults of one inference, stuck bits, a fault model for each memory: what is drawn, and that it is reproducible."""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import numpy as np
import pytest

import fkeras
from fkeras import network as fn
from fkeras.faults import AssumedImmune, FaultSet, draw_trial, fault_model, placed, protection, trial_upsets
from fkeras.memory import BitSet, BitSpace, FixedPoint, Register, WordTensor
from fkeras.memory.inventory import Inventory, LayerMemory
from fkeras.network.ranges import golden_range
from fkeras.statistics.proportions import clopper_pearson

CODEC = FixedPoint(4, 0)


def stored(n: int, path: str = "d/kernel") -> WordTensor:
    zeros = np.zeros(n, np.float32)
    return WordTensor(path, (n,), CODEC, CODEC.encode(zeros), np.ones(n, np.float32), zeros)


def both(n_words: int = 30, n_held: int = 20) -> BitSpace:
    register = Register("d/activation", (n_held,), CODEC, "activations", "d/activation")
    return BitSpace((stored(n_words), stored(3, "d/bias")), registers=(register,))


def pairs(faults: FaultSet) -> set[tuple[int, int]]:
    return set(zip(faults.in_samples.samples.tolist(), faults.in_samples.bits.tolist(), strict=True))


def test_known_draws_of_transients() -> None:
    held, _ = both().part("activations")
    faults = draw_trial(held, fkeras.Transient(ber=0.01), seed=1, trial=0, n_samples=10).faults
    assert faults.in_samples.samples.tolist() == [0, 1, 2, 3, 4, 6, 8, 8, 8]
    assert faults.in_samples.bits.tolist() == [38, 35, 37, 79, 0, 72, 8, 15, 44]


@pytest.mark.parametrize("model", [fkeras.Transient(ber=0.01), fkeras.Transient(None, 1e3, 1e-5)])
@pytest.mark.parametrize("n_held", [20, 300_000])  # many samples a stream, and less than one
def test_a_sample_draws_the_same_whatever_follows_it(model, n_held: int) -> None:
    held, _ = both(n_held=n_held).part("activations")
    n = 5 if n_held > 1000 else 40_000
    long = draw_trial(held, model, 3, 7, n).faults
    short = draw_trial(held, model, 3, 7, n // 2).faults
    assert pairs(short) == {pair for pair in pairs(long) if pair[0] < n // 2}
    assert len(short.in_samples) < len(long.in_samples)


@pytest.mark.parametrize("model", [fkeras.Transient(ber=0.02), fkeras.Transient(None, 2e4, 1e-6)])
def test_every_bit_of_every_inference_flips_as_often_as_stated(model) -> None:
    held, _ = both(n_held=50).part("activations")
    n_cells = len(held) * 500
    n = sum(len(draw_trial(held, model, 0, trial, 500).faults) for trial in range(10))
    interval = clopper_pearson(n, 10 * n_cells, 0.999)
    assert interval.low <= model.flip_probability <= interval.high
    assert model.flip_probability == pytest.approx(0.02, rel=0.03)


def test_memories_draw_what_they_draw_alone() -> None:
    space = both()
    faults = {"weights": fkeras.Exposure(10, 2e-3), "activations": fkeras.Transient(ber=0.01), "biases": 2}
    together = draw_trial(space, fault_model(faults), 5, 3, 100)
    for name, model in faults.items():
        part, bits = space.part(name)
        alone = draw_trial(part, fault_model(model), 5, 3, 100).faults
        np.testing.assert_array_equal(np.intersect1d(together.faults.flips, bits), bits[alone.flips])
        here = np.isin(together.faults.in_samples.bits, bits)
        np.testing.assert_array_equal(together.faults.in_samples.bits[here], bits[alone.in_samples.bits])
        np.testing.assert_array_equal(together.faults.in_samples.samples[here], alone.in_samples.samples)
    assert together.n_hits == len(together.faults) + together.n_cancelled


def test_stuck_bits_read_what_they_are_stuck_at() -> None:
    space = both()
    for value in (0, 1):
        faults = draw_trial(space, fkeras.StuckAt(value, n=7), 1, 0).faults
        assert (faults.set_to_0.size, faults.set_to_1.size, faults.flips.size) == (7 * (not value), 7 * value, 0)
    flips = draw_trial(space, fkeras.FlipCount(7), 1, 0).faults.flips
    assert draw_trial(space, fkeras.StuckAt(1, 7), 1, 0).faults.set_to_1.tolist() != flips.tolist()


def test_the_report_tells_the_rates_apart() -> None:
    model = placed(fault_model({"weights": fkeras.FlipCount(3), "activations": fkeras.Transient(ber=0.5)}), both())
    assert model.describe(999) == (
        "activations: transient, bit error rate 0.5 per inference, 40 of 80 bits expected wrong in each inference; "
        "weights: 3 distinct bits, uniform over 120; biases: no faults"
    )
    assert model.short(999) == "activations transient 0.5 + weights 3"


def test_the_report_names_memories_that_nothing_hits() -> None:
    model = placed(fault_model({"weights": 3}), both())
    assert model.describe(9) == "weights: 3 distinct bits, uniform over 120; biases: no faults; activations: no faults"


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: fkeras.Transient(), r"a transient has one rate: give ber, or upsets_per_bit_second with"),
        (lambda: fkeras.Transient(0.1, 1.0, 1.0), r"a transient has one rate"),
        (lambda: fkeras.Transient(upsets_per_bit_second=1.0), r"a transient has one rate"),
        (lambda: fkeras.Transient(ber=2), r"ber is 2, a probability per bit; allowed are 0 to 1"),
        (lambda: fkeras.Transient(None, -1.0, 1.0), r"upsets_per_bit_second is -1.0; allowed are finite numbers"),
        (lambda: fkeras.StuckAt(2), r"value=2; a bit is stuck at 0 or at 1"),
        (lambda: fkeras.StuckAt(1, -1), r"n is -1; allowed are whole numbers from 0 up"),
        (lambda: draw_trial(both(), fkeras.StuckAt(1, 999), 0, 0), r"999 stuck bits do not fit into a memory of 212"),
        (lambda: fault_model({}), r"faults={}; name memories, as in {'weights': 960"),
        (lambda: fault_model({"weights": {"weights": 1}}), r"is of a whole memory"),
        (
            lambda: placed(fault_model({"inputs": 1}), both()),
            r"faults name 'inputs', and the memory measured is of weights, biases, activations; give space=",
        ),
        (
            lambda: draw_trial(both(), fkeras.Transient(ber=0.1), 0, 0, 5),
            r"tensor 'd/kernel' is stored, and a stored bit that flips stays wrong until it is written anew",
        ),
        (
            lambda: draw_trial(both().part("activations")[0], fkeras.Transient(ber=0.1), 0, 0, 10**9),
            r"8e\+09 flips expected in 1,000,000,000 inferences; allowed are up to 1e\+08",
        ),
        (
            lambda: list(FaultSet(in_samples=fkeras.SampleFlips([1], [5])).register_patches(both())),
            r"d/kernel\[1\]:1 is stored, .* only bits of registers flip for one sample",
        ),
    ],
)
def test_what_makes_no_sense_is_refused(make, says: str) -> None:
    with pytest.raises(fkeras.InputError, match=says):
        make()


def test_text_of_flips_in_samples_is_read_again() -> None:
    space = both()
    faults = FaultSet([3], [130], [131], in_samples=fkeras.SampleFlips([4, 0], [140, 135]))
    text = faults.text(space)
    assert text.split()[-2:] == ["d/activation[0]:3@0", "d/activation[2]:0@4"]
    assert FaultSet.parse(text, space) == faults


def test_tmr_of_registers_outvotes_one_copy_in_each_inference() -> None:
    held, _ = both(n_held=40).part("activations")
    p, n = 0.05, 3000
    guard = protection(fkeras.TMR(range(len(held) // 2)), held)
    upsets = trial_upsets(held, fkeras.Transient(ber=p), 0, 0, n)
    left = guard.residual(upsets).in_samples.bits
    covered = int((left < len(held) // 2).sum())
    interval = clopper_pearson(covered, n * len(held) // 2, 0.999)
    assert interval.low <= 3 * p**2 - 2 * p**3 <= interval.high
    drawn = upsets.faults.in_samples
    np.testing.assert_array_equal(left[left >= len(held) // 2], drawn.bits[drawn.bits >= len(held) // 2])
    assert not len(protection(AssumedImmune(range(len(held))), held).residual(upsets))
    with pytest.raises(fkeras.InputError, match="SECDED of bits that flip for one inference is not modelled"):
        protection(fkeras.SECDED(BitSet(range(len(held)))), held).residual(upsets)


def one_layer() -> fn.Network:
    """10 inputs of 5 bits, each of which is an output: one is the largest by far."""
    kernel = np.eye(10, dtype=np.float32) * 0.5
    tensor = WordTensor(
        "d/kernel", (10, 10), CODEC, CODEC.encode(kernel.ravel()), np.ones(100, np.float32), kernel.ravel()
    )
    nodes = (
        fn.Node("q/activation", fn.Quantize(2.0**-5, 0, 31), ("x",)),
        fn.Node("d/sum", fn.Dense("d/kernel"), ("q/activation",)),
    )
    inventory = Inventory("one layer", (LayerMemory("d", (tensor,)),))
    return fn.Network("one layer", (fn.Input("x", (10,)),), nodes, ("d/sum",), ("y",), inventory)


def one_layer_data() -> tuple[np.ndarray, np.ndarray]:
    labels = np.random.default_rng(0).integers(0, 10, 2000)
    return np.eye(10, dtype=np.float32)[labels] * np.float32(0.5), labels


def campaign(workers: int, model, n_trials: int = 8) -> tuple[np.ndarray, np.ndarray]:
    """Wrong inferences in each trial, and digests of what was drawn."""
    network, (x, labels) = one_layer(), one_layer_data()
    of = ("activations",) if isinstance(model, fkeras.Transient) else ("weights", "activations")
    space = fkeras.bit_space(network, of=of)
    settings = dict(metric="mispredictions", faults=model, trials=n_trials, space=space, seed=4)
    if workers == 1:
        result = fkeras.campaign(network, (x, labels), **settings)
    else:
        with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
            result = fkeras.campaign(network, (x, labels), executor=pool, **settings)
    return result.values, np.array([result.setting.residual(trial).digest for trial in range(n_trials)])


def test_one_study_looks_at_what_its_registers_hold_once(monkeypatch) -> None:
    network, looks = one_layer(), []
    monkeypatch.setattr(
        "fkeras.fault_free_network.golden_range", lambda *these: looks.append(these) or golden_range(*these)
    )
    labels = np.arange(10)
    study = fkeras.Study(network, (np.eye(10, dtype=np.float32) * np.float32(0.5), labels), "mispredictions",
                         of="activations")  # fmt: skip
    clamped, zeroed = fkeras.RangeCheck("clamp"), fkeras.RangeCheck("zero")
    checks = (clamped, zeroed, [clamped, range(9)])
    spaces = [study.campaign(faults=1, trials=3, protected=check).setting.space for check in checks]
    assert [space.registers[0].limits.outside for space in spaces] == ["clamp", "zero", "clamp"]
    assert len({space.content_digest for space in spaces}) == 2
    study.but(seed=5).endurance(looks=[1, 2], trials=3, protected=clamped)
    assert len(looks) == 1


@pytest.mark.parametrize("model", [fkeras.Transient(ber=0.003), fkeras.Transient(None, 3e3, 1e-6)])
def test_wrong_inferences_are_as_many_as_the_closed_form_says(model) -> None:
    """Output l is right while its word, 10000 and flips, is above those of the outputs before it, which hold flips
    alone, and not below those behind it."""
    p, values = model.flip_probability, campaign(1, model)[0]
    n_wrong_bits = np.array([int(word).bit_count() for word in range(32)])
    chance = p**n_wrong_bits * (1 - p) ** (5 - n_wrong_bits)
    up_to = np.cumsum(chance)
    below = up_to - chance
    labels = np.random.default_rng(0).integers(0, 10, 2000)
    right = [float(chance[np.arange(32) ^ 16] @ (below**label * up_to ** (9 - label))) for label in range(10)]
    expected = 1 - np.mean(np.array(right)[labels])
    interval = clopper_pearson(round(values.sum() * 2000), 8 * 2000, 0.999)
    assert interval.low <= expected <= interval.high
    assert 0.002 < expected < 0.02


@pytest.mark.parametrize("model", [fkeras.Transient(ber=0.003), {"weights": 2, "activations": fkeras.Transient(0.003)}])
def test_two_processes_draw_and_measure_what_one_does(model) -> None:
    alone, together = campaign(1, model), campaign(2, model)
    np.testing.assert_array_equal(alone[1], together[1])
    np.testing.assert_allclose(alone[0], together[0], rtol=1e-12)
    assert len(set(alone[1].tolist())) == 8


def test_endurance_of_two_memories_is_measured_as_campaigns_are() -> None:
    """Without an upset of weights each look is a campaign under transients; with them it gets worse."""
    network, (x, labels) = one_layer(), one_layer_data()
    transient = fkeras.Transient(ber=0.003)
    how = dict(metric="mispredictions", looks=[1.0, 100.0], trials=30)
    rates = {"steady": 0.0, "filling": 1e-3}
    found = {
        name: fkeras.endurance(
            network, (x, labels), faults={"weights": fkeras.Exposure(9.0, rate), "activations": transient}, **how
        )
        for name, rate in rates.items()
    }
    first, last = found["steady"].survey.values.T
    expected = fkeras.campaign(network, (x, labels), metric="mispredictions", faults={"activations": transient}).values
    assert abs(first.mean() - expected.mean()) < 5 * expected.std() / 30**0.5
    assert abs(last.mean() - first.mean()) < 5 * (2 / 30) ** 0.5 * expected.std()
    assert found["filling"].survey.values[:, 1].mean() > 3 * last.mean()
    assert found["filling"].record.faults.startswith("activations: transient, bit error rate 0.003 per inference")
    with pytest.raises(fkeras.InputError, match="faults= and upsets_per_second= are two rates; keep one"):
        fkeras.endurance(network, (x, labels), metric="mispredictions", faults={"weights": 1}, upsets_per_second=1.0)
