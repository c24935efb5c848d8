"""`fkeras inspect`: what a model stores."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from fkeras.cli import arguments, output, session, studies
from fkeras.errors import InputError, said

if TYPE_CHECKING:
    from fkeras.engine import GoldenScore
    from fkeras.memory import BitSpace
    from fkeras.metrics.chance import Chance
    from fkeras.sensitivity.spectrum import LayerTrace
    from fkeras.study import Study

SUMMARY = "show what a model stores: layers, words, bits, and what no fault can hit"
EXAMPLES = """\
  fkeras inspect tagger.h5
  fkeras inspect tagger.h5 --layers 'conv*' --biases
  fkeras inspect tagger.h5 --data validation.npz                       # the golden (fault-free) value too
  fkeras inspect tagger.h5 --data validation.npz --traces              # and how curved the loss is, layer by layer

Without --metric the golden value is the accuracy for classes (n,), else the mean squared error. Look at it first: if it
is not what you trained to, the data are scaled differently from what the network expects. Chance is what the best
prediction without a look at the inputs gets. Tensors of which no flip changes an output are named. The words are those
that the chip stores: batch norm folded in, scales kept apart. A trace is that of the layer's block of the Hessian of
the loss, estimated (Hutchinson) until its standard error is 2 % of it, by 200 Hessian-vector products at most.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of this command."""
    arguments.add_model(parser)
    arguments.add_data(parser, required=False)
    parser.add_argument("--traces", action="store_true", help="show the trace of every layer's Hessian; needs --data")
    arguments.add_machine(parser)
    arguments.add_json(parser, "all of it")


def run(options: argparse.Namespace) -> int:
    """Print the table."""
    from fkeras.plain import plain

    output.check_targets(options)
    studies.require_data(options)
    if options.traces and not options.data:
        raise InputError("--traces needs --data FILE.npz with arrays x and y")
    with studies.studied(options) as study:
        golden = {} if study.data is None else study.run(_metrics(study)).golden
        chances = {} if study.data is None else study.fault_free(list(golden)).chance
        dead = study.dead_tensors()
        loss, traces = _traces(study) if options.traces else ("", ())
    lines = [*_lines(options.model, study.space, golden, chances), *(f"cannot hurt: {tensor}" for tensor in dead)]
    session.show("\n".join([*lines, *_trace_lines(loss, traces)]))
    if options.json:
        content = _content(options.model, study.space, golden) | {"dead": plain(dead)}
        if options.traces:
            content |= {"loss": loss, "traces": list(traces)}
        output.write_json(options.json, content)
    return 0


def _traces(study: Study) -> tuple[str, tuple[LayerTrace, ...]]:
    """The loss that goes with targets and metric, and the trace of every layer's block of its Hessian."""
    from fkeras.models import MODELS
    from fkeras.sensitivity.spectrum import layer_traces

    metric = None if study.sole_metric is None else study.metric(study.sole_metric)
    evidence = MODELS.evidence(study.model, study.data, metric, None, study.seed, study.space)
    derivatives = evidence.derivatives()
    return derivatives.loss, layer_traces(derivatives, seed=study.seed)


def _trace_lines(loss: str, traces: Sequence[LayerTrace]) -> Iterator[str]:
    for trace in traces:
        doubt = "" if trace.converged else f", not to 2 % after {trace.n_probes} products"
        words = f"{trace.n_words:,} words{doubt}"
        yield f"trace of {loss} in {trace.layer}: {trace.trace:.6g} +- {trace.standard_error:.2g} ({words})"


def _metrics(study: Study) -> list[str]:
    """The metric that was asked for, or else what the targets suggest."""
    _, y = study.required_data
    implied = "accuracy" if getattr(y, "ndim", 0) == 1 and y.dtype.kind in "biu" else "mean_squared_error"
    return list(study.metrics) or [implied]


def _lines(path: str, space: BitSpace, golden: dict[str, GoldenScore], chances: Mapping[str, Chance]) -> Iterator[str]:
    from tabulate import tabulate

    words = sum(tensor.size for tensor in space.arrays)
    empty = sum(tensor.layout.n_empty for tensor in space.arrays)
    none = f", {empty:,} of them of width 0, which store nothing" if empty else ""
    yield f"{path}: {len(space):,} bits in {words:,} words of {len(space.arrays)} tensors{none}"
    trained = "its widths are trained: another one after retraining"
    after = trained if space.has_trained_widths else "the same after retraining"
    yield f"layout {space.layout_digest[:12]} ({after})  content {space.content_digest[:12]}  memory {space.memory}"
    yield ""
    yield tabulate(
        [
            [tensor.path, "x".join(map(str, tensor.shape)), _word(tensor.codec), f"{tensor.size:,}",
             _in_use(tensor), f"{tensor.n_bits:,}",
             f"{tensor.n_bits / max(1, len(space)):.1%}"]
            for tensor in space.arrays
        ],
        headers=["tensor", "shape", "word", "words", "in use", "bits", "share"],
        disable_numparse=True,
        colalign=["left", "left", "left", "right", "right", "right", "right"],
    )  # fmt: skip
    yield ""
    yield "not covered:" + ("" if space.uncovered else " nothing")
    for left_out in space.uncovered:
        why = said(left_out.parts or (left_out.reason,), session.spelled)
        yield f"  {left_out.path}: {left_out.n_values:,} values, {why}"
    for name, score in golden.items():
        error = "" if score.standard_error != score.standard_error else f" +- {score.standard_error:.2g} (data)"
        undefined = f", {score.undefined} samples undefined (counted as the worst)" if score.undefined else ""
        chance = f", chance: {chances[name].value:.6g}" if name in chances else ""
        yield f"golden {name}: {score.value:.6g}{error}{undefined}{chance}"


def _in_use(array: Any) -> str:
    """How many of the words that there are it stores; a register stores none."""
    return f"{array.n_in_use} of {array.n_possible}" if hasattr(array, "n_in_use") else "-"


def _word(codec: Any) -> str:
    name = type(codec).__name__
    if name == "MixedFixedPoint":
        return f"fixed point of {len(codec.formats)} formats, {codec.text}"
    if name == "FixedPoint":
        return f"fixed point, {codec.width} bits, step {codec.step:g}" + ("" if codec.signed else ", unsigned")
    if name == "Float":
        return f"{codec.name}, {codec.width} bits"
    return f"{'power of two' if name == 'PowerOfTwo' else name.lower()}, {codec.width} bits"


def _content(path: str, space: BitSpace, golden: dict[str, GoldenScore]) -> dict[str, Any]:
    return {
        "schema": "fkeras-inspect/1",
        "model": path,
        "n_bits": len(space),
        "layout_digest": space.layout_digest,
        "content_digest": space.content_digest,
        "memory": space.memory,
        "tensors": [
            {
                "path": tensor.path,
                "shape": list(tensor.shape),
                "codec": repr(tensor.codec),
                "word_bits": tensor.layout.word_bits,
                "n_words": tensor.size,
                "n_words_of_no_bits": tensor.layout.n_empty,
                "n_words_in_use": getattr(tensor, "n_in_use", None),
                "n_bits": tensor.n_bits,
                "first_bit": int(first),
            }
            for tensor, first in zip(space.arrays, space.offsets, strict=False)
        ],
        "not_covered": [
            {"path": item.path, "n_values": item.n_values, "reason": item.reason} for item in space.uncovered
        ],
        "golden": {
            name: {"value": item.value, "standard_error": item.standard_error, "undefined": item.undefined}
            for name, item in golden.items()
        },
    }
