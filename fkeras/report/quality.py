"""Rankings' quality as a table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from fkeras.errors import InputError
from fkeras.statistics import Estimate

if TYPE_CHECKING:
    from fkeras.sensitivity import RankingQuality


def quality_table(qualities: Sequence[RankingQuality], tablefmt: str = "simple") -> str:
    """One row per ranking: rho, area, flips for the tops, rho of each bit position, each with its interval.

    tablefmt: a format of tabulate's ("simple", "github", "latex", ...). The last row is the noise ceiling, where the
    oracle kept groups of samples. InputError without rankings, or for rankings judged by different bits.
    """
    from tabulate import tabulate

    if not qualities:
        raise InputError("no quality was given; pass one or more results of fkeras.ranking_quality")
    names = [name for name, _ in qualities[0].rows()]
    if any([name for name, _ in quality.rows()] != names for quality in qualities):
        raise InputError("these rankings were judged by bits of different words; make one table per oracle")
    rows = [[quality.method, *(_cell(name, value) for name, value in quality.rows())] for quality in qualities]
    if qualities[0].ceiling is not None:
        rows.append(["noise ceiling", f"{qualities[0].ceiling:.3f}", *[""] * (len(names) - 1)])
    return str(tabulate(rows, ("ranking", *names), tablefmt=tablefmt, disable_numparse=True))


def _cell(name: str, value: Estimate) -> str:
    if name.startswith("top "):
        text = f"{100 * value.best:.1f} %"
        return text if value.low == value.high else f"{text} [{100 * value.low:.1f}, {100 * value.high:.1f}]"
    text = f"{value.best:.3f}"
    return text if value.low == value.high else f"{text} [{value.low:.3f}, {value.high:.3f}]"
