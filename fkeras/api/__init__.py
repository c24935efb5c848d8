"""The one place that puts a backend, metrics, faults and campaigns together."""

from fkeras.api.choosing import protect, rank
from fkeras.api.measuring import campaign, critical_bits, endurance, oracle, protection_curve, sensitive_bits
from fkeras.api.models import bit_space, injected, load_model
from fkeras.api.results import merge
from fkeras.api.runs import engine_identity, on_workers, start_packed, start_run

__all__ = [
    "bit_space",
    "campaign",
    "critical_bits",
    "endurance",
    "engine_identity",
    "injected",
    "load_model",
    "merge",
    "on_workers",
    "oracle",
    "protect",
    "protection_curve",
    "rank",
    "sensitive_bits",
    "start_packed",
    "start_run",
]
