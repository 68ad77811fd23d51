"""The commands of `python -m rag`, one file each."""
