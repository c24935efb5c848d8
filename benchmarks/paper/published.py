"""The numbers that the paper states in words (section 4), by our names of the networks."""

from __future__ import annotations

SENSITIVE_PERCENT = {"ECON-T Small": 100.0, "ECON-T Medium": 63.5, "ECON-T Large": 6.55, "CIFAR-10 CNN": 82.72}
GOLDEN = {"ECON-T Medium": "EMD 1.10", "ECON-T Large": "EMD 0.807", "CIFAR-10 CNN": "accuracy 83.1 %"}
HESSIAN_TOP_1_PERCENT = {"ECON-T Medium": "about 18 %"}
BINFI_TOP_1_PERCENT = {"ECON-T Medium": "about 41 %"}
BINFI_FLIPS = {"ECON-T Medium": "about 6,000 of 12,720"}
BINFI_MISSED = {"ECON-T Small": "none", "ECON-T Medium": "676 of 8,080 (8.4 %; the text says 5 %)"}
STATFI_MISSED_PERCENT = {
    ("ECON-T Small", "unaware"): "5 %",
    ("ECON-T Small", "aware"): "37 %",
    ("ECON-T Large", "unaware"): "35 %",
    ("CIFAR-10 CNN", "unaware"): "76 %",
}
UNHARMED_WITHOUT_PROTECTION = "13.4 %"
