"""The GPU engine: a network's numbers under faults, computed by JAX; the CPU engine plans, scores, and judges ties.

`setup` (JAX, or what to install), `operations` (what the network's operations are on the device), `operand` (what their
products are made of), `fitting` (which networks it computes exactly), `program` (nodes on the device, and its memory),
`behind` and `stacks` (any fault sets, several at once), `channel` (single flips of a kernel, a channel at a time),
`counting` (scores of classes), `tails` (float layers behind the CPU engine's states); `run` puts them together.
"""
