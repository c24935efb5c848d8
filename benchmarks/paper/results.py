"""RESULTS.md: each figure with the paper's number beside ours, and why they differ."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tabulate import tabulate

from benchmarks.paper import published
from benchmarks.paper.cases import Sizes
from benchmarks.paper.design import Design
from benchmarks.paper.measure import Measured
from benchmarks.paper.provenance import provenance
from fkeras.report.quality import quality_table

NONE = "-"


def results_text(
    networks: dict[str, Measured],
    trials: dict[str, NDArray[np.float64]],
    golden: float,
    designs: Sequence[Design],
    sizes: Sizes,
    resilience: float,
    bundle: str,
) -> str:
    """The whole page."""
    medium = networks["ECON-T Medium"]
    about = provenance()
    versions = ", ".join(f"{name} {number}" for name, number in about["versions"].items())
    parts = [
        "# The paper's evaluation, repeated",
        "Section 4 of the FKeras paper (Weng et al.), run with `make paper` on the networks and data that the user "
        "names. Nothing here is the authors' data: the three ECON-T networks have the paper's topologies but were "
        "trained again, on other wafers; the CIFAR-10 network has its published weights, but its test images were "
        "decoded from JPEG. **Topologies and bit counts can be compared with the paper, values only in kind.**",
        f"{about['date']}; {about['machine']} (shared with other work, so that times are rough); Python "
        f"{about['python']}; {versions}. Results bundle `results.npz` (its facts: `results.json`), digest `{bundle}`.",
        "## What was measured",
        _table(
            ("network", "bits", "bits flipped, each alone", "judged by", "ranked with"),
            map(_measured, networks.values()),
        ),
        f"Judges and rankings never share samples. Fig. 13: {sizes.trials} trials per level on "
        f"{min(sizes.trial_wafers, medium.oracle.n_samples):,} wafers. The paper used 20,000 wafers, 8,313 images and "
        "14,000 trials.",
        _sampled_note(networks),
        "## Fig. 4: where the damage is (ECON-T Medium)",
        "![every bit](fig04_heatmap.png)\n\n![the first 100 words](fig04_heatmap_first_100.png)",
        _table(
            ("ECON-T Medium", "paper", "here"),
            [
                ("golden EMD", "1.10", f"{medium.oracle.golden:.3f} +- {medium.oracle.golden_standard_error:.3f}"),
                ("sensitive bits", "63.5 %", _percent(medium.oracle.sensitive.mean())),
                ("bits that change anything", "63.5 % (4.2.3)", _percent(medium.oracle.changed.mean())),
                ("sum of the absolute changes", "57.37", f"{medium.damage.sum():.2f}"),
                ("of which most significant bits", "40.91 (71.3 %)", _msb(medium)),
            ],
        ),
        "Our network was trained again, on other wafers, and here two neighbouring cells are a distance of 2 apart: "
        "the golden EMD is larger, and so are the changes. The paper calls a bit sensitive when the mean EMD under its "
        "flip exceeds the golden one, and in another place when it changes at all; here the two differ, because many "
        "flips make the mean slightly better.",
        "## Fig. 5: measured against predicted, by bit position (ECON-T Medium)",
        "![scatter](fig05_scatter.png)",
        f"The paper ranks within a position and puts all top bits first; `{medium.case.default}` mixes positions. The "
        "paper gives no numbers.",
        "## Fig. 6: Spearman's rho",
        "![quality](fig06_quality.png)",
        "Over all bits and by bit position; in brackets the 95 % bootstrap interval over groups of the judge's "
        "samples. The paper gives these in a figure only; its text says that random is near zero and the Hessian the "
        "best, closely followed by the gradient.",
        *(_quality(one) for one in networks.values()),
        "## Figs. 7 and 8: damage met by the flips spent",
        "![rankings](fig07_damage.png)\n\n![baselines](fig08_damage_baselines.png)",
        _table(("network", "search", "flips", "sensitive bits missed", "paper"), _baselines(networks.values())),
        "BinFI's flips and misses depend on how monotone the words are: it looks for one boundary per word, and a bit "
        "whose flip happens to lower the mean stops it. Where every bit is sensitive, as in the paper's ECON-T Small, "
        "it misses none. StatFI (margin 1 %, t = 2.58) leaves a share of the bits unseen that depends on the sizes of "
        f"the tensors alone: {_unseen(networks['ECON-T Small'])} on ECON-T Small, in agreement with the paper, whose "
        "bits are all sensitive. Here the unseen low bits are less often sensitive, so that data-aware misses fewer.",
        "## Figs. 9 and 10: flips until the top of the sensitive bits is known",
        "![rankings](fig09_top.png)\n\n![baselines](fig10_top_baselines.png)",
        _table(("network", "search", "top 1 %", "top 10 %", "paper, top 1 %"), _tops(networks.values())),
        "Shares of all bits; 'never' means that the search misses at least one of them, which the paper plots as 0. "
        "The measure is strict: one overlooked bit sets the number, so that a ranking that is better by area (above) "
        "can still need more flips for some share. Which of the paper's rankings comes first depends on the weights, "
        "in the paper as here.",
        "## Figs. 11 and 12: sensitive bits by network and by position",
        "![by network](fig11_sensitive_by_model.png)\n\n![by position](fig12_sensitive_by_position.png)",
        _table(
            ("network", "bits", "sensitive, paper", "sensitive, here", "golden, paper", "golden, here"),
            [
                (
                    title,
                    f"{len(one.case.space):,}",
                    f"{published.SENSITIVE_PERCENT[title]:g} %",
                    _percent(one.oracle.sensitive.mean()),
                    published.GOLDEN.get(title, NONE),
                    _golden(design),
                )
                for (title, one), design in zip(networks.items(), designs, strict=True)
            ],
        ),
        "In the paper the share falls steeply with size, to 6.55 %. It counts the flips that raise the mean error, and "
        "whether a small change raises or lowers it depends on the weights: other weights, another share. For the "
        "images, a bit is sensitive when it breaks at least one of the judge's; with fewer images than the paper's "
        "8,313, fewer bits do.",
        "## Fig. 13: 960 flips at once (ECON-T Medium)",
        "![protection](fig13_protection.png)",
        _table(
            ("protected", "mean EMD", "worst EMD", "trials no worse than golden"),
            [
                (
                    label.replace("\n", " "),
                    f"{values.mean():.3f}",
                    f"{values.max():.3f}",
                    _percent((values <= golden * (1 + 1e-6)).mean()),
                )
                for label, values in trials.items()
            ],
        ),
        f"Golden EMD on these wafers: {golden:.3f}. The paper reports that "
        f"{published.UNHARMED_WITHOUT_PROTECTION} of the errors are absent without protection, and that protecting all "
        "sensitive bits prevents all errors. 'Sensitive' bits are those whose flip, alone, raises the mean; 'largest "
        "change' protects as many bits as the paper did, by the size of the measured change in either direction, and "
        f"`{medium.case.default}` by our ranking, made from other wafers. A flip that lowers the mean a little when it "
        "comes alone can raise it in the company of hundreds: protection should count changes in both directions. In "
        "the paper's network, whose other bits were found to change nothing at all, the two rules are one.",
        "## The design space",
        "![design space](design_space.png)",
        f"Resilience {100 * resilience:g} %: the protected bits absorb that share of all single-flip damage. "
        "'If known' protects by the measured damage, 'ranked' in the order of our ranking, made from other samples.",
        _table(
            (
                "network",
                "bits",
                "golden error",
                "sensitive",
                "TMR bits, if known",
                "overhead",
                "TMR bits, ranked",
                "overhead",
            ),
            [
                (
                    one.name,
                    f"{one.n_bits:,}",
                    _golden(one),
                    _percent(one.sensitive_share),
                    f"{one.known:,}",
                    _percent(one.overhead(one.known)),
                    f"{one.ranked:,}",
                    _percent(one.overhead(one.ranked)),
                )
                for one in designs
            ],
        ),
        "## Time",
        "Seconds of wall clock, model loaded, everything else included.",
        _times(networks),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _measured(one: Measured) -> tuple[str, ...]:
    case, oracle = one.case, one.oracle
    what = "correctly classified images" if oracle.classification else "wafers"
    unit = "images" if oracle.classification else "wafers"
    flipped = f"{oracle.bits.size:,}" + (
        " (random words, the same share of every tensor)" if case.sampled else " (all)"
    )
    return (
        case.title,
        f"{len(case.space):,}",
        flipped,
        f"{oracle.n_samples:,} {what}",
        f"{len(case.ranking_data[0]):,} {unit}",
    )


def _sampled_note(networks: dict[str, Measured]) -> str:
    sampled = [title for title, one in networks.items() if one.case.sampled]
    if not sampled:
        return ""
    return (
        f"For {', '.join(sampled)} only a sample of words was flipped, whole words drawn at the same rate from every "
        "tensor, so that every tensor and bit position is represented in proportion. Shares and curves are over that "
        "sample; numbers of bits in the design space are scaled up."
    )


def _msb(one: Measured) -> str:
    of_top = one.damage[one.oracle.positions == 0].sum()
    return f"{of_top:.2f} ({_percent(of_top / one.damage.sum())})"


def _quality(one: Measured) -> str:
    return f"### {one.case.title}\n\n" + quality_table(list(one.qualities.values()), tablefmt="github")


def _unseen(one: Measured) -> str:
    return " and ".join(f"{_percent(found.unseen_fraction)} (data-{name})" for name, found in one.statfi.items())


def _baselines(networks: Iterable[Measured]) -> list[tuple[str, ...]]:
    rows = []
    for one in networks:
        title, n, sensitive = one.case.title, one.oracle.bits.size, one.oracle.sensitive
        total = int(sensitive.sum())
        flips = one.binfi.probes.size
        missed = one.discoveries["BinFI actual"].missed(sensitive).size
        rows.append((title, "BinFI actual", f"{flips:,} of {n:,}", _of(missed, total), NONE))
        missed = one.discoveries["BinFI actual + implied"].missed(sensitive).size
        paper = "; ".join(
            text
            for text in (
                published.BINFI_FLIPS.get(title),
                published.BINFI_MISSED.get(title, "") and f"missed {published.BINFI_MISSED[title]}",
            )
            if text
        )
        rows.append((title, "BinFI actual + implied", f"{flips:,} of {n:,}", _of(missed, total), paper or NONE))
        for name in one.statfi:
            found = one.discoveries[f"StatFI data-{name}"]
            spent = int(np.isfinite(found.met_after).sum())
            paper = published.STATFI_MISSED_PERCENT.get((title, name))
            rows.append(
                (
                    title,
                    f"StatFI data-{name}",
                    f"{spent:,} of {n:,}",
                    _of(found.missed(sensitive).size, total),
                    f"missed {paper}" if paper else NONE,
                )
            )
    return rows


def _tops(networks: Iterable[Measured]) -> list[tuple[str, ...]]:
    rows = []
    for one in networks:
        title = one.case.title
        paper = {
            "hessian": published.HESSIAN_TOP_1_PERCENT.get(title),
            "BinFI actual + implied": published.BINFI_TOP_1_PERCENT.get(title),
        }
        for name, found in one.discoveries.items():
            first, tenth = found.flips_for_top_sensitive(one.damage, one.oracle.sensitive, (0.01, 0.1))
            rows.append((title, name, _share(first), _share(tenth), paper.get(name) or NONE))
    return rows


def _times(networks: dict[str, Measured]) -> str:
    names = list(dict.fromkeys(name for one in networks.values() for name in one.seconds))
    rows = [
        (name, *(f"{one.seconds[name]:.1f}" if name in one.seconds else "not run" for one in networks.values()))
        for name in names
    ]
    return _table(("", *networks), rows)


def _golden(one: Design) -> str:
    return f"{one.metric} {one.golden:.3f}"


def _share(value: float) -> str:
    return _percent(value) if np.isfinite(value) else "never"


def _percent(share: Any) -> str:
    return f"{100 * float(share):.1f} %"


def _of(part: int, total: int) -> str:
    return f"{part:,} of {total:,} ({_percent(part / total if total else 0)})"


def _table(headers: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    return str(tabulate(list(rows), headers, tablefmt="github", disable_numparse=True))
