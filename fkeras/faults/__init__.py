"""What goes wrong: fault sets, the models that draw them, and what protection absorbs."""

from fkeras.faults.fault_model import (
    BitErrorRate,
    Draw,
    Exposure,
    FaultModel,
    FlipCount,
    draw_trial,
    fault_model,
    never_faults,
)
from fkeras.faults.fault_set import FaultSet, Patch
from fkeras.faults.protection import TMR, AssumedImmune, Protection, protection
from fkeras.faults.stream import RandomStream, whole_seed

__all__ = [
    "TMR",
    "AssumedImmune",
    "BitErrorRate",
    "Draw",
    "Exposure",
    "FaultModel",
    "FaultSet",
    "FlipCount",
    "Patch",
    "Protection",
    "RandomStream",
    "draw_trial",
    "fault_model",
    "never_faults",
    "protection",
    "whole_seed",
]
