"""The time and the days of the person who looks at the page."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import streamlit as st

from ui.language import gettext, mark

MONTHS = (
    mark("January {year}"),
    mark("February {year}"),
    mark("March {year}"),
    mark("April {year}"),
    mark("May {year}"),
    mark("June {year}"),
    mark("July {year}"),
    mark("August {year}"),
    mark("September {year}"),
    mark("October {year}"),
    mark("November {year}"),
    mark("December {year}"),
)


def local(moment: datetime) -> datetime:
    """Return a moment in the time of the person's browser; in UTC where that is not known."""
    zone, offset = st.context.timezone, st.context.timezone_offset
    try:
        return moment.astimezone(ZoneInfo(zone) if zone else UTC)
    except (ZoneInfoNotFoundError, ValueError, OSError):  # a zone that is not known on this machine
        return (moment.astimezone(UTC) - timedelta(minutes=offset or 0)).replace(tzinfo=None)


def period(day: date, today: date) -> str:
    """Name the day, the week or the month that a day is in, as seen from another."""
    days = (today - day).days
    if days <= 0:
        return gettext("Today")
    if days == 1:
        return gettext("Yesterday")
    if days <= 7:
        return gettext("Previous 7 days")
    return gettext(MONTHS[day.month - 1], year=day.year)
