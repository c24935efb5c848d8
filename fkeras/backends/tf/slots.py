"""Where a model's stored words enter its computation: one slot per quantized weight tensor.

A slot is a layer and the attribute that holds the quantizer which the layer calls on that tensor.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from fkeras.backends.tf.setup import qkeras, tensorflow
from fkeras.errors import ModelError, UnsupportedError
from fkeras.memory import LayerChoice, Uncovered

KERNEL = ("kernel", "kernel_quantizer_internal")
DEPTHWISE = ("depthwise_kernel", "depthwise_quantizer_internal")
POINTWISE = ("pointwise_kernel", "pointwise_quantizer_internal")
BIAS = ("bias", "bias_quantizer_internal")

COVERED = {
    "QDense": (KERNEL,),
    "QConv1D": (KERNEL,),
    "QConv2D": (KERNEL,),
    "QConv2DBatchnorm": (KERNEL,),
    "QDepthwiseConv2D": (DEPTHWISE,),
    "QDepthwiseConv2DBatchnorm": (DEPTHWISE,),
    "QSeparableConv1D": (DEPTHWISE, POINTWISE),
    "QSeparableConv2D": (DEPTHWISE, POINTWISE),
}
FOLDING = ("QConv2DBatchnorm", "QDepthwiseConv2DBatchnorm")
KERNELS = {tensor for parts in COVERED.values() for tensor, _ in parts}
PASS_THROUGH = (
    "QActivation",
    "QAdaptiveActivation",
    "QBatchNormalization",
    "QAveragePooling2D",
    "QGlobalAveragePooling2D",
)
CANNOT_BE_BUILT = " (QKeras 0.9 cannot build it on current TensorFlow)"
REASONS = {"QConv2DTranspose": CANNOT_BE_BUILT, "QGRU": CANNOT_BE_BUILT}


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
    def shape(self) -> tuple[int, ...] | None:
        """Keras' shape of the tensor; None for a bias that a folding layer makes out of its batch norm."""
        variable = getattr(self.layer, self.path.rsplit("/", 1)[-1], None)
        return None if variable is None else tuple(variable.shape)


@dataclass(frozen=True, slots=True)
class Inventory:
    """All slots that were chosen, and the weights that were not."""

    slots: tuple[Slot, ...]
    uncovered: tuple[Uncovered, ...]


def walk(model: Any, prefix: str = "", seen: set[int] | None = None) -> Iterator[tuple[str, Any]]:
    """(path, layer) for every layer, in model order, depth first; a shared layer once, at its first path.

    A pruning wrapper counts as the layer inside it.
    """
    keras = tensorflow().keras
    seen = set() if seen is None else seen
    for layer in model.layers:
        if type(layer).__name__ == "PruneLowMagnitude":
            layer = layer.layer
        if id(layer) in seen:
            continue
        seen.add(id(layer))
        path = f"{prefix}{layer.name}"
        if isinstance(layer, keras.Model):
            yield from walk(layer, f"{path}/", seen)
        else:
            yield path, layer


def _kind(layer: Any) -> str | None:
    """The QKeras class that a layer is (or derives from), None for layers that are not QKeras'."""
    for base in type(layer).__mro__:
        if base.__module__.split(".")[0] == "qkeras":
            return base.__name__
        if base.__module__.split(".")[0] == "tf_keras":
            return None
    return None


def take_inventory(model: Any, layers: str | Sequence[str] = "*", biases: bool = False) -> Inventory:
    """The slots of the chosen layers, and everything with weights that they leave out.

    UnsupportedError names a chosen layer whose words are not known.
    """
    chosen = LayerChoice(layers)
    found = list(walk(model))
    chosen.require_matches([path for path, _ in found])
    slots: list[Slot] = []
    uncovered: list[Uncovered] = []
    for path, layer in found:
        here, reason = _slots_of(path, layer, biases) if chosen(path) else ((), "not chosen by layers=")
        slots += here
        uncovered += _left_out(path, layer, here, reason)
    return Inventory(tuple(slots), tuple(uncovered))


def slots_of_layers(model: Any, paths: Collection[str]) -> list[Slot]:
    """Every slot, biases included, of the layers with exactly these paths."""
    return [slot for path, layer in walk(model) if path in paths for slot in _slots_of(path, layer, True)[0]]


def _slots_of(path: str, layer: Any, biases: bool) -> tuple[tuple[Slot, ...], str]:
    """The slots of a chosen layer, and why its other weights are not covered."""
    kind = _kind(layer)
    if kind is None:
        _refuse_wrapped(path, layer)
        return (), "not a QKeras layer"
    if kind in PASS_THROUGH:
        return (), "not a kernel"
    if kind not in COVERED:
        raise UnsupportedError(
            f"layer '{path}' ({kind}) is not supported{REASONS.get(kind, '')}; exclude it with layers='!{path}'"
        )
    if not layer.built:
        raise ModelError(f"layer '{path}' has no weights yet; build the model or call it once on data")
    parts = COVERED[kind] + ((BIAS,) if biases else ())
    return tuple(
        Slot(f"{path}/{tensor}", path, layer, attribute)
        for tensor, attribute in parts
        if getattr(layer, attribute, None) is not None and (tensor != "bias" or layer.use_bias or kind in FOLDING)
    ), "no quantizer"


def _refuse_wrapped(path: str, layer: Any) -> None:
    """UnsupportedError for one of Keras' own wrappers around something quantized; a custom layer may hold anything."""
    if not type(layer).__module__.startswith("tf_keras."):
        return
    for inner in layer._flatten_layers(include_self=False):
        kind = _kind(inner)
        if kind is not None and kind not in PASS_THROUGH:
            raise UnsupportedError(
                f"layer '{path}' ({type(layer).__name__} around {kind}) is not supported; put the "
                f"{kind} into the model directly, or exclude it with layers='!{path}'"
            )


def _left_out(path: str, layer: Any, slots: tuple[Slot, ...], reason: str) -> Iterator[Uncovered]:
    stored = {slot.path.rsplit("/", 1)[-1] for slot in slots}
    if stored & KERNELS and _kind(layer) in FOLDING:
        if "bias" not in stored:
            channels = layer.filters or layer.depthwise_kernel.shape[2] * layer.depth_multiplier
            yield Uncovered(f"{path}/bias", int(channels), _bias_reason(layer))
        return
    for variable in layer.weights:
        name = _name_within(layer, variable)
        if name in stored or not variable.dtype.is_floating:
            continue
        yield Uncovered(
            f"{path}/{name}",
            int(variable.shape.num_elements()),
            _bias_reason(layer) if stored and name == "bias" else reason,
        )


def _name_within(layer: Any, variable: Any) -> str:
    """A variable's name without the scopes outside its layer: `kernel`, or `query/kernel` in a composite layer."""
    parts = str(variable.name).split(":")[0].split("/")
    outer = layer.name.split("/")
    for start in range(len(parts) - len(outer), -1, -1):
        if parts[start : start + len(outer)] == outer:
            return "/".join(parts[start + len(outer) :]) or parts[-1]
    return parts[-1]


def _bias_reason(layer: Any) -> str:
    quantized = getattr(layer, "bias_quantizer_internal", None) is not None
    return "bias; biases=True covers it" if quantized else "bias without a quantizer"


def all_quantizers(model: Any) -> list[Any]:
    """Every QKeras quantizer object that some layer of the model holds."""
    base = qkeras().quantizers.BaseQuantizer
    return [module for module in model.submodules if isinstance(module, base)]
