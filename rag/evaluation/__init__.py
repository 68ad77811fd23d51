"""Measure searches and rerankers on a labelled set."""
