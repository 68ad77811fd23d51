"""Ask a language model behind an OpenAI-compatible address: what it writes, what it only thinks, and how it ends."""
