"""What goes wrong: fault sets, the models that draw them, and what protection absorbs."""

from fkeras.faults.clusters import CellLayout, ClusteredUpsets
from fkeras.faults.fault_models import (
    BitErrorRate,
    Draw,
    Exposure,
    FaultModel,
    FlipCount,
    draw_trial,
    drawn,
    fault_model,
    never_faults,
)
from fkeras.faults.fault_set import FaultSet, Patch
from fkeras.faults.protected import protection
from fkeras.faults.protections import AssumedImmune, Protection
from fkeras.faults.stream import RandomStream, whole_seed
from fkeras.faults.tmr import TMR
from fkeras.faults.upsets import Upsets, trial_upsets
from fkeras.faults.word_checks import KnownWords, RangeCheck, Recoded
from fkeras.faults.word_codes import SECDED, Parity

__all__ = [
    "SECDED",
    "TMR",
    "AssumedImmune",
    "BitErrorRate",
    "CellLayout",
    "ClusteredUpsets",
    "Draw",
    "Exposure",
    "FaultModel",
    "FaultSet",
    "FlipCount",
    "KnownWords",
    "Parity",
    "Patch",
    "Protection",
    "RandomStream",
    "RangeCheck",
    "Recoded",
    "Upsets",
    "draw_trial",
    "drawn",
    "fault_model",
    "never_faults",
    "protection",
    "trial_upsets",
    "whole_seed",
]
