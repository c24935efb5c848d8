"""Calling a model with other quantizers in its slots, and leaving no trace in it.

Swapping a quantizer after Keras has traced the layer changes nothing, silently. So a private function is traced
while the quantizers are replaced; afterwards the layers and all quantizer state are exactly as before. What layers
write into variables while they compute (step counters, moving averages) is cut out of the private function.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np

from fkeras.errors import ModelError
from fkeras.frontends.qkeras.setup import tensorflow
from fkeras.frontends.qkeras.slots import Slot, all_quantizers
from fkeras.memory.refusals import Refusal, Refused
from fkeras.network import feeding


@contextmanager
def replaced(model: Any, slots: Sequence[Slot], replacement: Callable[[Slot], Callable[[Any], Any]]) -> Iterator[None]:
    """Within the block each slot's layer calls `replacement(slot)` instead of its quantizer.

    UnsupportedError when a layer was called without asking for one of its slots: nothing may be injected in vain.
    """
    called: set[str] = set()

    def counting(slot: Slot) -> Callable[[Any], Any]:
        function = replacement(slot)

        def quantize(x: Any) -> Any:
            called.add(slot.path)
            return function(x)

        return quantize

    state = [(quantizer, dict(vars(quantizer))) for quantizer in all_quantizers(model)]
    originals = [(slot, slot.quantizer) for slot in slots]
    try:
        for slot, _ in originals:
            object.__setattr__(slot.layer, slot.attribute, counting(slot))
        yield
    finally:
        for slot, original in originals:
            object.__setattr__(slot.layer, slot.attribute, original)
        for quantizer, attributes in state:
            vars(quantizer).clear()
            vars(quantizer).update(attributes)
    idle = [slot for slot in slots if slot.path not in called]
    if idle:
        reason = " is never quantized while the model computes its outputs, so a fault there could not be injected"
        raise Refused(*(Refusal(slot.layer_path, reason, tensor=slot.path) for slot in idle))


def pure_function(
    function: Callable[..., Any], specs: Sequence[Any], inspect: Callable[[Any], object] = lambda graph: None
) -> PureFunction:
    """`function` traced once: tensors of `specs` in, its outputs flattened out, differentiable, no side effects.

    inspect: is shown the graph, and may raise. Only what the outputs need is kept, so assignments to variables do not
    happen. Custom layers are converted by autograph, as Keras' own `predict` does.
    """
    from tensorflow.python.autograph.core import ag_ctx
    from tensorflow.python.autograph.core.converter import ConversionOptions

    tf = tensorflow()

    def traced(*arguments: Any) -> list[Any]:
        with ag_ctx.ControlStatusCtx(status=ag_ctx.Status.ENABLED, options=ConversionOptions(recursive=True)):
            return [tf.identity(output) for output in tf.nest.flatten(function(*arguments))]

    whole = tf.compat.v1.wrap_function(traced, list(specs))
    pruned = whole.prune(whole.inputs[: len(specs)], whole.outputs)
    inspect(pruned.graph)
    return PureFunction(pruned, [spec.dtype for spec in specs])


class PureFunction:
    """A graph as a function of its arguments, and of the variables that it reads."""

    def __init__(self, graph_function: Any, dtypes: Sequence[Any]) -> None:
        self._function, self._dtypes = graph_function, tuple(dtypes)

    def __call__(self, *arguments: Any) -> tuple[Any, ...]:
        """The outputs, flat."""
        convert = tensorflow().convert_to_tensor
        tensors = [convert(value, dtype) for value, dtype in zip(arguments, self._dtypes, strict=True)]
        with _sums_as_written():
            # Called by its name it would first try arguments by name, and print all tensors to say that they are not.
            return tuple(self._function._call_flat(tensors, self._function.captured_inputs))

    def split(self, argument: int) -> tuple[PureFunction, PureFunction] | None:
        """The same operations in two functions: what does not depend on argument number `argument`, and the rest.

        The first takes all arguments; the second that one and what the first gives. None where the graph has operations
        that cannot be taken apart, or an output that does not depend on the argument.
        """
        from tensorflow.python.ops.op_selector import UnliftableError

        arguments = self._function.inputs[: len(self._dtypes)]
        changing = _dependent(self._function.graph, arguments[argument : argument + 1])
        given = _dependent(self._function.graph, arguments)
        if any(output.op not in changing for output in self._function.outputs):
            return None
        read = [tensor for op in self._function.graph.get_operations() if op in changing for tensor in op.inputs]
        border = {tensor.ref(): tensor for tensor in read if tensor.op in given and tensor.op not in changing}
        between = list(border.values())
        feeds = [arguments[argument], *between]
        try:
            first = self._function.prune(arguments, between)
            second = self._function.prune(feeds, self._function.outputs)
        except UnliftableError:
            return None
        return PureFunction(first, self._dtypes), PureFunction(second, [tensor.dtype for tensor in feeds])


def _dependent(graph: Any, sources: Sequence[Any]) -> set[Any]:
    """The operations of a graph whose results depend on some tensors, those that make them included."""
    dependent = {tensor.op for tensor in sources}
    waiting = list(dependent)
    while waiting:
        readers = {op for tensor in waiting.pop().outputs for op in tensor.consumers()} - dependent
        dependent |= readers
        waiting += readers
    return dependent


@contextmanager
def _sums_as_written() -> Iterator[None]:
    """Graphs that are optimized within the block keep the order of additions.

    TensorFlow merges chains of additions into one node that adds in another order; Keras' `predict` hides them in
    nested functions, where that does not happen, and its last bits are the ones to meet.
    """
    from tensorflow.core.protobuf import config_pb2, rewriter_config_pb2
    from tensorflow.python.eager import context

    here = context.context()
    usual = here.function_call_options
    config = config_pb2.ConfigProto.FromString(usual.config_proto_serialized)
    config.graph_options.rewrite_options.arithmetic_optimization = rewriter_config_pb2.RewriterConfig.OFF
    here.function_call_options = context.FunctionCallOptions(usual.executor_type, config)
    try:
        yield
    finally:
        here.function_call_options = usual


def input_specs(model: Any) -> list[Any]:
    """One TensorSpec per model input, in the order of `model.inputs`."""
    tf = tensorflow()
    inputs = getattr(model, "inputs", None)
    if not inputs:
        raise ModelError(
            f"model '{getattr(model, 'name', model)}' has no known inputs; use a Sequential or functional "
            "model and build it (call it once on data)"
        )
    return [tf.TensorSpec(tensor.shape, tensor.dtype, name=f"input_{i}") for i, tensor in enumerate(inputs)]


def call_flat(model: Any, flat_inputs: Sequence[Any]) -> tuple[Any, ...]:
    """The model's outputs in inference mode, flattened, for inputs in the order of `model.inputs`."""
    tf = tensorflow()
    return tuple(tf.nest.flatten(model(tf.nest.pack_sequence_as(model.input, list(flat_inputs)), training=False)))


