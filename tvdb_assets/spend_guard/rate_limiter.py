"""The rate limiter: GCRA, pure, on a state that all processes share.

What belongs here: when the next request may go out. What does not: the hourly limit, which
is a budget (`budget`), or where the state is kept (`states`).

The generic cell rate algorithm keeps one time a limit: when the bucket would be empty again
(ITU-T I.371). A request takes its place in line at once and then waits for it, so nobody
polls and nobody starves.

It is the service's own bucket that is followed: it holds a minute's allowance and refills
evenly, and each answer tells how full it is, so that what others use of it counts too.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

BUCKET_SECONDS = 60.0
"""Of a limit's allowance that may go out at once: limits are those of a minute."""
_NEWS_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class RateLimits:
    """What a service allows, as far as it is known; 0 means not known, so not limited."""

    requests_per_minute: float = 0.0
    tokens_per_minute: float = 0.0


@dataclass(frozen=True, slots=True)
class RateLimitHeaders:
    """What one answer tells of the limits; None where it tells nothing."""

    limits: RateLimits = field(default_factory=RateLimits)
    requests_left: float | None = None
    tokens_left: float | None = None


@dataclass(frozen=True, slots=True)
class Limiter:
    """The state of one service's limits; times are seconds since the epoch."""

    limits: RateLimits = field(default_factory=RateLimits)
    requests_due: float = 0.0
    """When all requests that were admitted would be through at an even pace."""
    tokens_due: float = 0.0
    last: float = 0.0
    """When the newest request that was admitted goes out."""
    blocked_until: float = 0.0
    """The service said so: Retry-After, or nothing remaining."""


def admit(
    limiter: Limiter, now: float, tokens: int, max_wait: float
) -> tuple[Limiter, float, bool]:
    """Take a place in line for one request.

    Args:
        limiter: the state.
        now: seconds since the epoch.
        tokens: of the request.
        max_wait: most seconds that the caller would wait.

    Returns:
        The new state, seconds to wait before sending, and whether the place was taken; it
        is not where the wait would be longer than ``max_wait``.
    """
    of_request = _seconds(1, limiter.limits.requests_per_minute)
    of_tokens = _seconds(tokens, limiter.limits.tokens_per_minute)
    at = max(
        now,
        limiter.blocked_until,
        # One line: whoever waits for one limit holds up those behind, or two would go together.
        limiter.last,
        # It goes when the bucket has room for it beside those before it.
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
    """The service asked to be left alone for some seconds; the longest such wish holds."""
    return replace(limiter, blocked_until=max(limiter.blocked_until, now + seconds))


def update_from_headers(limiter: Limiter, now: float, told: RateLimitHeaders) -> Limiter:
    """The service told its limits and what is left; what it did not tell stays as it was."""
    limits = RateLimits(
        told.limits.requests_per_minute or limiter.limits.requests_per_minute,
        told.limits.tokens_per_minute or limiter.limits.tokens_per_minute,
    )
    return replace(
        limiter,
        limits=limits,
        requests_due=_due(
            limiter.requests_due, now, told.requests_left, limits.requests_per_minute
        ),
        tokens_due=_due(limiter.tokens_due, now, told.tokens_left, limits.tokens_per_minute),
    )


def _due(due: float, now: float, left: float | None, per_minute: float) -> float:
    """When the bucket is full again, by what the service says is left and by what is known here."""
    if left is None:
        return due
    told = now + _seconds(max(0.0, per_minute - left), per_minute)
    # What is in flight is known here alone, so the later time is right; but what the service
    # told is as old as its answer, and is no news for that.
    return told if told > due + _NEWS_SECONDS else due


def _seconds(units: float, per_minute: float) -> float:
    return 60.0 * units / per_minute if per_minute else 0.0
