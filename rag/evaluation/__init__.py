"""Measure searches and rerankers on questions with known answers: what is asked, how it is run, what it comes to."""
