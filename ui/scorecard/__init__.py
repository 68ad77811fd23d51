"""The scorecard: question sets, runs that are measured on them, and how they compare."""