def packed_outputs(model: Any, flat_outputs: Sequence[Any]) -> Any:
    """Flat outputs in the structure that the model itself returns."""
    return tensorflow().nest.pack_sequence_as(model.output, list(flat_outputs))


def input_names(model: Any) -> list[str]:
    """What Keras calls the inputs in a dict of data, in the order of `model.inputs`."""
    structure = model.input
    return sorted(structure) if isinstance(structure, dict) else list(model.input_names)


def output_names(model: Any) -> list[str]:
    """What Keras calls the outputs in a dict of data, in the order of `model.outputs`."""
    structure = model.output
    return sorted(structure) if isinstance(structure, dict) else list(model.output_names)


def flat_data(model: Any, x: Any) -> tuple[np.ndarray[Any, Any], ...]:
    """`x` (array, list, tuple, or dict by input name) as arrays in the order and dtypes of `model.inputs`.

    InputError for a wrong number, wrong shapes, no samples, or numbers that are not finite.
    """
    parts = zip(input_names(model), input_specs(model), strict=True)
    return feeding.flat_data([_Expected(name, tuple(spec.shape[1:]), spec.dtype.name) for name, spec in parts], x)


class _Expected(NamedTuple):
    name: str
    shape: tuple[int | None, ...]
    dtype: str


def flat_targets(model: Any, y: Any) -> Any:
    """`y`, where it is a dict by output name as a tuple in the order of `model.outputs`. InputError for other names."""
    return feeding.flat_targets(output_names(model), y)
