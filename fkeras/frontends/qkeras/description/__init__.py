"""A QKeras model as a network: what its layers store and compute, read layer by layer and never believed."""

from fkeras.frontends.description import NotDescribed
from fkeras.frontends.qkeras.description.inventory import inventory_of
from fkeras.frontends.qkeras.description.network import network_of

__all__ = ["NotDescribed", "inventory_of", "network_of"]
