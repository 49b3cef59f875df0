"""Invariants of the rate limiter, for every sequence of arrivals."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tvdb_assets.spend_guard.rate_limiter import (
    BUCKET_SECONDS,
    Limiter,
    RateLimitHeaders,
    RateLimits,
    admit,
    block,
    update_from_headers,
)

ARRIVALS = st.lists(
    st.tuples(st.floats(0, 30), st.integers(0, 5_000)), min_size=1, max_size=80
)  # (seconds since the one before, tokens)


@given(ARRIVALS, st.integers(1, 600), st.integers(5_000, 100_000))
def test_no_stretch_of_time_holds_more_than_its_share_and_a_bucket(
    arrivals: list[tuple[float, int]], per_minute: int, tokens_per_minute: int
) -> None:
    limiter = Limiter(RateLimits(per_minute, tokens_per_minute))
    now, sent = 1_000.0, []
    for pause, tokens in arrivals:
        now += pause
        limiter, wait, is_taken = admit(limiter, now, tokens, max_wait=1e9)
        assert is_taken
        sent.append((now + wait, tokens))
    sent.sort()
    for first in range(len(sent)):
        tokens = 0
        for last in range(first, len(sent)):
            tokens += sent[last][1]
            seconds = sent[last][0] - sent[first][0] + BUCKET_SECONDS
            assert last - first + 1 <= per_minute / 60 * seconds + 1e-6
            assert tokens <= tokens_per_minute / 60 * seconds + 1e-3


@given(ARRIVALS, st.floats(0, 120))
def test_nobody_waits_longer_than_his_patience_and_who_would_takes_no_place(
    arrivals: list[tuple[float, int]], max_wait: float
) -> None:
    limiter, now = Limiter(RateLimits(30, 6_000)), 1_000.0
    for pause, tokens in arrivals:
        now += pause
        before = limiter
        limiter, wait, is_taken = admit(limiter, now, tokens, max_wait)
        assert is_taken == (wait <= max_wait)
        if not is_taken:
            assert limiter == before


@given(st.lists(st.tuples(st.floats(0, 60), st.floats(0, 600)), min_size=1, max_size=20))
def test_nobody_is_sent_before_the_service_wants_it(wishes: list[tuple[float, float]]) -> None:
    limiter, now, until = Limiter(), 1_000.0, 0.0
    for pause, seconds in wishes:
        now += pause
        limiter = block(limiter, now, seconds)
        until = max(until, now + seconds)
        _, wait, _ = admit(limiter, now, 1, max_wait=1e9)
        assert now + wait == pytest.approx(until, abs=1e-6)


@given(st.floats(0, 1e6), st.integers(0, 10**6))
def test_without_a_known_limit_nobody_waits(now: float, tokens: int) -> None:
    limiter = Limiter()
    for _ in range(50):
        limiter, wait, is_taken = admit(limiter, now, tokens, max_wait=0)
        assert (wait, is_taken) == (0, True)


def test_what_a_service_does_not_tell_stays_as_it_was() -> None:
    limiter = update_from_headers(Limiter(), 0.0, RateLimitHeaders(RateLimits(60, 1_000)))
    assert update_from_headers(limiter, 7.0, RateLimitHeaders()) == limiter
    headers = RateLimitHeaders(RateLimits(tokens_per_minute=500))
    assert update_from_headers(limiter, 7.0, headers).limits == RateLimits(60, 500)


def test_what_others_have_used_is_waited_for() -> None:
    limits = RateLimits(600, 60_000)
    limiter = Limiter(limits)
    for _ in range(3):
        limiter, wait, _ = admit(limiter, 100.0, 10_000, max_wait=0)
        assert wait == 0
    # The service has seen one of the three; that is no news, nor is the age of its answer.
    assert update_from_headers(limiter, 100.5, RateLimitHeaders(limits, 599, 50_000)) == limiter
    limiter = update_from_headers(limiter, 100.5, RateLimitHeaders(limits, 400, 5_000))
    limiter, wait, _ = admit(limiter, 100.5, 10_000, max_wait=60)
    assert wait == pytest.approx(5)
    _, wait, _ = admit(limiter, 200.0, 60_000, max_wait=0)
    assert wait == 0, "it is full again"


def test_what_is_left_of_a_longer_window_holds_nobody_up() -> None:
    # Some services report the requests of a day in the same headers.
    limits = RateLimits(requests_per_minute=14_400)
    limiter = update_from_headers(Limiter(), 100.0, RateLimitHeaders(limits, requests_left=1))
    _, wait, _ = admit(limiter, 100.0, 10, max_wait=0)
    assert wait == 0


def test_the_arithmetic_of_a_minute() -> None:
    limiter, waits = Limiter(RateLimits(requests_per_minute=6)), []
    for _ in range(9):
        limiter, wait, _ = admit(limiter, 100.0, 0, max_wait=60)
        waits.append(wait)
    assert waits == [0, 0, 0, 0, 0, 0, 10, 20, 30]
