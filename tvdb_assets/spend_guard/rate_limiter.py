"""The rate limiter: GCRA, pure, on a state that all processes share.

What belongs here: when the next request may go out. What does not: the hourly limit, which
is a budget (`budget`), or where the state is stored (`service_state_store`).

The generic cell rate algorithm stores one time per limit: when the bucket would be empty again
(ITU-T I.371). A request reserves its slot at once and then waits for it, so no caller polls
and none starves.

It follows the service's own bucket, which contains a minute's allowance and refills evenly. The
headers of each response report how full it is, so that requests of other programs count too.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

BUCKET_SECONDS = 60.0
"""Of a limit's allowance that may go out at once: limits are those of a minute."""
_NEWS_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class RateLimits:
    """The limits of a service, as far as they are known; 0 means not known, so not limited."""

    requests_per_minute: float = 0.0
    tokens_per_minute: float = 0.0


@dataclass(frozen=True, slots=True)
class RateLimitHeaders:
    """The limits that the headers of one response report; None where a header is missing."""

    limits: RateLimits = field(default_factory=RateLimits)
    requests_left: float | None = None
    tokens_left: float | None = None


@dataclass(frozen=True, slots=True)
class Limiter:
    """The state of one service's limits; times are seconds since the epoch."""

    limits: RateLimits = field(default_factory=RateLimits)
    requests_due: float = 0.0
    """When all admitted requests would have been sent at an even pace."""
    tokens_due: float = 0.0
    last: float = 0.0
    """When the newest request that was admitted goes out."""
    blocked_until: float = 0.0
    """The service asked for it: Retry-After, or nothing remaining."""


def admit(
    limiter: Limiter, now: float, tokens: int, max_wait: float
) -> tuple[Limiter, float, bool]:
    """Reserve a slot for one request.

    Args:
        limiter: the state.
        now: seconds since the epoch.
        tokens: of the request.
        max_wait: most seconds that the caller would wait.

    Returns:
        The new state, seconds to wait before sending, and whether a slot was reserved; none is
        where the wait would be longer than ``max_wait``.
    """
    of_request = _seconds(1, limiter.limits.requests_per_minute)
    of_tokens = _seconds(tokens, limiter.limits.tokens_per_minute)
    at = max(
        now,
        limiter.blocked_until,
        # One queue: a request that waits for one limit delays those after it, or two would be
        # sent together.
        limiter.last,
        # It is sent when the bucket has room for it and for those before it.
        limiter.requests_due + of_request - BUCKET_SECONDS,
        limiter.tokens_due + of_tokens - BUCKET_SECONDS,
    )
    if at - now > max_wait:
        return limiter, at - now, False
    changed = replace(
        limiter,
        last=at,
        requests_due=max(limiter.requests_due, at) + of_request,
        tokens_due=max(limiter.tokens_due, at) + of_tokens,
    )
    return changed, at - now, True


def block(limiter: Limiter, now: float, seconds: float) -> Limiter:
    """Admit nothing for some seconds, as the service asked; the longest such time counts."""
    return replace(limiter, blocked_until=max(limiter.blocked_until, now + seconds))


def update_from_headers(limiter: Limiter, now: float, headers: RateLimitHeaders) -> Limiter:
    """Follow the limits and remainders that a response reports; the others stay as they are."""
    limits = RateLimits(
        headers.limits.requests_per_minute or limiter.limits.requests_per_minute,
        headers.limits.tokens_per_minute or limiter.limits.tokens_per_minute,
    )
    return replace(
        limiter,
        limits=limits,
        requests_due=_due(
            limiter.requests_due, now, headers.requests_left, limits.requests_per_minute
        ),
        tokens_due=_due(limiter.tokens_due, now, headers.tokens_left, limits.tokens_per_minute),
    )


def _due(due: float, now: float, left: float | None, per_minute: float) -> float:
    """When the bucket is full again, by the remainder that was reported and by the state here."""
    if left is None:
        return due
    reported = now + _seconds(max(0.0, per_minute - left), per_minute)
    # Requests in flight are known here alone, so the later time is right. But the report is as
    # old as its response, so a difference below that age is no news.
    return reported if reported > due + _NEWS_SECONDS else due


def _seconds(units: float, per_minute: float) -> float:
    return 60.0 * units / per_minute if per_minute else 0.0
