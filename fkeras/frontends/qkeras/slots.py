"""Where a model's stored words enter its computation: one slot per quantized weight tensor.

A slot is a layer and the attribute that holds the quantizer which the layer calls on that tensor.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from fkeras.errors import Argument, ModelError, said
from fkeras.frontends.paths import unique_paths
from fkeras.frontends.qkeras.setup import keras_home, qkeras, tensorflow
from fkeras.memory import LayerChoice, Uncovered
from fkeras.memory.refusals import Refusal, Refused

KERNEL = ("kernel", "kernel_quantizer_internal")
DEPTHWISE = ("depthwise_kernel", "depthwise_quantizer_internal")
POINTWISE = ("pointwise_kernel", "pointwise_quantizer_internal")
BIAS = ("bias", "bias_quantizer_internal")

COVERED = {
    "QDense": (KERNEL,),
    "QConv1D": (KERNEL,),
    "QConv2D": (KERNEL,),
    "QConv2DBatchnorm": (KERNEL,),
    "QDenseBatchnorm": (KERNEL,),
    "QDepthwiseConv2D": (DEPTHWISE,),
    "QDepthwiseConv2DBatchnorm": (DEPTHWISE,),
    "QSeparableConv1D": (DEPTHWISE, POINTWISE),
    "QSeparableConv2D": (DEPTHWISE, POINTWISE),
}
FOLDING = ("QConv2DBatchnorm", "QDenseBatchnorm", "QDepthwiseConv2DBatchnorm")
KERNELS = {tensor for parts in COVERED.values() for tensor, _ in parts}
PASS_THROUGH = (
    "QActivation",
    "QAdaptiveActivation",
    "QBatchNormalization",
    "QAveragePooling2D",
    "QGlobalAveragePooling2D",
)
CANNOT_BE_BUILT = " (QKeras 0.9 cannot build it on current TensorFlow)"
Why = tuple[str | Argument, ...]
"""Why a weight is not covered: texts, and the arguments that these speak of."""
NOT_CHOSEN: Why = ("not chosen by ", Argument("layers"))
REASONS = {name: CANNOT_BE_BUILT for name in ("QConv2DTranspose", "QGRU", "QSimpleRNN")}


@dataclass(frozen=True, slots=True)
class Slot:
    """One quantized weight tensor: its path, its layer, and the attribute with the quantizer."""

    path: str
    layer_path: str
    layer: Any
    attribute: str

    @property
    def quantizer(self) -> Any:
        """The QKeras quantizer that the layer calls."""
        return getattr(self.layer, self.attribute)

    @property
    def is_bias(self) -> bool:
        """Whether it is a bias, not a kernel."""
        return self.attribute == BIAS[1]

    @property
    def shape(self) -> tuple[int, ...] | None:
        """Keras' shape of the tensor; None for a bias that a folding layer makes out of its batch norm."""
        variable = getattr(self.layer, self.path.rsplit("/", 1)[-1], None)
        return None if variable is None else tuple(variable.shape)


@dataclass(frozen=True, slots=True)
class Inventory:
    """All slots that were chosen, the weights that were not, and the chosen layers that cannot be covered."""

    slots: tuple[Slot, ...]
    uncovered: tuple[Uncovered, ...]
    refusals: tuple[Refusal, ...]


def walk(model: Any) -> Iterator[tuple[str, Any]]:
    """(path, layer) for every layer, in model order, depth first; a shared layer once, at its first path.

    A pruning wrapper counts as the layer inside it.
    """
    return unique_paths(_walk(model, "", set()))


def _walk(model: Any, prefix: str, seen: set[int]) -> Iterator[tuple[str, Any]]:
    keras = tensorflow().keras
    for layer in model.layers:
        if type(layer).__name__ == "PruneLowMagnitude":
            layer = layer.layer
        if id(layer) in seen:
            continue
        seen.add(id(layer))
        path = f"{prefix}{layer.name}"
        if isinstance(layer, keras.Model):
            yield from _walk(layer, f"{path}/", seen)
        else:
            yield path, layer


def _kind(layer: Any) -> str | None:
    """The QKeras class that a layer is (or derives from), None for layers that are not QKeras'."""
    home = keras_home()
    for base in type(layer).__mro__:
        if base.__module__.split(".")[0] == "qkeras":
            return base.__name__
        if base.__module__.split(".")[0] == home:
            return None
    return None


