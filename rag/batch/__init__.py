"""Many questions in one go: read from a table, asked in the background, and kept one by one."""
