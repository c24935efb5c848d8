"""Oracles, rankings, baselines and campaigns of a case, each kept on disk under what it depends on."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import fkeras
from benchmarks.paper.bundle import Bundle, oracle_bundle, oracle_of
from benchmarks.paper.cases import Case, digest
from benchmarks.paper.discovery import (
    Discovery,
    discovered_by_flips,
    discovered_by_implication,
    discovered_by_ranking,
)
from benchmarks.paper.provenance import provenance
from fkeras.campaigns import Oracle
from fkeras.sensitivity.baselines import BinFI, StatFI, binfi, statfi

SEED = 0


@dataclass(frozen=True)
class Store:
    """A folder of bundles by identity: what was measured before is not measured again."""

    folder: Path

    def get(self, kind: str, identity: dict[str, Any], measure: Callable[[], Bundle]) -> Bundle:
        """The bundle of this identity, measured if it is not there."""
        text = json.dumps({"kind": kind, **identity}, sort_keys=True)
        path = self.folder / f"{kind}-{hashlib.sha256(text.encode()).hexdigest()[:16]}.npz"
        if not path.is_file():
            started = time.perf_counter()
            found = measure()
            seconds = time.perf_counter() - started
            facts = {**found.facts, **provenance(), "identity": identity, "seconds": seconds}
            Bundle(found.arrays, facts).write(path)
            print(f"{kind:<10} {identity.get('title', '')} {identity.get('method', '')} {seconds:.1f} s", flush=True)
        return Bundle.read(path)


@dataclass(frozen=True)
class Measured:
    """Everything about one network."""

    case: Case
    oracle: Oracle
    rankings: dict[str, fkeras.Ranking]
    seconds: dict[str, float]
    qualities: dict[str, fkeras.RankingQuality]
    binfi: BinFI
    statfi: dict[str, StatFI]
    discoveries: dict[str, Discovery]
    digests: dict[str, str]

    @property
    def damage(self) -> NDArray[np.float64]:
        """|delta| of the judged bits; mispredictions as a number of images."""
        size = np.abs(self.oracle.delta)
        return size * self.oracle.n_samples if self.oracle.classification else size


def measured(case: Case, store: Store) -> Measured:
    """Measure or look up."""
    about = {"title": case.title, "content": case.space.content_digest, "metric": case.metric_key}
    stored = store.get(
        "oracle",
        {**about, "data": digest(*case.data), "bits": digest(case.bits), "groups": case.groups},
        lambda: oracle_bundle(
            fkeras.oracle(
                case.model,
                case.data,
                metric=case.metric,
                bits=case.bits,
                space=case.space,
                sample_groups=case.groups,
            ),
            {},
        ),
    )
    oracle, digests = oracle_of(stored), {"oracle": stored.digest}
    rankings, seconds = {}, {"oracle": float(stored.facts["seconds"])}
    for method in case.methods:
        identity = {**about, "data": digest(*case.ranking_data), "method": method, "seed": SEED}
        bundle = store.get("ranking", identity, lambda method=method: _ranked(case, method))
        rankings[method] = fkeras.Ranking.from_scores(bundle.arrays["scores"], case.space, method)
        seconds[method], digests[method] = float(bundle.facts["seconds"]), bundle.digest
    qualities = {name: fkeras.ranking_quality(one, oracle, n_bootstrap=100) for name, one in rankings.items()}
    searched = binfi(case.judged_space, oracle.sensitive)
    drawn = {
        "unaware": statfi(case.space, seed=SEED),
        "aware": statfi(case.space, data_aware=True, seed=SEED),
    }
    return Measured(
        case,
        oracle,
        rankings,
        seconds,
        qualities,
        searched,
        drawn,
        _discoveries(case, oracle, rankings, searched, drawn),
        digests,
    )


def _ranked(case: Case, method: str) -> Bundle:
    ranking = fkeras.rank(case.model, case.ranking_data, method=method, metric=case.metric, seed=SEED, space=case.space)
    return Bundle({"scores": ranking.scores}, {})


def _discoveries(
    case: Case, oracle: Oracle, rankings: dict[str, fkeras.Ranking], searched: BinFI, drawn: dict[str, StatFI]
) -> dict[str, Discovery]:
    judged, n = case.judged_space, oracle.bits.size
    best = np.empty(n)
    best[np.argsort(-np.abs(oracle.delta), kind="stable")] = np.arange(1.0, n + 1)
    found = {"oracle": Discovery("oracle", best)}
    found |= {name: discovered_by_ranking(one, oracle.bits) for name, one in rankings.items()}
    found["BinFI actual"] = discovered_by_flips("BinFI actual", searched.probes, n)
    found["BinFI actual + implied"] = discovered_by_implication("BinFI actual + implied", searched, judged)
    for name, one in drawn.items():
        label = f"StatFI data-{name}"
        judged_flips = one.sampled[np.isin(one.sampled, oracle.bits)]
        found[label] = discovered_by_flips(label, np.searchsorted(oracle.bits, judged_flips), n)
    return found


def protection_campaigns(
    found: Measured, store: Store, trials: int, n_samples: int, n_faults: int = 960
) -> tuple[dict[str, NDArray[np.float64]], float]:
    """Fig. 13: the metric in each trial of every protection level, and its golden value on the same samples."""
    case, oracle = found.case, found.oracle
    n_bits, n_sensitive = len(case.space), int(oracle.sensitive.sum())
    worst_first = oracle.order[np.isin(oracle.order, oracle.bits[oracle.sensitive])]
    share = n_sensitive / n_bits
    levels = {
        "0 %": worst_first[:0],
        f"{50 * share:.1f} %\nupper half of\nsensitive": worst_first[: n_sensitive // 2],
        f"{100 * share:.1f} %\nall sensitive": worst_first,
    }
    for paper_share in (0.32, 0.635):
        size = round(paper_share * n_bits)
        levels[f"{100 * paper_share:g} %\nlargest change"] = oracle.order[:size]
        levels[f"{100 * paper_share:g} %\n{case.default}"] = found.rankings[case.default].order[:size]
    levels["100 %"] = oracle.order
    data = case.data[0][:n_samples], case.data[1][:n_samples]
    values, golden = {}, np.nan
    for label, bits in levels.items():
        chosen = np.sort(bits)
        identity = {
            "title": case.title,
            "method": label.replace("\n", " "),
            "content": case.space.content_digest,
            "data": digest(*data),
            "metric": case.metric_key,
            "protected": digest(chosen),
            "faults": n_faults,
            "trials": trials,
            "seed": SEED,
        }
        bundle = store.get("campaign", identity, lambda chosen=chosen: _campaign(case, data, chosen, trials, n_faults))
        values[label], golden = bundle.arrays["values"], float(bundle.facts["golden"])
    return values, golden


def _campaign(case: Case, data: Any, chosen: NDArray[np.int64], trials: int, n_faults: int) -> Bundle:
    result = fkeras.campaign(
        case.model,
        data,
        metric=case.metric,
        faults=n_faults,
        trials=trials,
        protected=chosen,
        seed=SEED,
        space=case.space,
    )
    return Bundle({"values": result.values}, {"golden": result.golden.value})
