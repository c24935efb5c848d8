"""The GPU engine: a network's numbers under faults, computed by JAX; the CPU engine plans, scores, and judges ties.

`setup` (JAX, or what to install), `operations` (what the network's operations are on the device), `fitting` (which
networks it computes exactly, and with which operands), `program` (nodes compiled for many faults at once), `behind`
(any fault set), `channel` (single flips of a kernel, a channel at a time), `tails` (float layers behind the CPU
engine's states), `run` puts them together.
"""
