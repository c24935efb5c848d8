"""How much faults matter: oracles, budget campaigns, requirements and verdicts."""

from fkeras.campaigns.blame import Culprit, most_damaging
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
from fkeras.campaigns.limits import Limit, parse_limit
from fkeras.campaigns.oracle import Oracle, combined, measure_oracle
from fkeras.campaigns.verdict import BudgetExceeded, Outcome, Requirement, Verdict, judge

__all__ = [
    "MAX_TRIALS",
    "BudgetExceeded",
    "CampaignResult",
    "Culprit",
    "FixedTrials",
    "Limit",
    "MetricTrials",
    "Oracle",
    "Outcome",
    "Requirement",
    "Setting",
    "UntilDecided",
    "Verdict",
    "combined",
    "judge",
    "measure_oracle",
    "most_damaging",
    "named_metrics",
    "parse_limit",
    "run_campaign",
]
