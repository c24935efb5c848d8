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
    "fkeras.api": (
        "bit_space",
        "campaign",
        "critical_bits",
        "endurance",
        "injected",
        "load_model",
        "merge",
        "oracle",
        "protect",
        "protection_curve",
        "rank",
        "sensitive_bits",
    ),
    "fkeras.campaigns": (
        "BudgetExceeded",
        "CampaignResult",
        "Endurance",
        "Oracle",
        "ProtectionCurve",
        "Verdict",
        "WorseThanBaseline",
    ),
    "fkeras.errors": (
        "EnvironmentSetupError",
        "FkerasError",
        "IdentityError",
        "InputError",
        "LayoutError",
        "MissingExtraError",
        "ModelError",
        "NotStored",
        "StoreError",
        "UnsupportedError",
    ),
    "fkeras.faults": (
        "AssumedImmune",
        "BitErrorRate",
        "CellLayout",
        "ClusteredUpsets",
        "Exposure",
        "FaultSet",
        "FlipCount",
        "Parity",
        "SECDED",
        "TMR",
    ),
    "fkeras.memory": ("BitAddress", "BitSet", "BitSpace"),
    "fkeras.protection": ("Mask", "read_mask", "wrong_bits"),
    "fkeras.sensitivity": ("Ranking", "RankingQuality", "ranking_quality"),
    "fkeras.statistics": ("Estimate", "leveugle"),
    "fkeras.store": ("Store",),
    "fkeras.study": ("Study",),
}
_MODULES = ("errors", "faults", "hls4ml", "layers", "memory", "metrics", "statistics", "strategies")
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "SECDED",
    "TMR",
    "AssumedImmune",
    "BitAddress",
    "BitErrorRate",
    "BitSet",
    "BitSpace",
    "BudgetExceeded",
    "CampaignResult",
    "CellLayout",
    "ClusteredUpsets",
    "Endurance",
    "EnvironmentSetupError",
    "Estimate",
    "Exposure",
    "FaultSet",
    "FkerasError",
    "FlipCount",
    "IdentityError",
    "InputError",
    "LayoutError",
    "Mask",
    "MissingExtraError",
    "ModelError",
    "NotStored",
    "Oracle",
    "Parity",
    "ProtectionCurve",
    "Ranking",
    "RankingQuality",
    "Store",
    "StoreError",
    "Study",
    "UnsupportedError",
    "Verdict",
    "WorseThanBaseline",
    "__version__",
    "bit_space",
    "campaign",
    "critical_bits",
    "endurance",
    "errors",
    "injected",
    "layers",
    "leveugle",
    "load_model",
    "merge",
    "metrics",
    "oracle",
    "protect",
    "protection_curve",
    "rank",
    "ranking_quality",
    "read_mask",
    "sensitive_bits",
    "strategies",
    "wrong_bits",
]

if TYPE_CHECKING:
    from fkeras import errors, layers, metrics, strategies
    from fkeras.api import (
        bit_space,
        campaign,
        critical_bits,
        endurance,
        injected,
        load_model,
        merge,
        oracle,
        protect,
        protection_curve,
        rank,
        sensitive_bits,
    )
    from fkeras.campaigns import (
        BudgetExceeded,
        CampaignResult,
        Endurance,
        Oracle,
        ProtectionCurve,
        Verdict,
        WorseThanBaseline,
    )
    from fkeras.errors import (
        EnvironmentSetupError,
        FkerasError,
        IdentityError,
        InputError,
        LayoutError,
        MissingExtraError,
        ModelError,
        NotStored,
        StoreError,
        UnsupportedError,
    )
    from fkeras.faults import (
        SECDED,
        TMR,
        AssumedImmune,
        BitErrorRate,
        CellLayout,
        ClusteredUpsets,
        Exposure,
        FaultSet,
        FlipCount,
        Parity,
    )
    from fkeras.memory import BitAddress, BitSet, BitSpace
    from fkeras.protection import Mask, read_mask, wrong_bits
    from fkeras.sensitivity import Ranking, RankingQuality, ranking_quality
    from fkeras.statistics import Estimate, leveugle
    from fkeras.store import Store
    from fkeras.study import Study


def __getattr__(name: str) -> Any:
    if name in _HOME_OF:
        return getattr(importlib.import_module(_HOME_OF[name]), name)
    if name in _MODULES:
        return importlib.import_module(f"fkeras.{name}")
    raise AttributeError(f"module 'fkeras' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