def take_inventory(model: Any, layers: str | Sequence[str] = "*", biases: bool = False) -> Inventory:
    """The slots of the chosen layers, everything with weights that they leave out, and the layers that are refused."""
    choice = LayerChoice(layers)
    walked = list(walk(model))
    choice.require_matches([path for path, _ in walked])
    slots: list[Slot] = []
    uncovered: list[Uncovered] = []
    refusals: list[Refusal] = []
    for path, layer in walked:
        try:
            here, why = slots_of_layer(path, layer, biases) if choice(path) else ((), NOT_CHOSEN)
        except Refused as refused:
            refusals += refused.refusals
            continue
        slots += here
        uncovered += left_out(path, layer, here, why)
    return Inventory(tuple(slots), tuple(uncovered), tuple(refusals))


def slots_of_layers(model: Any, paths: Collection[str]) -> list[Slot]:
    """Every slot, biases included, of the layers with exactly these paths."""
    return [slot for path, layer in walk(model) if path in paths for slot in slots_of_layer(path, layer, True)[0]]


def slots_of_layer(path: str, layer: Any, biases: bool) -> tuple[tuple[Slot, ...], Why]:
    """The slots of a chosen layer, and why its other weights are not covered."""
    kind = _kind(layer)
    if kind is None:
        _refuse_wrapped(path, layer)
        return (), ("not a QKeras layer",)
    if kind in PASS_THROUGH:
        return (), ("not a kernel",)
    if kind not in COVERED:
        raise Refused(Refusal(path, f" ({kind}) is not supported{REASONS.get(kind, '')}"))
    if not layer.built:
        raise ModelError(f"layer '{path}' has no weights yet; build the model or call it once on data")
    parts = COVERED[kind] + ((BIAS,) if biases else ())
    return tuple(
        Slot(f"{path}/{tensor}", path, layer, attribute)
        for tensor, attribute in parts
        if getattr(layer, attribute, None) is not None and (tensor != "bias" or layer.use_bias or kind in FOLDING)
    ), ("no quantizer",)


def _refuse_wrapped(path: str, layer: Any) -> None:
    """UnsupportedError for one of Keras' own wrappers around something quantized; a custom layer may hold anything."""
    if not type(layer).__module__.startswith(f"{keras_home()}."):
        return
    for inner in layer._flatten_layers(include_self=False):
        kind = _kind(inner)
        if kind is not None and kind not in PASS_THROUGH:
            around = f"{type(layer).__name__} around {kind}"
            raise Refused(Refusal(path, f" ({around}) is not supported", f"put the {kind} into the model directly"))


def left_out(path: str, layer: Any, slots: tuple[Slot, ...], why: Why) -> Iterator[Uncovered]:
    stored = {slot.path.rsplit("/", 1)[-1] for slot in slots}
    if stored & KERNELS and _kind(layer) in FOLDING:
        if "bias" not in stored:
            channels = layer.filters or layer.depthwise_kernel.shape[2] * layer.depth_multiplier
            yield _uncovered(path, "bias", channels, _why_no_bias(layer))
        return
    for variable in layer.weights:
        name = _name_within(layer, variable)
        if name in stored or not variable.dtype.is_floating:
            continue
        why_this = _why_no_bias(layer) if stored and name == "bias" else why
        yield _uncovered(path, name, variable.shape.num_elements(), why_this)


def _uncovered(layer: str, name: str, n_values: Any, why: Why) -> Uncovered:
    return Uncovered(f"{layer}/{name}", int(n_values), said(why), why, layer)


def _name_within(layer: Any, variable: Any) -> str:
    """A variable's name without the scopes outside its layer: `kernel`, or `query/kernel` in a composite layer."""
    parts = str(variable.name).split(":")[0].split("/")
    outer = layer.name.split("/")
    for start in range(len(parts) - len(outer), -1, -1):
        if parts[start : start + len(outer)] == outer:
            return "/".join(parts[start + len(outer) :]) or parts[-1]
    return parts[-1]


def _why_no_bias(layer: Any) -> Why:
    quantized = getattr(layer, "bias_quantizer_internal", None) is not None
    return ("bias; ", Argument("biases", True), " covers it") if quantized else ("bias without a quantizer",)


def all_quantizers(model: Any) -> list[Any]:
    """Every QKeras quantizer object that some layer of the model holds."""
    base = qkeras().quantizers.BaseQuantizer
    return [module for module in model.submodules if isinstance(module, base)]


def quantizers_in_use(layer: Any) -> list[Any]:
    """The quantizer objects of one layer, without that of a bias which it does not have."""
    idle = None if getattr(layer, "use_bias", True) else getattr(layer, "bias_quantizer_internal", None)
    return [quantizer for quantizer in all_quantizers(layer) if quantizer is not idle]
