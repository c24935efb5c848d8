"""`fkeras export`: a model without its framework."""

from __future__ import annotations

import argparse

from fkeras.cli import arguments, output, session, studies
from fkeras.errors import InputError

SUMMARY = "write what a model stores and computes as a .fkn file, which needs no framework"
EXAMPLES = """\
  fkeras export tagger.h5 --output tagger.fkn
  fkeras export tagger.keras --output tagger.fkn --memory hls4ml        # in the words that hls4ml stores
  fkeras export tagger.h5 --output tagger.fkn --data validation.npz     # compared with Keras on these samples, too

Every command, load_model and the ini key fkeras_model take a .fkn file in the place of the model. It knows the digest
of the model file, not its path: beside a model of the same name that has changed since it is refused.
docs/network.md describes it.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of this command."""
    model = arguments.add_model(parser, chosen=False)
    model.add_argument("--output", required=True, metavar="FILE.fkn", help="the file to write")
    arguments.add_memory(model)
    parser.add_argument("--data", metavar="FILE", help="a .npz with x, on which the network must give what Keras gives")
    parser.add_argument(
        "--samples", type=arguments.whole(1), metavar="N", help="the first N of the data only (default: all)"
    )
    arguments.add_force(parser)


def run(options: argparse.Namespace) -> int:
    """Describe the model, compare, write."""
    output.check_network(options)
    from fkeras import npz
    from fkeras.models.exporting import export

    if options.samples is not None and not options.data:
        raise InputError("--samples needs --data FILE.npz with an array x")
    x = None if options.data is None else studies.first(npz.read_inputs(options.data), options.samples, options.data)
    network = export(options.model, options.output, x, options.weights, options.trust, options.memory or "quantizer")
    n_words = sum(tensor.size for tensor in network.memory.tensors)
    words = "" if network.memory.memory == "quantizer" else f", in the words of {network.memory.memory}"
    session.show(
        f"{options.output}: {len(network.nodes)} operations, {n_words:,} stored words (biases included), "
        f"digest {network.digest[:12]}{words}"
    )
    return 0
