"""Wait for what another thread or process does, with an end."""

from __future__ import annotations

import time
from collections.abc import Callable

SECONDS = 60.0
"""Long enough for a machine that does much else besides; whoever waits so long waits in vain."""

POLL_SECONDS = 0.005


def wait_until(holds: Callable[[], object], pause: float = POLL_SECONDS) -> None:
    """Return when something holds, looking again after `pause` seconds; fail where it never does."""
    ends = time.monotonic() + SECONDS
    while not holds():
        assert time.monotonic() < ends, "What was waited for did not happen."
        time.sleep(pause)
