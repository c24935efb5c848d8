"""How much faults matter: oracles, budget campaigns, requirements and verdicts."""

from fkeras.campaigns.budget import (
    MAX_TRIALS,
    CampaignResult,
    FixedTrials,
    MetricTrials,
    Setting,
    UntilDecided,
    named_metrics,
    run_campaign,
)
from fkeras.campaigns.comparing import compare
from fkeras.campaigns.comparison import Comparison, WorseThanBaseline
from fkeras.campaigns.culprits import Culprit, most_damaging
from fkeras.campaigns.endurance import Endurance
from fkeras.campaigns.limits import Limit, parse_limit
from fkeras.campaigns.measured_campaign import BudgetIdentity, MeasuredCampaign
from fkeras.campaigns.oracle import Oracle, combined, measure_oracle
from fkeras.campaigns.protection_curve import ProtectionCurve
from fkeras.campaigns.shrink import MinimalFaults, minimal_faults
from fkeras.campaigns.verdict import BudgetExceeded, Outcome, Requirement, Verdict, judge, required

__all__ = [
    "MAX_TRIALS",
    "BudgetExceeded",
    "BudgetIdentity",
    "CampaignResult",
    "Comparison",
    "Culprit",
    "Endurance",
    "FixedTrials",
    "Limit",
    "MeasuredCampaign",
    "MetricTrials",
    "MinimalFaults",
    "Oracle",
    "Outcome",
    "ProtectionCurve",
    "Requirement",
    "Setting",
    "UntilDecided",
    "Verdict",
    "WorseThanBaseline",
    "combined",
    "compare",
    "judge",
    "measure_oracle",
    "minimal_faults",
    "most_damaging",
    "named_metrics",
    "parse_limit",
    "required",
    "run_campaign",
]
