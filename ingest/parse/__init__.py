"""Turn files into documents, each in a child process of its own that has a time and a memory limit."""

from ingest.parse.formats import FORMATS, SUFFIXES, format_of
from ingest.parse.process import parse_in_child

__all__ = ["FORMATS", "SUFFIXES", "format_of", "parse_in_child"]
