"""Drop-in QKeras layers whose kernel words go wrong while they train and compute.

One mechanism for all of them: while the layer computes, its kernel quantizer's output passes through words with
faults. The scale is the quantizer's own at that moment, elements without a fault keep QKeras' float32, and gradients
pass straight through.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from fkeras.errors import InputError
from fkeras.faults import BitErrorRate, FaultSet
from fkeras.frontends.description.home import is_quantizer
from fkeras.frontends.loading import quantizing_keras
from fkeras.frontends.qkeras.quantizers import codec_of
from fkeras.frontends.qkeras.slots import DEPTHWISE, KERNEL
from fkeras.memory import Codec

tf, keras, _qkeras = quantizing_keras()

MAX_WIDTH = 16
"""Widest word of a layer here: words are looked up in a table of all their values."""

KernelFaults = FaultSet | Sequence[int] | Mapping[str, Sequence[int]]


class _WordTable:
    """A codec as two look-ups in a graph: value to word, word to value."""

    def __init__(self, codec: Codec) -> None:
        values = codec.decode(np.arange(1 << codec.width, dtype=np.uint32))
        emitted = np.unique(values)
        self._values = values
        self._midpoints = (emitted[1:] + emitted[:-1]) / 2
        self._words = codec.encode(emitted).astype(np.int32)

    def word(self, units: Any) -> Any:
        """The word of the nearest value; (n,) int32."""
        return tf.gather(tf.constant(self._words), tf.searchsorted(tf.constant(self._midpoints), units))

    def value(self, words: Any) -> Any:
        """The value of each word; (n,) float64."""
        return tf.gather(tf.constant(self._values), words)


class _Calls:
    """A call counter that Keras does not take for a weight: weights fit the QKeras layer, saving is as ever."""

    def __init__(self) -> None:
        with tf.init_scope():
            self._count = tf.Variable(0, dtype=tf.int64, trainable=False, name="calls")

    def next(self) -> Any:
        """The number of this call, counted from 1."""
        return self._count.assign_add(1, read_value=True)


@tf.custom_gradient  # type: ignore[untyped-decorator]
def _straight_through(values: Any, faulty: Any) -> Any:
    """`faulty`, exactly, with the gradient of `values`."""
    return tf.identity(faulty), lambda upstream: (upstream, None)


class _FaultyKernel:
    """What the FQ layers share: their arguments, and the faults between quantizer and computation."""

    _slot = KERNEL
    name: str

    def __init__(
        self, *args: Any, faults: KernelFaults | None = None, ber: float | None = None, seed: int = 0, **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        if faults is not None and ber is not None:
            raise InputError(
                f"layer '{self.name}': faults and ber are both given; give fixed faults or a bit error rate, not both"
            )
        if isinstance(seed, bool) or not isinstance(seed, int | np.integer):
            raise InputError(f"layer '{self.name}': seed is {seed!r}; allowed are whole numbers")
        self.faults = None if faults is None else _fault_set(faults, self.name)
        self.ber = None if ber is None else BitErrorRate(ber).ber
        self.seed = int(seed)
        self._calls = _Calls() if self.ber else None

    def build(self, input_shape: Any) -> None:
        """Create the weights and check the faults against them. InputError for bits that the kernel lacks."""
        super().build(input_shape)  # type: ignore[misc]
        if self.faults is None and self.ber is None:
            return
        tensor, attribute = self._slot
        if getattr(self, attribute) is None:
            raise InputError(
                f"layer '{self.name}': faults hit the words of a quantized kernel, and it has no "
                f"{attribute.removesuffix('_internal')}; give it one"
            )
        codec = codec_of(getattr(self, attribute), self.name, _qkeras)
        if codec.width > MAX_WIDTH:
            raise InputError(
                f"layer '{self.name}': {codec.width}-bit words; a layer with faults takes up to "
                f"{MAX_WIDTH}; use fkeras.injected for wider ones"
            )
        self._table = _WordTable(codec)
        self._width = codec.width
        self._masks = [
            _masks(bits, int(np.prod(getattr(self, tensor).shape)), codec.width, self.name)
            for bits in (() if self.faults is None else (self.faults.flips, self.faults.set_to_1, self.faults.set_to_0))
        ]

    def _with_faults(self, compute: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """`compute` with faults behind the kernel quantizer that it calls.

        When something else than a quantizer stands there, the words are being read or injected from outside, and the
        layer's own faults stay out of it.
        """
        attribute = self._slot[1]
        quantizer = getattr(self, attribute)
        if (self.faults is None and not self.ber) or not is_quantizer(quantizer):
            return compute(*args, **kwargs)
        object.__setattr__(self, attribute, lambda x: self._faulty(quantizer, x))
        try:
            return compute(*args, **kwargs)
        finally:
            object.__setattr__(self, attribute, quantizer)

    def _faulty(self, quantizer: Any, x: Any) -> Any:
        values = quantizer(x)
        scale = getattr(quantizer, "scale", None)
        wide = tf.broadcast_to(tf.cast(1.0 if scale is None else scale, tf.float64), tf.shape(values))
        units = tf.math.divide_no_nan(tf.cast(values, tf.float64), wide)
        stored = self._table.word(tf.reshape(units, [-1]))
        flips, set_to_1, set_to_0 = self._masks or (self._drawn(tf.size(stored)), 0, 0)
        words = ((stored ^ flips) | set_to_1) & ~tf.constant(set_to_0, tf.int32)
        faulty = tf.cast(tf.reshape(self._table.value(words), tf.shape(values)) * wide, values.dtype)
        changed = tf.reshape(tf.not_equal(words, stored), tf.shape(values))
        return _straight_through(values, tf.where(changed, faulty, values))

    def _drawn(self, n_words: Any) -> Any:
        """A mask of bits to flip for each word, from seed, layer name and call number alone."""
        assert self._calls is not None
        seed = tf.stack([tf.constant(self.seed ^ crc32(self.name.encode()), tf.int64), self._calls.next()])
        hit = tf.random.stateless_uniform([n_words, self._width], seed, dtype=tf.float64) < self.ber
        return tf.reduce_sum(tf.cast(hit, tf.int32) * tf.constant([1 << bit for bit in range(self._width)]), axis=1)

    def get_config(self) -> dict[str, Any]:
        """The QKeras layer's configuration with faults, ber and seed."""
        config: dict[str, Any] = super().get_config()  # type: ignore[misc]
        fixed = (
            None
            if self.faults is None
            else {name: getattr(self.faults, name).tolist() for name in ("flips", "set_to_1", "set_to_0")}
        )
        return {**config, "faults": fixed, "ber": self.ber, "seed": self.seed}


