"""What goes wrong: fault sets, the models that draw them, and what protection absorbs."""

from fkeras.faults.blind_scrubbing import BlindScrubbing
from fkeras.faults.clusters import CellLayout, ClusteredUpsets
from fkeras.faults.fault_models import BitErrorRate, Draw, Exposure, FaultModel, FlipCount, drawn
from fkeras.faults.fault_set import FaultSet, Patch, SampleFlips
from fkeras.faults.memories import (
    Faults,
    PerMemory,
    StuckAt,
    Transient,
    draw_trial,
    fault_model,
    never_faults,
    placed,
)
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
    "BlindScrubbing",
    "CellLayout",
    "ClusteredUpsets",
    "Draw",
    "Exposure",
    "FaultModel",
    "FaultSet",
    "Faults",
    "FlipCount",
    "KnownWords",
    "Parity",
    "Patch",
    "PerMemory",
    "Protection",
    "RandomStream",
    "RangeCheck",
    "Recoded",
    "SampleFlips",
    "StuckAt",
    "Transient",
    "Upsets",
    "draw_trial",
    "drawn",
    "fault_model",
    "never_faults",
    "placed",
    "protection",
    "trial_upsets",
    "whole_seed",
]
