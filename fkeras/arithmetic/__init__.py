"""Fixed-point layers in whole numbers, at the speed of the processor's dot products: `forward.Forward`."""
