"""Several rerankers on one question: their orders beside each other, and why a passage moved."""
