"""Masks: which bits to protect, chosen once and kept in files that outlive the weights; what protections leave."""

from fkeras.protection.choice import Campaign, Campaigned, Choice, ModelChoice, Weights, choose
from fkeras.protection.expected import WrongBits, wrong_bits
from fkeras.protection.free import FreeChoice, choose_free
from fkeras.protection.mask import Mask, read_mask
from fkeras.protection.order import Order, common_order
from fkeras.protection.word_tables import WordTables, read_words, write_words

__all__ = [
    "Campaign",
    "Campaigned",
    "Choice",
    "FreeChoice",
    "Mask",
    "ModelChoice",
    "Order",
    "Weights",
    "WordTables",
    "WrongBits",
    "choose",
    "choose_free",
    "common_order",
    "read_mask",
    "read_words",
    "write_words",
    "wrong_bits",
]
