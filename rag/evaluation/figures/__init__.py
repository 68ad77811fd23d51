"""What a run says: figures, comparisons, wins."""
