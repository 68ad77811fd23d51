"""Answer questions from documents: recall, rerank, generate."""
