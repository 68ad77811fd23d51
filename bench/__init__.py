"""Measure what the design claims: each part against what it replaces, with the same input, in one run."""
