"""Retries of failed documents: backoff and quarantine.

What belongs here: limits and rules for failed documents. What does not: retries of one
request to a service (`spend_guard`), or how long a deferred document waits (`due`).
"""

from __future__ import annotations

from datetime import timedelta

from tvdb_assets import error_codes as codes
from tvdb_assets.errors import Disposition
from tvdb_assets.lifecycle.states import Quarantine

FIRST_RETRY_DELAY = timedelta(minutes=5)
"""Delay between the first failure and the second attempt."""
BACKOFF_FACTOR = 4
"""Factor between one delay and the next."""
MAX_RETRY_DELAY = timedelta(days=1)
MAX_ATTEMPTS = 8
"""Attempts for a document with a transient error; the eighth is three days after the first."""
WORKER_LOST = frozenset(
    entry.code for entry in (codes.PARSER_CRASHED, codes.PARSE_MEMORY, codes.PARSE_TIMEOUT)
)
"""Error codes for a lost parser process, which may be a chance event."""
MAX_WORKERS_LOST = 3
"""Attempts for a document whose parser process is lost each time."""


def retry_delay(attempts: int) -> timedelta:
    """The delay between a failure and the next attempt.

    Args:
        attempts: failures so far, this one included; at least 1.
    """
    # The exponent is bounded, because a timedelta is.
    factor = float(BACKOFF_FACTOR ** (min(attempts, MAX_ATTEMPTS) - 1))
    return min(FIRST_RETRY_DELAY * factor, MAX_RETRY_DELAY)


def quarantine_after(code: str, disposition: Disposition, attempts: int) -> Quarantine | None:
    """The reason why a failed document is not retried; None if it is.

    Args:
        code: code of its error.
        disposition: disposition of its error.
        attempts: failures so far, this one included.
    """
    if code in WORKER_LOST:
        return Quarantine.POISON if attempts >= MAX_WORKERS_LOST else None
    if disposition is Disposition.TERMINAL:
        return Quarantine.TERMINAL
    return Quarantine.ATTEMPTS if attempts >= MAX_ATTEMPTS else None
