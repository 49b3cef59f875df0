"""Whether and when a failed attempt is retried: the only owner of that decision.

What belongs here: the consequence of each kind of failure. What does not: making the attempts
(`guard`), or the meaning of a service's response (the client of the service).
"""

from __future__ import annotations

from tvdb_assets import error_codes as codes
from tvdb_assets.errors import causes_of
from tvdb_assets.spend_guard import circuit_breaker
from tvdb_assets.spend_guard.call_failures import CallFailed, FailureKind

_UNKNOWN_ATTEMPTS = 2


class BreakerOpen(CallFailed):
    """Nothing was sent; retried when the breaker allows a probe."""

    def __init__(self, service: str, seconds: float) -> None:
        error = codes.BREAKER_OPEN.error(
            service=service, failures=circuit_breaker.FAILURES, seconds=seconds
        )
        super().__init__(FailureKind.THROTTLED, error, was_sent=False, retry_after=seconds)
        self.service = service
        self.seconds = seconds

    def __reduce__(self) -> tuple[object, ...]:
        return BreakerOpen, (self.service, self.seconds), {"causes": causes_of(self)}


class RetryPolicy:
    """Whether and when the failed attempts of one call are retried."""

    def __init__(
        self, max_wait: float, wait_if_open: bool, suspect_failures: int | None = None
    ) -> None:
        """No attempt was made yet.

        Args:
            max_wait: most seconds between two attempts.
            wait_if_open: False gives up where the breaker is open.
            suspect_failures: equal failures that may be due to an input, after which the caller
                wants to find out; also the attempts at an unknown refusal. None retries them like
                any other.
        """
        self._max_wait = max_wait
        self._wait_if_open = wait_if_open
        self._suspect_failures = suspect_failures
        self._unknown = 0
        self._suspect = 0
        self._status: int | None = None
        self._last: tuple[BaseException, bool | float] | None = None

    def wait_after(self, error: Exception) -> bool | float:
        """False to give up, True for a wait of growing length, or seconds."""
        if self._last is None or self._last[0] is not error:
            self._last = error, self._decide(error)
        return self._last[1]

    def _decide(self, error: Exception) -> bool | float:
        if isinstance(error, BreakerOpen) and not self._wait_if_open:
            return False
        if not isinstance(error, CallFailed) or error.kind in (
            FailureKind.CONTENT,
            FailureKind.REFUSED,
        ):
            return False
        if error.kind is FailureKind.UNKNOWN:
            self._unknown += 1
            if self._unknown >= (self._suspect_failures or _UNKNOWN_ATTEMPTS):
                return False
        if error.may_be_input and self._suspect_failures is not None:
            self._suspect = self._suspect + 1 if error.status == self._status else 1
            self._status = error.status
            if self._suspect >= self._suspect_failures:
                return False
        if error.retry_after is None:
            return True
        return error.retry_after if error.retry_after <= self._max_wait else False
