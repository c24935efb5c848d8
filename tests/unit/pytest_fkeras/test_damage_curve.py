"""The damage curve of a budget: a few draws of shares of its own fault model."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from fkeras.faults import BitErrorRate, Exposure, FlipCount, StuckAt, Transient, fault_model
from fkeras.statistics import Estimate
from pytest_fkeras.explain import DRAWS, damage_curve


class Result(dict):
    def broken(self, limits):
        return np.zeros(DRAWS, bool)


class Budget:
    """What a curve asks a campaign, with the fault models that it was asked for."""

    def __init__(self, model, n_bits=200):
        values, golden = np.arange(float(DRAWS)), SimpleNamespace(value=0.0)
        estimate = SimpleNamespace(estimate=Estimate(0, 0, 0, 1, ""), golden=golden, values=values)
        protection = SimpleNamespace(bits=(), is_perfect=True)
        setting = SimpleNamespace(fault_model=model, space=range(n_bits), protection=protection, seed=0, area="")
        self.result = SimpleNamespace(setting=setting, by_metric={"mse": estimate})
        self.requirement, self.asked, self._estimate = None, [], estimate

    def under(self, model, trials):
        self.asked.append(model)
        return Result(mse=self._estimate)


@pytest.mark.parametrize(
    ("model", "asked"),
    [
        (FlipCount(3, exposure_seconds=9), [FlipCount(n, exposure_seconds=9) for n in (1, 2, 3)]),
        (FlipCount(100), [FlipCount(n) for n in (1, 3, 6, 16, 40, 100)]),
        (
            Exposure(10.0, upsets_per_second=4),
            [Exposure(float(share) * 10.0, upsets_per_second=4) for share in np.geomspace(1 / 40, 1, 6)],
        ),
        (  # what adds up is less, and transients are as many
            fault_model({"weights": Exposure(10.0, upsets_per_second=4), "activations": Transient(0.1)}),
            [
                fault_model({"weights": Exposure(float(s) * 10.0, upsets_per_second=4), "activations": Transient(0.1)})
                for s in np.geomspace(1 / 40, 1, 6)
            ],
        ),
    ],
)
def test_a_curve_asks_for_shares_of_the_budgets_own_model(model, asked):
    budget = Budget(model)
    record = damage_curve(budget)
    assert budget.asked == asked
    sizes = [getattr(model, "n_faults", None) or model.exposure_seconds for model in asked]
    assert [point.look for point in record.curve] == sizes
    assert {(point.low, point.median, point.high) for point in record.curve} == {(1, 4, 8)}, "of the draws themselves"


OTHERS = [
    fault_model({"weights": Exposure(9.0, 1.0), "biases": Exposure(8.0, 1.0)}),
    fault_model({"weights": Exposure(9.0, 1.0), "biases": FlipCount(3)}),
    fault_model({"weights": StuckAt(1, 3), "activations": Transient(0.1)}),
]


@pytest.mark.parametrize("model", [FlipCount(0), BitErrorRate(0.1), Exposure(0.1, upsets_per_second=4), *OTHERS])
def test_other_models_have_no_curve(model):
    assert damage_curve(Budget(model)) is None
