"""`fkeras protect`: which bits silicon should protect."""

from __future__ import annotations

import argparse
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fkeras.cli import arguments, faults_and_limits, memory_protection, output, session, studies
from fkeras.cli.hls4ml_check import add_project
from fkeras.errors import InputError

if TYPE_CHECKING:
    from fkeras.memory import BitSpace
    from fkeras.study import Study

SUMMARY = "choose the bits to protect in silicon, for one set of weights or for several, and write them down"
EXAMPLES = """\
  fkeras protect tagger.h5 --data validation.npz --metric accuracy --faults 100 --limit max_accuracy_drop=0.02 \\
      --output protection                                        # the fewest bits with which a campaign passes
  fkeras protect tagger.h5 --data validation.npz --metric accuracy --share 32% --granularity word --output protection
  fkeras protect tagger.h5 --data validation.npz --metric accuracy --faults 100 --limit max_accuracy_drop=0.02 --front
  fkeras protect training1.h5 training2.h5 training3.h5 --data validation.npz --metric accuracy --overhead 50% \\
      --under tmr --output protection                            # one mask for several retrainings

--output is a folder: protection.json (for --mask, and for mask("protection/protection.json") in tests), protection.csv
with an address a row, and a C header per layer; with --hls4ml-order also in the order of hls4ml's weight files.
With a size (--bits, --share, --overhead), --faults and --limit measure what the mask does. Several models have one
layout and get one mask; what that costs each is printed. With --limit the exit code is the worst verdict (0 PASS, 1
FAIL, 3 not decided); the search ends at a mask that passes on the faults of this --seed: judge it by a campaign with
another one.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of this command."""
    arguments.add_model(parser, several=True)
    arguments.add_data(parser, required=False)
    size = parser.add_argument_group("how much (one of; or what must pass: --faults and --limit)")
    one = size.add_mutually_exclusive_group()
    one.add_argument("--bits", type=arguments.whole(0), metavar="K", help="at most K bits")
    one.add_argument("--share", type=arguments.share, metavar="P", help="at most this share of the bits, as in 32%%")
    one.add_argument(
        "--overhead",
        type=lambda text: arguments.share(text, inf),
        metavar="P",
        help="extra bits at most, as a share of the memory; with --under",
    )
    how = parser.add_argument_group("which, and by what")
    how.add_argument(
        "--granularity", choices=("bit", "word", "layer"), default="bit", help="protect whole ... (default: bit)"
    )
    how.add_argument(
        "--aggregate",
        choices=("mean", "max"),
        default="mean",
        help="how the ranks of several models count: their mean (default) or the largest",
    )
    how.add_argument("--method", metavar="NAME", help="how bits are ranked, see `fkeras rank --help`")
    memory_protection.add_kind(how)
    how.add_argument(
        "--free",
        action="store_true",
        help="choose a check that costs no bit too, the one beside which the fewest bits pass; on other trials than "
        "those that judge",
    )
    how.add_argument(
        "--front",
        action="store_true",
        help="choose nothing: compare TMR, codes and checks by how often they fail and by area, measured by Yosys",
    )
    faults_and_limits.add_faults(parser, required=False)
    group = faults_and_limits.add_limits(parser)
    group.add_argument(
        "--max-trials",
        type=arguments.whole(1),
        metavar="N",
        help="end of an undecided campaign (1000); with --front each one (200)",
    )
    arguments.add_machine(parser)
    arguments.add_search(parser)
    parser.add_argument("--output", metavar="DIR", help="write the mask, a CSV file and C headers into this folder")
    parser.add_argument(
        "--figure", metavar="OUT", help="draw the designs of --front into this file, .png or .svg (matplotlib)"
    )
    hls4ml = parser.add_argument_group("hls4ml")
    hls4ml.add_argument(
        "--hls4ml-order",
        action="store_true",
        help="write them in the order of hls4ml's arrays too, into DIR/hls4ml (of the first MODEL)",
    )
    add_project(hls4ml)
    rtl = parser.add_argument_group("RTL")
    rtl.add_argument(
        "--rtl",
        metavar="DIR",
        help="write the memory under --under as SystemVerilog into this folder; `fkeras rtl-check DIR` simulates it "
        "against the library",
    )
    rtl.add_argument(
        "--clock-hz",
        type=arguments.real(0),
        metavar="F",
        help="the clock in whose cycles scrubbers count their interval (40e6)",
    )
    arguments.add_json(parser, "the choice and what it rests on")


