"""Documents to passages that fit the embedder, text to vectors: dense ones from a model, sparse ones from the words."""
