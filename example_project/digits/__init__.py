"""Handwritten digits: a small quantized CNN, its data and its training."""
