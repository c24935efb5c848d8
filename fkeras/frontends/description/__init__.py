"""What layers of Keras, QKeras and their like compute, as operations of a network: whatever framework they are of."""

from fkeras.frontends.description.draft import Application, drafted, sample_shape
from fkeras.frontends.description.home import Home
from fkeras.frontends.description.layers import KINDS, describe
from fkeras.frontends.description.steps import NoOperation, NotDescribed, Place, Step, Steps, constant

__all__ = [
    "KINDS",
    "Application",
    "Home",
    "NoOperation",
    "NotDescribed",
    "Place",
    "Step",
    "Steps",
    "constant",
    "describe",
    "drafted",
    "sample_shape",
]
