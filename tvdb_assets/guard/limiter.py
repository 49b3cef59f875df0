"""The rate limiter: GCRA, pure, on a state that all processes share.

What belongs here: when the next request may go out. What does not: the hourly limit, which
is a budget (`budget`), or where the state is kept (`states`).

The generic cell rate algorithm keeps one time a limit: when the bucket would be empty again
(ITU-T I.371). A request takes its place in line at once and then waits for it, so nobody
polls and nobody starves.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

BURST_SECONDS = 10.0
"""Of a limit's allowance that may go out at once; well within the minute that services count."""


@dataclass(frozen=True, slots=True)
class RateLimits:
    """What a service allows, as far as it is known; 0 means not known, so not limited."""

    requests_per_minute: float = 0.0
    tokens_per_minute: float = 0.0


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
    limiter: Limiter, now: float, tokens: int, patience: float
) -> tuple[Limiter, float, bool]:
    """Take a place in line for one request.

    Args:
        limiter: the state.
        now: seconds since the epoch.
        tokens: of the request.
        patience: most seconds that the caller would wait.

    Returns:
        The new state, seconds to wait before sending, and whether the place was taken; it
        is not where the wait would be longer than ``patience``.
    """
    at = max(
        now,
        limiter.blocked_until,
        # One line: whoever waits for one limit holds up those behind, or two would go together.
        limiter.last,
        # A place is due when those before it are through, less what may burst.
        limiter.requests_due - BURST_SECONDS,
        limiter.tokens_due - BURST_SECONDS,
    )
    if at - now > patience:
        return limiter, at - now, False
    limits = limiter.limits
    changed = replace(
        limiter,
        last=at,
        requests_due=max(limiter.requests_due, at) + _seconds(1, limits.requests_per_minute),
        tokens_due=max(limiter.tokens_due, at) + _seconds(tokens, limits.tokens_per_minute),
    )
    return changed, at - now, True


def blocked(limiter: Limiter, now: float, seconds: float) -> Limiter:
    """The service asked to be left alone for some seconds; the longest such wish holds."""
    return replace(limiter, blocked_until=max(limiter.blocked_until, now + seconds))


def learned(limiter: Limiter, limits: RateLimits) -> Limiter:
    """The service told its limits; what it did not tell stays as it was."""
    known = RateLimits(
        limits.requests_per_minute or limiter.limits.requests_per_minute,
        limits.tokens_per_minute or limiter.limits.tokens_per_minute,
    )
    return limiter if known == limiter.limits else replace(limiter, limits=known)


def _seconds(units: int, per_minute: float) -> float:
    return 60.0 * units / per_minute if per_minute else 0.0
