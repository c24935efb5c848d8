"""The fast engine: exactly the reference's numbers, for a fraction of the work.

What it exploits, one module each: `graph` (only what lies downstream of the faulted layer is computed again),
`exactness` (where sums are exact, so that their order does not matter), `pointwise` (bias, activation and quantizer as
arithmetic), `channels` (one wrong weight changes one channel by step x input), `states` (equal faulty states are
evaluated once, unchanged ones not at all), `chain` and `flow` (behind it only what changed is added), `classes` (which
class wins, without the softmax), `suffix` (from states to outputs). `worker` puts them together.
"""
