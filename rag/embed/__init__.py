"""Text to vectors: dense ones from a model, sparse ones from the words."""
