"""fkeras: how many bit flips does a quantized neural network survive, and which bits must be protected?

The public names are loaded on first use: `import fkeras` imports neither TensorFlow nor numba nor matplotlib.
It asks TensorFlow for the legacy Keras that QKeras is made for, unless the environment already says otherwise.
"""

from __future__ import annotations

import importlib
import os
import sys
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if "tensorflow" not in sys.modules:
    os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")

_HOMES = {
    "fkeras.api": ("bit_space", "campaign", "injected", "load_model", "oracle", "rank", "sensitive_bits"),
    "fkeras.campaigns": ("BudgetExceeded", "CampaignResult", "Oracle", "Verdict"),
    "fkeras.errors": (
        "EnvironmentSetupError",
        "FkerasError",
        "InputError",
        "LayoutError",
        "MissingExtraError",
        "ModelError",
        "UnsupportedError",
    ),
    "fkeras.faults": ("AssumedImmune", "BitErrorRate", "Exposure", "FaultSet", "FlipCount", "TMR"),
    "fkeras.memory": ("BitAddress", "BitSet", "BitSpace"),
    "fkeras.sensitivity": ("Ranking", "RankingQuality", "ranking_quality"),
    "fkeras.statistics": ("Estimate", "leveugle"),
}
_MODULES = ("errors", "faults", "layers", "memory", "metrics", "statistics", "strategies")
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "TMR",
    "AssumedImmune",
    "BitAddress",
    "BitErrorRate",
    "BitSet",
    "BitSpace",
    "BudgetExceeded",
    "CampaignResult",
    "EnvironmentSetupError",
    "Estimate",
    "Exposure",
    "FaultSet",
    "FkerasError",
    "FlipCount",
    "InputError",
    "LayoutError",
    "MissingExtraError",
    "ModelError",
    "Oracle",
    "Ranking",
    "RankingQuality",
    "UnsupportedError",
    "Verdict",
    "__version__",
    "bit_space",
    "campaign",
    "errors",
    "injected",
    "layers",
    "leveugle",
    "load_model",
    "metrics",
    "oracle",
    "rank",
    "ranking_quality",
    "sensitive_bits",
    "strategies",
]

if TYPE_CHECKING:
    from fkeras import errors, layers, metrics, strategies
    from fkeras.api import bit_space, campaign, injected, load_model, oracle, rank, sensitive_bits
    from fkeras.campaigns import BudgetExceeded, CampaignResult, Oracle, Verdict
    from fkeras.errors import (
        EnvironmentSetupError,
        FkerasError,
        InputError,
        LayoutError,
        MissingExtraError,
        ModelError,
        UnsupportedError,
    )
    from fkeras.faults import TMR, AssumedImmune, BitErrorRate, Exposure, FaultSet, FlipCount
    from fkeras.memory import BitAddress, BitSet, BitSpace
    from fkeras.sensitivity import Ranking, RankingQuality, ranking_quality
    from fkeras.statistics import Estimate, leveugle


def __getattr__(name: str) -> Any:
    if name in _HOME_OF:
        return getattr(importlib.import_module(_HOME_OF[name]), name)
    if name in _MODULES:
        return importlib.import_module(f"fkeras.{name}")
    raise AttributeError(f"module 'fkeras' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
