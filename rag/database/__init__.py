"""What is kept in SQLite: the one way to a database file, conversations, ratings, votes."""
