"""Measure what the design claims: each part against what it replaces, with the same input, in one run."""

import rag  # noqa: F401 - before the peers that are measured: it tells libraries not to report to their makers
