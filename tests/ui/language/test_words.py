"""Words in the language of the visitor."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest

from loravit_web.ui.language.words import age

NOW = datetime(2026, 11, 30, 12, tzinfo=timezone.utc)


@pytest.mark.parametrize(
    ("since", "shown"),
    [
        (timedelta(seconds=-5), "just now"),  # clocks of two machines differ
        (timedelta(seconds=59), "just now"),
        (timedelta(minutes=5, seconds=50), "5 min ago"),
        (timedelta(hours=23, minutes=59), "23 h ago"),
        (timedelta(days=1), "1 day ago"),
        (timedelta(days=30), "30 days ago"),
        (timedelta(days=31), "2026-10-30"),
    ],
)
def test_an_age_is_given_in_its_largest_unit_and_as_a_date_after_a_month(
    since: timedelta, shown: str
) -> None:
    assert age(NOW - since, NOW) == shown