def run(options: argparse.Namespace) -> int:
    """Choose, print, write."""
    import fkeras
    from fkeras.campaigns import MAX_TRIALS
    from fkeras.protection.exports import header_files, write_csv, write_headers

    output.check_targets(options)
    if options.front:
        return _front(options)
    _check_folder(options)
    if options.figure:
        raise InputError(f"--figure {options.figure} is of the designs that --front compares; give --front too")
    faults = faults_and_limits.faults(options)
    if options.free and options.under.check:
        raise InputError(f"--free chooses the check of all words; leave {options.under.check} out of --under")
    if (options.metric or options.limit) and not options.data:
        raise InputError("--metric and --limit need --data FILE.npz with arrays x and y")
    with studies.studied_together(options, options.model) as (study, *others):
        if options.output is not None:
            headers = header_files(array.path for array in study.space.arrays)
            output.check_masks(options.output, "--output", headers, options)
            _require_same_layout(options.output, study.space)
        _check_order(options, study)
        ports = _check_rtl(options, study)
        choice = study.protect(
            *others,
            bits=options.bits,
            share=options.share,
            overhead=options.overhead,
            faults=faults,
            limits=faults_and_limits.requirement(options, study),
            under=memory_protection.kind(options),
            free=options.free,
            granularity=options.granularity,
            aggregate=options.aggregate,
            method=options.method,
            max_trials=options.max_trials or MAX_TRIALS,
        )
        if options.rtl is not None:
            from fkeras.rtl import weight_memory

            covered = memory_protection.kind(options)(choice.mask.on(study.space))
            check = None if choice.free is None else choice.free.check
            protected: Any = covered if check is None else [covered, check] if len(choice.mask.bits) else check
            memory = weight_memory(protected, study.space, _clock_hz(options), ports=ports)
    session.show(str(choice))
    if not choice.mask.bits.bits.size:
        session.show("nothing is protected: no bit is needed, or the first unit is larger than what may be protected")
    if options.output is None:
        session.show("not written; --output DIR writes the mask")
    else:
        folder = Path(options.output)
        folder.mkdir(exist_ok=True)
        choice.mask.write(folder / "protection.json")
        write_csv(choice.mask, folder / "protection.csv")
        paths = write_headers(choice.mask, folder)
        names = ["protection.json", "protection.csv", *(path.name for path in paths)]
        if choice.free is not None and choice.free.check is not None and not others:
            fkeras.write_words(choice.free.check, study.space, folder / "words.json")
            names.append("words.json")
        session.show(f"written to {folder}: {', '.join(names)}")
        if options.hls4ml_order:
            moved = fkeras.hls4ml.reordered(choice.mask, study.model, project=options.project, space=study.space)
            written = fkeras.hls4ml.write_masks(moved, folder / "hls4ml")
            session.show(f"written to {folder / 'hls4ml'}: {', '.join(path.name for path in written)}")
    if options.rtl is not None:
        paths = memory.write(options.rtl, options.force)
        session.show(
            f"written to {options.rtl}: {', '.join(path.name for path in paths)}; `fkeras rtl-check` verifies it"
        )
    if options.json:
        output.write_json(options.json, {"schema": "fkeras-choice/1", "seed": options.seed, **choice.to_dict()})
    return faults_and_limits.exit_code(choice.outcome)


