"""What is kept in SQLite: conversations, ratings, votes, and the one way to a database file."""
