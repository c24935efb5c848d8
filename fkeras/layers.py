"""Drop-in layers with faults, for training and for models that carry their faults along."""

from fkeras.frontends.layers import FQConv2D, FQConv2DBatchnorm, FQDense, FQDepthwiseConv2D

__all__ = ["FQConv2D", "FQConv2DBatchnorm", "FQDense", "FQDepthwiseConv2D"]
