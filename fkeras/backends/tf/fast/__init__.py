"""The fast engine: exactly the reference's numbers, for a fraction of the work.

What it exploits, one module each: `graph` (only what lies downstream of the faulted layer is computed again),
`exactness` (where sums are exact, so that their order does not matter), `channels` (one wrong weight changes one
channel by step x input), `states` (equal faulty states are evaluated once, unchanged ones not at all), `suffix` (from
states to outputs).
"""
