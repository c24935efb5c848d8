"""Masks: which bits to protect, chosen once and kept in files that outlive the weights; what protections leave."""

from fkeras.protection.choice import Campaign, Campaigned, Choice, ModelChoice, Weights, choose
from fkeras.protection.expected import WrongBits, wrong_bits
from fkeras.protection.mask import Mask, read_mask
from fkeras.protection.order import Order, common_order
from fkeras.protection.word_tables import WordTables, read_words, write_words

__all__ = [
    "Campaign",
    "Campaigned",
    "Choice",
    "Mask",
    "ModelChoice",
    "Order",
    "Weights",
    "WordTables",
    "WrongBits",
    "choose",
    "common_order",
    "read_mask",
    "read_words",
    "write_words",
    "wrong_bits",
]
