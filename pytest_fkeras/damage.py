"""Damage against the number of faults, for the pages that show it: a few draws of fewer faults of the budget's kind."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fkeras.faults import FaultModel
    from fkeras.report.findings import EnduranceRecord
    from pytest_fkeras.campaign import FaultCampaign

DRAWS, LOOKS = 10, 6
"""Their product is what a curve costs, in evaluations of the data set: less than a campaign, and stored like one."""


def damage_curve(campaign: FaultCampaign) -> EnduranceRecord | None:
    """The metric under 1 fault, and more and more, up to the budget's number or time; None for other fault models."""
    import numpy as np

    from fkeras.faults import Exposure, FlipCount
    from fkeras.report.findings import EndurancePoint, EnduranceRecord
    from fkeras.report.record import protection_text
    from fkeras.statistics.proportions import clopper_pearson

    setting, limits = campaign.result.setting, () if campaign.requirement is None else campaign.requirement.limits
    model = setting.fault_model
    models: dict[float, FaultModel]
    if isinstance(model, FlipCount) and model.n_faults:
        looks = np.unique(np.rint(np.geomspace(1, model.n_faults, LOOKS)))
        models = {float(look): replace(model, n_faults=int(look)) for look in looks}
    elif isinstance(model, Exposure) and model.mean_upsets(len(setting.space)) >= 1:
        shares = np.geomspace(1 / model.mean_upsets(len(setting.space)), 1, LOOKS)
        seconds = [float(share * model.exposure_seconds) for share in shares]
        models = {look: replace(model, exposure_seconds=look) for look in seconds}
    else:
        return None
    name, curve = next(iter(campaign.result.by_metric)), []
    for look, one in models.items():
        found = campaign.under(one, DRAWS)
        failed = int(found.broken(limits).sum())
        mean, share = found[name].estimate, clopper_pearson(failed, DRAWS)
        curve.append(EndurancePoint(look, DRAWS, mean.best, mean.low, mean.high, failed, share.low, share.high))
    unit = "flips" if isinstance(model, FlipCount) else "seconds"
    return EnduranceRecord(
        name,
        unit,
        float(campaign.result.by_metric[name].golden.value),
        f"the mean of {DRAWS} draws at each of {len(curve)} numbers of {unit}",
        tuple(curve),
        faults=model.describe(len(setting.space)),
        protection=protection_text(setting),
        seed=int(setting.seed),
    )
