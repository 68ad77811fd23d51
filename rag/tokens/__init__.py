"""Token vectors of passages: who makes them, how they are compressed, where they are kept."""
