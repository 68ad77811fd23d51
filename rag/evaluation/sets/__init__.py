"""Questions with known answers: labelled sets, question sets, and their files."""