def _front(options: argparse.Namespace) -> int:
    """Resilience against area, design by design; the exit code says whether any passes."""
    from fkeras.report.figures import front_figure
    from fkeras.report.svg import require_figure_file, write_figure

    others = (
        "bits",
        "share",
        "overhead",
        "free",
        "output",
        "rtl",
        "clock_hz",
        "hls4ml_order",
        *memory_protection.OPTIONS,
    )
    stated = [f"--{name.replace('_', '-')}" for name in others if getattr(options, name) not in (None, False)]
    stated += ["--under"] if options.under.cells or options.under.check else []
    if stated:
        raise InputError(f"{stated[0]} says what is protected, and --front compares designs of its own; leave one out")
    if options.figure:
        require_figure_file(options.figure)
    if len(options.model) > 1:
        raise InputError(f"--front is of one MODEL; {len(options.model)} are named")
    faults = faults_and_limits.faults(options)
    if faults is None or not options.limit or not options.data or not options.metric:
        raise InputError("--front needs what must pass: --faults N or a rate, --limit, --metric and --data FILE.npz")
    with studies.studied_together(options, options.model) as (study,):
        requirement = faults_and_limits.requirement(options, study)
        assert requirement is not None
        trials = options.max_trials or 200
        front = study.protection_front(faults, requirement, method=options.method, trials=trials)
    session.show(str(front))
    if options.json:
        output.write_json(options.json, {"schema": "fkeras-front/1", **front.to_dict()})
    if options.figure:
        write_figure(front_figure(front, requirement.max_failure_rate), options.figure)
    return session.FINE if front.smallest is not None else session.FAILED


def _require_same_layout(folder: str, space: BitSpace) -> None:
    """A folder holds one mask: headers of two layouts side by side would end in one chip."""
    from fkeras.protection import read_mask

    if (Path(folder) / "protection.json").exists():
        there = read_mask(Path(folder) / "protection.json")
        if there.layout_digest != space.layout_digest:
            raise InputError(
                f"--output {folder}: holds the mask of another memory (layout {there.layout_digest[:12]}, not "
                f"{space.layout_digest[:12]}), whose files would lie beside the new ones; name another folder"
            )


def _check_rtl(options: argparse.Namespace, study: Study) -> Any:
    """The same of the SystemVerilog; the ports of an hls4ml project."""
    if options.rtl is None:
        if options.clock_hz is not None:
            raise InputError(f"--clock-hz {options.clock_hz:g} is that of a scrubber in SystemVerilog; give --rtl too")
        return None
    if options.under.cells in ("", "immune") and not (options.under.check or options.free):
        raise InputError(
            f"--rtl {options.rtl}: bits that are assumed immune say nothing that could be built; say by what they are "
            "protected, as in --under tmr, secded or parity"
        )
    from fkeras.rtl import weight_memory
    from fkeras.rtl.folder import check_folder

    ports = None
    if options.project is not None:
        import fkeras.hls4ml

        ports = fkeras.hls4ml.ports(study.model, project=options.project, space=study.space)
    memory = weight_memory(None, study.space, _clock_hz(options))
    check_folder(Path(options.rtl), study.space, list(memory.files), options.force)
    return ports


def _clock_hz(options: argparse.Namespace) -> float:
    from fkeras.rtl.folder import CLOCK_HZ

    return CLOCK_HZ if options.clock_hz is None else float(options.clock_hz)


def _check_order(options: argparse.Namespace, study: Study) -> None:
    """Everything that could go wrong with hls4ml's order goes wrong before anything is measured."""
    if not options.hls4ml_order:
        if options.project is not None and options.rtl is None:
            raise InputError(
                f"--project {options.project} decides hls4ml's order and ports; give --hls4ml-order or --rtl DIR too"
            )
        return
    if options.output is None:
        raise InputError("--hls4ml-order needs --output DIR: it writes files into DIR/hls4ml")
    import fkeras.hls4ml

    fkeras.hls4ml.order(study.model, project=options.project, space=study.space)


def _check_folder(options: argparse.Namespace) -> None:
    path = options.output
    if path is not None:
        folder = Path(path)
        if folder.exists() and not folder.is_dir():
            raise InputError(f"--output {path}: is a file; name a folder, which is made if need be")
        output.check_target(str(folder / "protection.json" if folder.is_dir() else folder))
        output.check_masks(folder, "--output", (), options)
        if options.hls4ml_order:
            there = folder / "hls4ml"
            output.check_masks(there, "--hls4ml-order", (path.name for path in there.glob("*_mask.h")), options)
