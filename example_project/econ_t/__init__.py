"""ECON-T: the autoencoder that compresses trigger data of a hexagonal calorimeter wafer, its data and its training."""