def _fault_set(faults: KernelFaults, layer: str) -> FaultSet:
    if isinstance(faults, Mapping):
        parts = dict(faults)
        unknown = sorted(set(parts) - {"flips", "set_to_1", "set_to_0"})
        if unknown:
            raise InputError(
                f"layer '{layer}': faults has the key {unknown[0]!r}; allowed are flips, set_to_1, set_to_0"
            )
        flips, set_to_1, set_to_0 = (np.asarray(parts.get(name, ())) for name in ("flips", "set_to_1", "set_to_0"))
        return FaultSet(flips, set_to_1, set_to_0)
    fault_set = faults if isinstance(faults, FaultSet) else FaultSet(np.asarray(faults))
    if fault_set.layout_digest is not None:
        raise InputError(
            f"layer '{layer}': these faults belong to the memory of a whole model; give the flat indices "
            "of the kernel's own bits, or use fkeras.injected"
        )
    return fault_set


def _masks(bits: NDArray[np.int64], n_words: int, width: int, layer: str) -> NDArray[np.int32]:
    if bits.size and bits[-1] >= n_words * width:
        raise InputError(
            f"layer '{layer}': bit {int(bits[-1])} does not exist: its kernel has {n_words} words of "
            f"{width} bits, 0 to {n_words * width - 1}"
        )
    masks = np.zeros(n_words, np.int32)
    np.bitwise_or.at(masks, bits // width, (1 << (width - 1 - bits % width)).astype(np.int32))
    return masks


def _public(layer: type) -> type:
    registered: type = keras.utils.register_keras_serializable(package="fkeras")(layer)
    return registered


_ARGUMENTS = """

    All arguments of the QKeras layer, and:
    faults: bits of the kernel's own words that are always wrong: flat indices (word x width + bit, bit 0 the most
    significant, Keras flatten order) that flip, a FaultSet, or a dict of flips, set_to_1, set_to_0;
    ber: instead, the probability with which each bit flips, drawn anew at each call from `seed`, the layer's name and
    the number of the call (counted from the layer's creation or loading, in training and in inference).
    Faults act in training and in inference; gradients pass straight through. Reading its words (`bit_space`) gives
    the fault-free ones, and a view of `fkeras.injected` has the faults given to it only. InputError for both
    arguments, for bits that the kernel lacks, or for a kernel without a quantizer.
    """


@_public
class FQDense(_FaultyKernel, _qkeras.QDense):  # type: ignore[misc, name-defined]
    __doc__ = "QDense with faults in its stored kernel." + _ARGUMENTS

    def call(self, inputs: Any) -> Any:
        return self._with_faults(super().call, inputs)


@_public
class FQConv2D(_FaultyKernel, _qkeras.QConv2D):  # type: ignore[misc, name-defined]
    __doc__ = "QConv2D with faults in its stored kernel." + _ARGUMENTS

    def call(self, inputs: Any) -> Any:
        return self._with_faults(super().call, inputs)


@_public
class FQDepthwiseConv2D(_FaultyKernel, _qkeras.QDepthwiseConv2D):  # type: ignore[misc, name-defined]
    __doc__ = "QDepthwiseConv2D with faults in its stored kernel." + _ARGUMENTS
    _slot = DEPTHWISE

    def call(self, inputs: Any) -> Any:
        return self._with_faults(super().call, inputs)


@_public
class FQConv2DBatchnorm(_FaultyKernel, _qkeras.QConv2DBatchnorm):  # type: ignore[misc, name-defined]
    __doc__ = "QConv2DBatchnorm with faults in its stored kernel, which is the folded one." + _ARGUMENTS

    def call(self, inputs: Any, training: Any = None) -> Any:
        return self._with_faults(super().call, inputs, training=training)


CUSTOM_OBJECTS = {layer.__name__: layer for layer in (FQDense, FQConv2D, FQDepthwiseConv2D, FQConv2DBatchnorm)}
