"""Damage against the number of faults, for the pages that show it: a few draws of fewer faults of the budget's kind."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fkeras.campaigns.endurance import EnduranceRecord
    from pytest_fkeras.campaign import FaultCampaign

DRAWS, LOOKS = 10, 6
"""Their product is what a curve costs, in evaluations of the data set: less than a campaign, and stored like one."""


def damage_curve(campaign: FaultCampaign) -> EnduranceRecord | None:
    """The metric under 1 fault, and more and more, up to the budget's number or time; None for other fault models."""
    import numpy as np

    from fkeras.campaigns.endurance import EndurancePoint, EnduranceRecord
    from fkeras.faults import Exposure, FlipCount
    from fkeras.report.record import protection_text
    from fkeras.statistics.proportions import clopper_pearson

    setting, limits = campaign.result.setting, () if campaign.requirement is None else campaign.requirement.limits
    model, n_bits = setting.fault_model, len(setting.space)
    if isinstance(model, FlipCount) and model.n_faults:
        unit, shares = "flips", np.rint(np.geomspace(1, model.n_faults, LOOKS)) / model.n_faults
    elif isinstance(model, Exposure) and model.mean_upsets(n_bits) >= 1:
        unit, shares = "seconds", np.geomspace(1 / model.mean_upsets(n_bits), 1, LOOKS)
    else:
        return None
    name, curve = next(iter(campaign.result.by_metric)), []
    for share in np.unique(shares).tolist():
        fewer = model.scaled(share)
        look = float(fewer.n_faults if isinstance(fewer, FlipCount) else fewer.exposure_seconds)
        result = campaign.under(fewer, DRAWS)
        failed = int(result.broken(limits).sum())
        mean, failing = result[name].estimate, clopper_pearson(failed, DRAWS)
        curve.append(EndurancePoint(look, DRAWS, mean.best, mean.low, mean.high, failed, failing.low, failing.high))
    return EnduranceRecord(
        name,
        unit,
        float(campaign.result.by_metric[name].golden.value),
        f"the mean of {DRAWS} draws at each of {len(curve)} numbers of {unit}",
        tuple(curve),
        faults=model.describe(n_bits),
        protection=protection_text(setting),
        seed=int(setting.seed),
    )
