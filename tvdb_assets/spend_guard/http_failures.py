"""What a failed HTTP request to a paid service means: statuses, codes, and Retry-After.

What belongs here: what all paid services have in common, mapped from status and error code.
What does not: codes of one service alone (its client), or the consequences (`guard`).

No text of a service goes into a message of ours: it may quote the document or the key.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from math import isfinite

import httpx2

from tvdb_assets import error_codes as codes
from tvdb_assets.errors import TvdbError, UnavailableError
from tvdb_assets.spend_guard.call_failures import CallFailed, Charge, FailureKind
from tvdb_assets.spend_guard.paid_http_client import UnusableAnswerError

QUOTA_CODES = frozenset(
    {
        "insufficient_quota",
        "credit_balance_exhausted",
        "credits_exhausted",
        "billing_hard_limit_reached",
        "billing_not_active",
        "spend_limit_reached",
        "spend_limit_exceeded",
        "project_spend_limit_reached",
        "organization_spend_limit_reached",
        "access_terminated",
        "account_deactivated",
    }
)
"""The code decides, not the status: they come as 400, 402, 403 or 429, and no retry helps."""
_KEY_CODES = frozenset({"invalid_api_key", "invalid_organization", "ip_not_authorized"})
_MODEL_CODES = frozenset({"model_not_found", "invalid_model"})
_PASSING = frozenset({408, 409, 425})
"""In addition to 500 and above: the same request may succeed later."""
_GATEWAY = frozenset({408, 502, 504, 520, 522, 524})
"""Sent by a gateway before the service, which may have done and billed the work meanwhile."""
_UNSENT = (
    httpx2.ConnectError,
    httpx2.ConnectTimeout,
    httpx2.PoolTimeout,
    httpx2.ProxyError,
    httpx2.UnsupportedProtocol,
    httpx2.LocalProtocolError,
)
_LONGEST_WAIT_SECONDS = 3_600.0
"""A service that asks for more is called again after this time: no header can stop it for ever."""
_TOLD_SECONDS = 400 * 86_400.0
"""A longer wait is no date that people can use."""


def service_failure(
    service: str, status: int, code: str, headers: Mapping[str, str], now: datetime | None = None
) -> CallFailed | None:
    """The meaning of a status and an error code for the service as a whole.

    Args:
        service: its name for people.
        status: of HTTP.
        code: of the service's error body; empty where there was none.
        headers: of the answer.
        now: to compare a Retry-After date with.

    Returns:
        The failure, or None where it is about this one request.
    """
    error: TvdbError
    if code in QUOTA_CODES or "spend_limit" in code or status == 402:
        error = codes.QUOTA_EXHAUSTED.error(service=service)
    elif status == 401 or code in _KEY_CODES:
        error = codes.KEY_REFUSED.error(service=service)
    elif status == 403:
        error = codes.PERMISSION_REFUSED.error(service=service)
    elif status == 404 or 300 <= status < 400 or code in _MODEL_CODES:
        error = codes.MODEL_NOT_FOUND.error(service=service)
    elif status == 429:
        return throttled(service, status, headers, now=now)
    elif status in _PASSING or status >= 500:
        return outage(service, status, headers, now=now)
    else:
        return None
    return CallFailed(
        FailureKind.REFUSED, error, status=status, request_id=headers.get("x-request-id")
    )


def throttled(
    service: str,
    status: int,
    headers: Mapping[str, str],
    seconds: float | None = None,
    now: datetime | None = None,
) -> CallFailed:
    """Too many requests; ``seconds`` is a wait that the body asks for."""
    asked = _retry_after(headers, now)
    asked = seconds if asked is None else asked
    error = codes.RATE_LIMITED.error(service=service)
    if asked is not None and _LONGEST_WAIT_SECONDS < asked < _TOLD_SECONDS:
        until = (now or datetime.now(UTC)) + timedelta(seconds=asked)
        error = codes.RATE_LIMITED_UNTIL.error(service=service, until=f"{until:%Y-%m-%d %H:%M}")
    return CallFailed(
        FailureKind.THROTTLED,
        error,
        retry_after=None if asked is None else min(asked, _LONGEST_WAIT_SECONDS),
        status=status,
        request_id=headers.get("x-request-id"),
    )


def outage(
    service: str, status: int, headers: Mapping[str, str], now: datetime | None = None
) -> CallFailed:
    """The service, or a gateway before it, failed."""
    return CallFailed(
        FailureKind.UNAVAILABLE,
        unavailable(service, f"it answered with status {status}"),
        charge=Charge.BOUND if status in _GATEWAY else Charge.NONE,
        retry_after=retry_after(headers, now),
        status=status,
        request_id=headers.get("x-request-id"),
    )


def connection_failure(service: str, cause: BaseException | None) -> CallFailed:
    """No response: not sent, so certainly free; or sent, so perhaps billed."""
    was_sent = not isinstance(cause, _UNSENT)
    if isinstance(cause, httpx2.TimeoutException):
        what = "it did not answer in time"
    elif isinstance(cause, UnusableAnswerError):
        what = "its answer is larger than any that can be right, or can't be decompressed"
    elif was_sent:
        what = "the connection broke before its answer arrived"
    else:
        what = "no connection could be made"
    return CallFailed(
        FailureKind.UNAVAILABLE,
        unavailable(service, what),
        charge=Charge.BOUND if was_sent else Charge.NONE,
        was_sent=was_sent,
    )


def bad_answer(service: str, what: str, status: int, request_id: str | None) -> CallFailed:
    """It responded, and perhaps billed, but the response can't be used."""
    return CallFailed(
        FailureKind.UNAVAILABLE,
        codes.BAD_ANSWER.error(service=service, why=what),
        charge=Charge.BOUND,
        status=status,
        request_id=request_id,
    )


def unavailable(service: str, what: str) -> UnavailableError:
    """The error of a service that gave no answer."""
    return codes.SERVICE_UNAVAILABLE.error(service=service, why=what)


def retry_after(headers: Mapping[str, str], now: datetime | None = None) -> float | None:
    """Seconds to wait, from ``retry-after-ms``, or ``retry-after`` as seconds or a date."""
    seconds = _retry_after(headers, now)
    return None if seconds is None else min(seconds, _LONGEST_WAIT_SECONDS)


def _retry_after(headers: Mapping[str, str], now: datetime | None) -> float | None:
    milliseconds = _number(headers.get("retry-after-ms"))
    if milliseconds is not None:
        return milliseconds / 1_000
    value = headers.get("retry-after")
    seconds = _number(value)
    if seconds is not None:
        return seconds
    date = _date(value)
    if date is None:
        return None
    # By the service's own clock, where it sends the time: ours may be wrong.
    now = now or _date(headers.get("date")) or datetime.now(UTC)
    return max(0.0, (date - now).total_seconds())


def _date(value: str | None) -> datetime | None:
    if value is None:
        return None
    try:
        date = parsedate_to_datetime(value)
        return date.astimezone(UTC) if date.tzinfo is not None else date.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return None


def _number(value: str | None) -> float | None:
    try:
        number = float(value) if value is not None else None
    except ValueError:
        return None
    # NaN and infinity are no number of seconds, and a negative one asks for no wait.
    return max(0.0, number) if number is not None and isfinite(number) else None
