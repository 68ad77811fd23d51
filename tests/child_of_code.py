"""A module of children whose job is Python code: what it says about itself, or how it ends."""

from __future__ import annotations


def prepare(job: str) -> None:
    """Have nothing to load."""


def main(job: str) -> int:
    """Run the code."""
    exec(job, {})
    return 0
