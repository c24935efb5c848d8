"""Models of Keras 3: of HGQ2, of QKeras for Keras 3, and Keras' own layers between them."""

from fkeras.frontends.description import NotDescribed
from fkeras.frontends.keras3.inventory import inventory_of
from fkeras.frontends.keras3.network import network_of

__all__ = ["NotDescribed", "inventory_of", "network_of"]
