"""Masks of protected bits in the order of hls4ml's arrays."""

from __future__ import annotations

import numpy as np

from fkeras.backends.hls4ml.words import Hls4mlOrder
from fkeras.memory import BitSet
from fkeras.protection import Mask
from fkeras.protection.mask import MaskTensor


def in_hls4ml_order(mask: Mask, order: Hls4mlOrder) -> Mask:
    """The same bits as a mask of hls4ml's arrays: tensor `conv/w3` has one word per entry of weights/w3.txt.

    It writes JSON, CSV and C headers as every mask does. LayoutError for a mask of another memory.
    """
    bits = mask.on(order.space)
    covered = np.zeros(len(order.space), bool)
    covered[bits.bits] = True
    tensors = tuple(
        MaskTensor(f"{held.node}/{held.variable}", (tensor.size,), tensor.codec.width)
        for held, tensor in zip(order.tensors, order.space.tensors, strict=True)
    )
    label = f"{bits.label} in hls4ml's order" if bits.label else "in hls4ml's order"
    moved = Mask(BitSet(np.flatnonzero(covered[order.bits])), tensors)
    return Mask(
        BitSet(moved.bits.bits, moved.layout_digest, label),
        tensors,
        {**mask.provenance, "keras_mask": mask.digest, "order": {held.variable: held.path for held in order.tensors}},
    )
