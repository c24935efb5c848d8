"""The CPU engine: a network's numbers under faults, for a fraction of the work, and without a framework.

What it exploits, one module each: `forward` (exact sums in any order), `behind` (only what lies behind the faulted
words is computed again), `rows` (exact layers in a row in one pass), `pointwise` (bias, activation and quantizer as
arithmetic), `channels` (one wrong weight changes one channel by step x input), `states` (equal faulty states are
evaluated once, unchanged ones not at all), `chain` and `flow` (behind it only what changed is added), `classes` (which
class wins, without the softmax), `suffix` and `tail` (from states to outputs). `worker` puts single flips together.
"""
