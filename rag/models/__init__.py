"""Model files: which there are, where they come from, how they are loaded and run."""
