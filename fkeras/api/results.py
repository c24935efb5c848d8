"""Where results are kept, and how those of several stores add up."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from fkeras.api.runs import engine_identity, engine_parts
from fkeras.campaigns.shares import Share
from fkeras.errors import IdentityError, InputError, NotStored
from fkeras.keeping import Keeper, Subject, metric_identity
from fkeras.memory import BitSpace
from fkeras.metrics.metric import Metric
from fkeras.store import Merged, Store, StoreLike, digest_of, opened
from fkeras.store import merge as merge_stores


@contextmanager
def keeping(
    store: StoreLike, model: Any, space: BitSpace, data: Any, engine: str, share: Share | None = None
) -> Iterator[Keeper | None]:
    """Where results on a model and data are kept; None without a store, or when the model has no identity.

    What was wrong with the store is said as NotStored warnings. InputError for a share that could not be kept.
    """
    engine_parts(engine)
    if store is None:
        if share is not None:
            raise InputError(f"shard='{share}' needs store=: that is where the shares are put together")
        yield None
        return
    from fkeras.backends.tf.identity import model_identity

    kept = opened(store)
    assert kept is not None
    keeper, n_said = None, len(kept.notices)
    try:
        keeper = Keeper(kept, Subject(model_identity(model), space, digest_of(data), engine_identity(engine)))
    except IdentityError as error:
        if share is not None:
            raise
        kept.notice(f"not stored: {error}")
    yield keeper
    for notice in kept.notices[n_said:]:
        warnings.warn(notice, NotStored, stacklevel=4)


def merge(sources: Sequence[str | os.PathLike[str] | Store], into: str | os.PathLike[str] | Store) -> list[Merged]:
    """Add the results of stores to another: equal identities add up, others stay side by side.

    sources: stores, or single results (KIND/DIGEST folders of one); they are only read. Where each source has
    one result of a kind, as shards have, those must have one identity: IdentityError names what differs. Merging
    again changes nothing.
    """
    target = into if isinstance(into, Store) else Store(into)
    n_said = len(target.notices)
    merged = merge_stores(sources, target)
    for notice in target.notices[n_said:]:
        warnings.warn(notice, NotStored, stacklevel=2)
    return merged


def require_identity(keeper: Keeper | None, share: Share | None, metrics: Iterable[Metric]) -> None:
    """IdentityError when a share is asked for and could not be stored."""
    if keeper is not None and share is not None:
        for metric in metrics:
            metric_identity(metric)


def writer_name(share: Share | None) -> str:
    return "" if share is None else f"-{share.number}of{share.of}"
