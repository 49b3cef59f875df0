"""How long a service asks to be left alone, in each of the forms that there are."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tvdb_assets.spend_guard.http_failures import retry_after

NOW = datetime(2026, 3, 14, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "20"}, 20),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after": "-3"}, 0),
        ({"retry-after-ms": "1500"}, 1.5),
        ({"retry-after-ms": "250", "retry-after": "1"}, 0.25),
        ({"retry-after-ms": "soon", "retry-after": "1"}, 1),
        ({"retry-after": "Sat, 14 Mar 2026 12:00:30 GMT"}, 30),
        ({"retry-after": "Sat, 14 Mar 2026 11:00:00 GMT"}, 0),
        ({"retry-after": "Sat, 14 Mar 2026 12:00:30 -0000"}, 30),
        ({"retry-after": "Sat, 14 Mar 2026 14:00:30 +0200"}, 30),
        # More than an hour is a slip of the service, not a wish.
        ({"retry-after": "Sat, 14 Mar 2099 12:00:00 GMT"}, 3_600),
        ({"retry-after": "1e300"}, 3_600),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": ""}, None),
        ({"retry-after": "Sat, 99 Mar 2026 12:00:30 GMT"}, None),
    ],
)
def test_each_form(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after(headers, NOW) == seconds


def test_a_date_is_compared_with_the_services_own_clock() -> None:
    # Ours may be an hour wrong; both of these are the service's.
    headers = {
        "date": "Sat, 14 Mar 2020 12:00:00 GMT",
        "retry-after": "Sat, 14 Mar 2020 12:00:07 GMT",
    }
    assert retry_after(headers) == 7


@given(st.floats(0, 3_600))
def test_seconds_and_milliseconds_are_what_they_say(seconds: float) -> None:
    assert retry_after({"retry-after": repr(seconds)}, NOW) == seconds
    assert retry_after({"retry-after-ms": repr(seconds * 1_000)}, NOW) == pytest.approx(seconds)


@given(st.integers(-3_600, 3_600))
def test_a_date_is_as_far_away_as_it_says(seconds: int) -> None:
    date = format_datetime(NOW + timedelta(seconds=seconds), usegmt=True)
    assert retry_after({"retry-after": date}, NOW) == max(0, seconds)


@given(st.text(), st.text(), st.text())
@example("", "1, 1 1 1:1:1 +99999999", "")
@example("", "1 Jan 99999 00:00:00 GMT", "1 Jan 1 00:00:00 +2300")
def test_garbage_is_no_wait_and_no_crash(milliseconds: str, value: str, date: str) -> None:
    headers = {"retry-after-ms": milliseconds, "retry-after": value, "date": date}
    seconds = retry_after(headers)
    assert seconds is None or (math.isfinite(seconds) and 0 <= seconds <= 3_600)
