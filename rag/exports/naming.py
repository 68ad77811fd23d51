"""Name the files that are taken away."""

from __future__ import annotations

import re
from datetime import date

LONGEST = 40
NO_WORD = re.compile(r"[\W_]+")


def file_name(about: str, ending: str, day: date) -> str:
    """Return a name such as resift-what-may-i-eat-2026-11-21.html, with the letters of any script."""
    words = NO_WORD.sub("-", about.lower()).strip("-")[:LONGEST].strip("-")
    return "-".join(filter(None, ("resift", words, day.isoformat()))) + f".{ending}"
