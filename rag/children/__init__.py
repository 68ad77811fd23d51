"""Child processes: what they get to know, what they may take, and how they are started."""
