"""Masks: which bits to protect, chosen once and kept in files that outlive the weights; what protections leave."""

from fkeras.protection.choice import Campaign, Campaigned, Choice, ModelChoice, Weights, choose
from fkeras.protection.expected import WrongBits, wrong_bits
from fkeras.protection.mask import Mask, read_mask
from fkeras.protection.order import Order, common_order

__all__ = [
    "Campaign",
    "Campaigned",
    "Choice",
    "Mask",
    "ModelChoice",
    "Order",
    "Weights",
    "WrongBits",
    "choose",
    "common_order",
    "read_mask",
    "wrong_bits",
]
