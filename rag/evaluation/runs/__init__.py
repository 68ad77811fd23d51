"""Measure configurations on a set of questions."""
