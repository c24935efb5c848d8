"""`fkeras rank`: which bits matter most."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from fkeras.cli import arguments, output, session, studies

if TYPE_CHECKING:
    from fkeras.memory import BitSpace
    from fkeras.sensitivity import Ranking

SUMMARY = "rank the bits, most sensitive first, for far less work than the oracle"
EXAMPLES = f"""\
  fkeras rank tagger.h5 --method msb                                   # needs no data
  fkeras rank tagger.h5 --data validation.npz --metric accuracy --json ranking.json
  fkeras rank tagger.h5 --of weights --of activations --data validation.npz --metric accuracy
  fkeras rank encoder.h5 --data wafers.npz --metric emd --geometry geometry.npz --method adaptive

methods:
  random            chance, drawn from --seed
  msb               most significant bits first, words in the order of the memory
  gradient          most significant bits first, words by |dL/dw|: the slope of the loss L that goes with y and metric
  taylor            the same by (w dL/dw)^2
  hessian           the same by the curvature of L: eq. (3) of the FKeras paper, over 8 eigenpairs
  hessian_upstream  the form of eq. (3) that the paper's code computes
  displacement      by how far a flip is expected to move the outputs, whatever the bit's significance
  loss_change       by how much a flip is expected to change L
  adaptive          1 % of the oracle's work: flips measured where they decide most, estimated elsewhere
  adaptive_tenth    10 % of the oracle's work

random and msb need no data, the adaptive ones a --metric too.
Without --method the best one for what you give is taken: adaptive with a metric that grades every sample, displacement
with other data, msb without any. OUT.json has `order` (flat bit indices, most sensitive first), `scores` by flat index,
and `method`.

{arguments.BIT_INDICES}"""
SHOWN = 10


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of this command."""
    arguments.add_model(parser)
    arguments.add_data(parser, required=False)
    parser.add_argument("--method", metavar="NAME", help="how to rank (default: the best for what is given)")
    arguments.add_seed(parser)
    arguments.add_machine(parser)
    arguments.add_store(parser)
    arguments.add_json(parser, "the ranking")


def run(options: argparse.Namespace) -> int:
    """Rank, print the first bits, write the rest."""
    output.check_targets(options)
    studies.require_data(options)
    with studies.studied(options) as study:
        ranking = study.rank(options.method)
    ranked = f"{len(ranking):,} bits ranked by {ranking.method!r}"
    session.show(f"{options.model}: {ranked}, seed {options.seed}; first come")
    session.show("\n".join(top_lines(ranking, study.space)))
    if options.json:
        output.write_json(
            options.json,
            {
                "schema": "fkeras-ranking/1",
                "method": ranking.method,
                "seed": options.seed,
                "order": ranking.order.tolist(),
                "scores": ranking.scores.tolist(),
                "n_bits": len(ranking),
                "layout_digest": study.space.layout_digest,
                "content_digest": study.space.content_digest,
            },
        )
    return 0


def top_lines(ranking: Ranking, space: BitSpace) -> list[str]:
    """The first bits with their addresses."""
    return [
        f"  {place:3d}. bit {bit:<8d} {space.address(bit)}"
        for place, bit in enumerate(ranking.order[:SHOWN].tolist(), start=1)
    ]
