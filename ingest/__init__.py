"""Take files into the knowledge base: parse, chunk, embed, store."""
