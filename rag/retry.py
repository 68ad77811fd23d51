"""Whether a server that failed is asked again, and after what pause."""

from __future__ import annotations

import time
from email.utils import parsedate_to_datetime
from http import HTTPStatus

RETRY_PAUSE = 0.5
"""Seconds before the second try, unless the server asks for another pause; each pause after it is twice as long."""


def may_pass(status: int) -> bool:
    """Tell whether the same request may succeed in a moment, by the status of the answer that refused it."""
    passing = (HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS)
    return status in passing or status >= HTTPStatus.INTERNAL_SERVER_ERROR


def pause_before_retry(status: int, retry_after: str = "", tries: int = 1) -> float | None:
    """Return the seconds after which asking again may help, None where it will not.

    `retry_after` is the header Retry-After of the answer: seconds or a date. So many `tries` have been made.
    """
    return asked_pause(retry_after, backoff(tries)) if may_pass(status) else None


def backoff(tries: int) -> float:
    """Return the seconds to wait after so many tries where the server asks for no other pause."""
    return RETRY_PAUSE * 2.0 ** (tries - 1)


def asked_pause(retry_after: str, otherwise: float) -> float:
    """Return the seconds in a header Retry-After, seconds or a date, or what stands in where it has neither."""
    try:
        return max(0.0, float(retry_after))
    except ValueError:
        pass
    try:
        return max(parsedate_to_datetime(retry_after).timestamp() - time.time(), 0.0)
    except (ValueError, OverflowError):
        return otherwise
