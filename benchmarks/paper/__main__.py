"""Repeat the evaluation of the FKeras paper (section 4) on your own copies of its networks and data.

usage: python -m benchmarks.paper --data FOLDER [--out FOLDER] [sizes]          (or: make paper DATA=FOLDER)

FOLDER holds models/econ_t_{small,medium,large}.h5, models/rn07_cifar10.h5, econ_t_val.npz, hgcal/geometry.npz and
cifar10_test_2000.npz. Whatever was measured is kept in OUT/cache under what it depends on, so that a second run only
draws; delete that folder after changing fkeras itself. The default sizes take about 20 minutes on two cores. The
paper's own take days: --wafers 10000 --wafers-large 10000 --ranking-wafers 9609 --images 1000 --ranking-images 1000
--cifar-share 1 --trials 14000 --trial-wafers 10000 comes as close as files with 19,609 wafers and 2,000 images allow.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.paper.bundle import Bundle
from benchmarks.paper.cases import ECON_T, Sizes, cifar10, econ_t
from benchmarks.paper.design import design
from benchmarks.paper.draw import draw_all
from benchmarks.paper.measure import SEED, Measured, Store, measured, protection_campaigns
from benchmarks.paper.provenance import provenance
from benchmarks.paper.results import results_text


def main() -> None:
    """Measure, draw, write."""
    options = _options()
    sizes = Sizes(**{name: getattr(options, name) for name in Sizes.__dataclass_fields__})
    store = Store(options.out / "cache")
    networks: dict[str, Measured] = {}
    for size in ECON_T:
        case = econ_t(options.data, size, sizes)
        networks[case.title] = measured(case, store)
    case = cifar10(options.data, sizes)
    networks[case.title] = measured(case, store)
    trials, golden = protection_campaigns(networks["ECON-T Medium"], store, sizes.trials, sizes.trial_wafers)
    designs = [design(one, options.resilience) for one in networks.values()]
    bundle = _bundle(networks, trials, sizes)
    bundle.write(options.out / "results.npz")
    draw_all(networks, trials, golden, designs, options.out)
    text = results_text(networks, trials, golden, designs, sizes, options.resilience, bundle.digest[:16])
    (options.out / "RESULTS.md").write_text(text, encoding="utf-8")
    print(f"written: {options.out / 'RESULTS.md'}, figures and results.npz beside it")


def _bundle(networks: dict[str, Measured], trials: dict[str, NDArray[np.float64]], sizes: Sizes) -> Bundle:
    """Everything that the figures show."""
    arrays: dict[str, NDArray[Any]] = {}
    facts: dict[str, Any] = {**provenance(), "sizes": asdict(sizes), "seed": SEED, "networks": {}}
    for title, one in networks.items():
        oracle = one.oracle
        for name in ("bits", "positions", "values", "harmed", "undefined"):
            arrays[f"{title}/oracle/{name}"] = getattr(oracle, name)
        arrays |= {f"{title}/met_after/{name}": found.met_after for name, found in one.discoveries.items()}
        facts["networks"][title] = {
            "metric": oracle.metric,
            "golden": oracle.golden,
            "n_samples": oracle.n_samples,
            "n_bits": oracle.n_bits,
            "layout_digest": oracle.layout_digest,
            "content_digest": oracle.content_digest,
            "engine": oracle.engine,
            "seconds": one.seconds,
            "digests": one.digests,
            "quality": {
                name: {row: [value.low, value.best, value.high] for row, value in quality.rows()}
                for name, quality in one.qualities.items()
            },
        }
    arrays |= {f"protection/{' '.join(level.split())}": values for level, values in trials.items()}
    return Bundle(arrays, json.loads(json.dumps(facts)))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with the models and the data")
    parser.add_argument("--out", type=Path, default=Path("build/paper"), help="where results go (default build/paper)")
    parser.add_argument("--wafers", type=int, default=1000, help="that judge Small and Medium (default 1000)")
    parser.add_argument("--wafers-large", type=int, default=500, help="that judge Large (default 500)")
    parser.add_argument("--ranking-wafers", type=int, default=2000, help="others, to rank with (default 2000)")
    parser.add_argument("--images", type=int, default=100, help="correctly classified, that judge (default 100)")
    parser.add_argument("--ranking-images", type=int, default=400, help="others, to rank with (default 400)")
    parser.add_argument("--cifar-share", type=float, default=0.01, help="share of the words to flip (default 0.01)")
    parser.add_argument("--trials", type=int, default=1000, help="of 960 flips per protection level (default 1000)")
    parser.add_argument("--trial-wafers", type=int, default=500, help="of each trial (default 500)")
    parser.add_argument("--resilience", type=float, default=0.95, help="share of the damage to absorb (default 0.95)")
    parser.add_argument("--all-methods", action="store_true", help="rank CIFAR-10 by the slow methods, too")
    return parser.parse_args()


if __name__ == "__main__":
    main()
