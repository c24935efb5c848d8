"""A network that belongs to no framework: what is stored, and what is computed with it, in plain numbers."""
