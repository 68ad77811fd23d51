"""What a person can do, whoever draws it: ask, write answers, add and delete files, label, measure, take away."""
