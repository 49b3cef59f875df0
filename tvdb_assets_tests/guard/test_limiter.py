"""What always holds of the rate limiter, for every sequence of arrivals."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tvdb_assets.guard.limiter import (
    BURST_SECONDS,
    Limiter,
    RateLimits,
    admit,
    blocked,
    learned,
)

ARRIVALS = st.lists(
    st.tuples(st.floats(0, 30), st.integers(0, 5_000)), min_size=1, max_size=80
)  # (seconds since the one before, tokens)


@given(ARRIVALS, st.integers(1, 600), st.integers(5_000, 100_000))
def test_no_stretch_of_time_holds_more_than_its_share_and_a_burst(
    arrivals: list[tuple[float, int]], per_minute: int, tokens_per_minute: int
) -> None:
    limiter = Limiter(RateLimits(per_minute, tokens_per_minute))
    now, sent = 1_000.0, []
    for pause, tokens in arrivals:
        now += pause
        limiter, wait, is_taken = admit(limiter, now, tokens, patience=1e9)
        assert is_taken
        sent.append((now + wait, tokens))
    sent.sort()
    for first in range(len(sent)):
        tokens = 0
        for last in range(first, len(sent)):
            seconds = sent[last][0] - sent[first][0]
            # A place is due when those before it are through: the last one itself comes on top.
            assert last - first <= per_minute / 60 * (seconds + BURST_SECONDS) + 1e-6
            assert tokens <= tokens_per_minute / 60 * (seconds + BURST_SECONDS) + 1e-3
            tokens += sent[last][1]


@given(ARRIVALS, st.floats(0, 120))
def test_nobody_waits_longer_than_his_patience_and_who_would_takes_no_place(
    arrivals: list[tuple[float, int]], patience: float
) -> None:
    limiter, now = Limiter(RateLimits(30, 6_000)), 1_000.0
    for pause, tokens in arrivals:
        now += pause
        before = limiter
        limiter, wait, is_taken = admit(limiter, now, tokens, patience)
        assert is_taken == (wait <= patience)
        if not is_taken:
            assert limiter == before


@given(st.lists(st.tuples(st.floats(0, 60), st.floats(0, 600)), min_size=1, max_size=20))
def test_nobody_is_sent_before_the_service_wants_it(wishes: list[tuple[float, float]]) -> None:
    limiter, now, until = Limiter(), 1_000.0, 0.0
    for pause, seconds in wishes:
        now += pause
        limiter = blocked(limiter, now, seconds)
        until = max(until, now + seconds)
        _, wait, _ = admit(limiter, now, 1, patience=1e9)
        assert now + wait == pytest.approx(until, abs=1e-6)


@given(st.floats(0, 1e6), st.integers(0, 10**6))
def test_without_a_known_limit_nobody_waits(now: float, tokens: int) -> None:
    limiter = Limiter()
    for _ in range(50):
        limiter, wait, is_taken = admit(limiter, now, tokens, patience=0)
        assert (wait, is_taken) == (0, True)


def test_what_a_service_does_not_tell_stays_as_it_was() -> None:
    limiter = learned(Limiter(), RateLimits(60, 1_000))
    assert learned(limiter, RateLimits()) is limiter
    assert learned(limiter, RateLimits(tokens_per_minute=500)).limits == RateLimits(60, 500)


def test_the_arithmetic_of_a_minute() -> None:
    # 6 requests a minute are one in 10 seconds; 10 seconds' worth, and the one due, go at once.
    limiter, waits = Limiter(RateLimits(requests_per_minute=6)), []
    for _ in range(5):
        limiter, wait, _ = admit(limiter, 100.0, 0, patience=60)
        waits.append(wait)
    assert waits == [0, 0, 10, 20, 30]
