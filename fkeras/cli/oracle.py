"""`fkeras oracle`: what each single flip does, measured."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from fkeras.cli import arguments, output, session, studies
from fkeras.errors import InputError

if TYPE_CHECKING:
    from fkeras.campaigns import Oracle
    from fkeras.memory import BitSpace

MOST_LISTED = 10
"""Flips that do most harm, and as many that help most."""

SUMMARY = "flip every bit alone and measure the metric"
EXAMPLES = f"""\
  fkeras oracle tagger.h5 --data validation.npz --metric mispredictions --store results --json oracle.json
  fkeras oracle encoder.h5 --data wafers.npz --metric emd --geometry geometry.npz --store results --json oracle.json
  fkeras oracle tagger.h5 --data validation.npz --metric accuracy --bits 0:1000 --samples 200      # a first look
  fkeras oracle tagger.h5 --data validation.npz --metric accuracy --store part3 --shard 3/40       # one job of a farm

Running the same line again goes on where the last one stopped. OUT.json has `bits` (flat indices), `values` (the metric
under each flip, in that order) and `golden` (the fault-free value), also `positions` (0 is the most significant bit of
a word), `harmed` (samples that got worse) and `undefined` (samples without a score); infinities are the texts "inf" and
"-inf".

{arguments.BIT_INDICES}"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of this command."""
    arguments.add_model(parser)
    arguments.add_data(parser)
    parser.add_argument(
        "--bits", type=arguments.bits, metavar="START:STOP", help="only these flat bit indices (default: all)"
    )
    arguments.add_machine(parser)
    arguments.add_farm(parser)
    arguments.add_json(parser, "bits, values and golden")


def run(options: argparse.Namespace) -> int:
    """Measure, print a summary, write the result."""
    import numpy as np

    output.check_targets(options)
    with studies.studied(options) as study:
        _require_bits(options.bits, len(study.space))
        bits = None if options.bits is None else np.arange(*options.bits)
        oracle = study.oracle(bits=bits, shard=options.shard)
    if options.json:
        output.write_json(options.json, _content(oracle, options.model))
    session.show("\n".join(_lines(oracle, study.space)))
    return 0


def _require_bits(bits: tuple[int, int] | None, n_bits: int) -> None:
    if bits is not None and bits[1] > n_bits:
        raise InputError(f"--bits {bits[0]}:{bits[1]}: the memory has {n_bits:,} bits; allowed are parts of 0:{n_bits}")


def _lines(oracle: Oracle, space: BitSpace) -> list[str]:
    import numpy as np

    error = oracle.golden_standard_error
    golden = f"golden {oracle.metric}: {oracle.golden:.6g}" + ("" if np.isnan(error) else f" +- {error:.2g} (data)")
    how = "a right prediction goes wrong" if oracle.classification else "the mean gets worse"
    reused = f", {oracle.reused:,} of them read from the store" if oracle.reused else ""
    lines = [
        f"{len(oracle):,} of {oracle.n_bits:,} bits flipped alone{reused}",
        f"{oracle.n_samples:,} samples, engine {oracle.engine}",
        golden,
        f"{int(oracle.sensitive.sum()):,} bits are sensitive ({how}); {int(oracle.changed.sum()):,} change the mean",
    ]
    if oracle.undefined.any():
        lines.append(f"{int(oracle.undefined.sum()):,} sample scores were undefined and count as the worst")
    harm = oracle.delta if oracle.better == "lower" else -oracle.delta
    for what, effect in (("harm", harm), ("help", -harm)):
        first = np.lexsort((oracle.bits, -effect))[:MOST_LISTED].tolist()
        listed = [i for i in first if oracle.changed[i] and effect[i] > 0]
        if listed:
            lines.append(f"largest {what}, {oracle.better} {oracle.metric} is better:")
        lines += [
            f"  bit {oracle.bits[i]:<8d} {oracle.values[i]:.6g}  {oracle.delta[i]:+.6g}  "
            f"{space.address(int(oracle.bits[i]))}"
            for i in listed
        ]
    return lines


def _content(oracle: Oracle, model: str) -> dict[str, Any]:
    return {
        "schema": "fkeras-oracle/1",
        "model": model,
        "metric": oracle.metric,
        "better": oracle.better,
        "bits": oracle.bits.tolist(),
        "values": oracle.values.tolist(),
        "golden": oracle.golden,
        "golden_standard_error": oracle.golden_standard_error,
        "positions": oracle.positions.tolist(),
        "undefined": oracle.undefined.tolist(),
        "harmed": oracle.harmed.tolist(),
        "n_samples": oracle.n_samples,
        "n_bits": oracle.n_bits,
        "layout_digest": oracle.layout_digest,
        "content_digest": oracle.content_digest,
        "engine": oracle.engine,
    }
