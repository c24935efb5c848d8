"""The names of the package: for type checkers, and for `__init__.py`, which reads them here."""

from fkeras import (
    errors as errors,
    faults as faults,
    hls4ml as hls4ml,
    layers as layers,
    memory as memory,
    metrics as metrics,
    statistics as statistics,
    strategies as strategies,
)
from fkeras.api import (
    bit_space as bit_space,
    campaign as campaign,
    critical_bits as critical_bits,
    endurance as endurance,
    injected as injected,
    load_model as load_model,
    merge as merge,
    oracle as oracle,
    protect as protect,
    protection_curve as protection_curve,
    protection_front as protection_front,
    rank as rank,
    sensitive_bits as sensitive_bits,
)
from fkeras.campaigns import (
    BudgetExceeded as BudgetExceeded,
    CampaignResult as CampaignResult,
    Endurance as Endurance,
    Oracle as Oracle,
    ProtectionCurve as ProtectionCurve,
    Verdict as Verdict,
    WorseThanBaseline as WorseThanBaseline,
)
from fkeras.errors import (
    EnvironmentSetupError as EnvironmentSetupError,
    FkerasError as FkerasError,
    IdentityError as IdentityError,
    InputError as InputError,
    LayoutError as LayoutError,
    MissingExtraError as MissingExtraError,
    ModelError as ModelError,
    NotStored as NotStored,
    StoreError as StoreError,
    UnsupportedError as UnsupportedError,
)
from fkeras.faults import (
    SECDED as SECDED,
    TMR as TMR,
    AssumedImmune as AssumedImmune,
    BitErrorRate as BitErrorRate,
    BlindScrubbing as BlindScrubbing,
    CellLayout as CellLayout,
    ClusteredUpsets as ClusteredUpsets,
    Exposure as Exposure,
    FaultSet as FaultSet,
    FlipCount as FlipCount,
    KnownWords as KnownWords,
    Parity as Parity,
    RangeCheck as RangeCheck,
    Recoded as Recoded,
    SampleFlips as SampleFlips,
    StuckAt as StuckAt,
    Transient as Transient,
)
from fkeras.memory import (
    BitAddress as BitAddress,
    BitSet as BitSet,
    BitSpace as BitSpace,
)
from fkeras.protection import (
    Mask as Mask,
    read_mask as read_mask,
    read_words as read_words,
    write_words as write_words,
    wrong_bits as wrong_bits,
)
from fkeras.sensitivity import (
    Ranking as Ranking,
    RankingQuality as RankingQuality,
    ranking_quality as ranking_quality,
)
from fkeras.statistics import (
    Estimate as Estimate,
    leveugle as leveugle,
)
from fkeras.store import (
    Store as Store,
)
from fkeras.study import (
    Study as Study,
)

__version__: str
