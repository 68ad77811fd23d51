"""What a person can do, whoever draws it."""
