"""Text as text: sentences, overlap, tables."""
