"""From passages to an answer whose citations are checked."""
