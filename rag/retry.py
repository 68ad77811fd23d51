"""Whether a server that failed is asked again, and after what pause."""

from __future__ import annotations

import time
from email.utils import parsedate_to_datetime
from http import HTTPStatus

RETRY_PAUSE = 0.5
"""Seconds before another try, unless the server asks for another pause."""


def may_pass(status: int) -> bool:
    """Tell whether the same request may succeed in a moment, by the status of the answer that refused it."""
    passing = (HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS)
    return status in passing or status >= HTTPStatus.INTERNAL_SERVER_ERROR


def pause_before_retry(status: int, retry_after: str = "") -> float | None:
    """Return the seconds after which asking again may help, None where it will not.

    `retry_after` is the header Retry-After of the answer: seconds or a date.
    """
    if not may_pass(status):
        return None
    try:
        return max(0.0, float(retry_after))
    except ValueError:
        pass
    try:
        return max(parsedate_to_datetime(retry_after).timestamp() - time.time(), 0.0)
    except (ValueError, OverflowError):
        return RETRY_PAUSE
