"""Text that can be printed: nothing in it commands a terminal, forges a line or turns the reading direction."""

from __future__ import annotations

import json
import re

UNPRINTABLE = re.compile(
    "[\x00-\x1f\x7f-\x9f\u00ad\u200b\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ud800-\udfff\U000e0000-\U000e007f]"
)


def printable(text: str, keeping: str = "") -> str:
    r"""Return a text with what cannot be seen, or does something when it is printed, written as in JSON: \u001b, \n."""
    return UNPRINTABLE.sub(lambda found: found[0] if found[0] in keeping else json.dumps(found[0])[1:-1], text)
