"""How a paid call fails, in the terms that the guard acts on.

What belongs here: the meaning of a failed attempt for money, retry and the service's health. What
does not: any service's statuses and codes; each client maps its own to these.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from tvdb_assets.errors import TvdbError, causes_of, link
from tvdb_assets.spend_guard.rate_limiter import RateLimitHeaders


class FailureKind(StrEnum):
    """The meaning of a failed attempt."""

    UNAVAILABLE = "unavailable"
    """No response, or none that can be used: retried, and counted by the breaker."""
    THROTTLED = "throttled"
    """Too many requests: retried when the service says; its health is not in doubt."""
    UNKNOWN = "unknown"
    """An unknown error: retried once, then attributed to the input."""
    LEARNED = "learned"
    """The service lacks a part of its protocol, and the next request does without it: retried at
    once."""
    CONTENT = "content"
    """This input is refused: another input would be accepted."""
    REFUSED = "refused"
    """Key, quota or model: no input would be accepted. The service is not called for a while."""


class Charge(StrEnum):
    """The cost of a failed attempt."""

    NONE = "none"
    """Nothing for certain: the service refused, or was never reached."""
    BOUND = "bound"
    """It may have succeeded and been billed: the response was lost, or can't be used."""


class CallFailed(Exception):  # noqa: N818 - it is an outcome, and the error is within
    """One attempt failed; `error` is raised if no other attempt follows.

    Never leaves the guard: it raises ``error``, with this as its cause.
    """

    def __init__(
        self,
        kind: FailureKind,
        error: TvdbError,
        *,
        charge: Charge = Charge.NONE,
        was_sent: bool = True,
        retry_after: float | None = None,
        status: int | None = None,
        request_id: str | None = None,
        rate_limit_headers: RateLimitHeaders | None = None,
        is_about_size: bool = False,
        may_be_input: bool = False,
        unusable: str | None = None,
    ) -> None:
        super().__init__(f"{kind}: {error.code}")
        self.kind = kind
        self.error = error
        self.charge = charge
        self.was_sent = was_sent
        self.retry_after = retry_after
        """Seconds, where the service asked for it."""
        self.status = status
        self.request_id = request_id
        self.rate_limit_headers = rate_limit_headers or RateLimitHeaders()
        """Of the response."""
        self.is_about_size = is_about_size
        """Another request with fewer inputs may be accepted, whatever they are."""
        self.may_be_input = may_be_input
        """An input may be what the service fails at, as another request may show."""
        self.unusable = unusable
        """What is wrong with all results of a response that has the right form otherwise."""

    def __reduce__(self) -> tuple[object, ...]:
        rest = {
            "charge": self.charge,
            "was_sent": self.was_sent,
            "retry_after": self.retry_after,
            "status": self.status,
            "request_id": self.request_id,
            "rate_limit_headers": self.rate_limit_headers,
            "is_about_size": self.is_about_size,
            "may_be_input": self.may_be_input,
            "unusable": self.unusable,
        }
        return (
            _rebuild,
            (self.kind, self.error, rest),
            {"causes": causes_of(self)},
        )

    def __setstate__(self, state: dict[str, Any] | None) -> None:
        link(self, (state or {}).get("causes", ()))


def _rebuild(kind: FailureKind, error: TvdbError, rest: dict[str, Any]) -> CallFailed:
    return CallFailed(kind, error, **rest)
