"""Damage against the number of faults, for the pages that show it: a few histories of the budget's own faults."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fkeras.report.findings import EnduranceRecord
    from pytest_fkeras.campaign import FaultCampaign

HISTORIES, LOOKS = 10, 6
"""Their product is what a curve costs, in evaluations of the data set: less than a campaign."""


def damage_curve(campaign: FaultCampaign) -> EnduranceRecord | None:
    """The metric as faults add up to the budget's number or time; None where they do not add up one after another."""
    import numpy as np

    from fkeras.campaigns.accumulation import Accumulation, InTime, OneByOne
    from fkeras.campaigns.histories import measure_endurance
    from fkeras.campaigns.progress import silent
    from fkeras.faults import Exposure, FlipCount
    from fkeras.report.findings import EnduranceRecord
    from fkeras.report.plain import restored

    setting = campaign.result.setting
    model = setting.fault_model
    accumulation: Accumulation
    if isinstance(model, FlipCount) and model.n_faults and model.exposure_seconds is None:
        accumulation = OneByOne()
        looks = np.unique(np.rint(np.geomspace(1, model.n_faults, LOOKS)))
    elif isinstance(model, Exposure) and model.mean_upsets(len(setting.space)) >= 1:
        rate = Exposure(1.0, model.upsets_per_bit_second, model.upsets_per_second)
        accumulation = InTime(rate)
        looks = np.geomspace(1 / model.mean_upsets(len(setting.space)), 1, LOOKS) * model.exposure_seconds
    else:
        return None
    found = measure_endurance(
        campaign.run,
        next(iter(campaign.result.by_metric)),
        accumulation,
        setting.protection,
        setting.seed,
        None,
        silent,
        looks=looks,
        trials=HISTORIES,
    )
    record: EnduranceRecord = restored(EnduranceRecord, found.to_dict())
    return record
