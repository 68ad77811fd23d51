"""The day that something was last used on, in the person's words."""

from __future__ import annotations

from datetime import date

import pytest

from ui.clock import period

TODAY = date(2026, 3, 1)


@pytest.mark.parametrize(
    ("day", "name"),
    [
        (date(2026, 3, 2), "Today"),  # the clock of the machine may be ahead
        (TODAY, "Today"),
        (date(2026, 2, 28), "Yesterday"),
        (date(2026, 2, 27), "Previous 7 days"),
        (date(2026, 2, 22), "Previous 7 days"),
        (date(2026, 2, 21), "February 2026"),
        (date(2025, 12, 31), "December 2025"),
    ],
)
def test_a_day_is_named_by_how_near_it_is(day: date, name: str) -> None:
    assert period(day, TODAY) == name
