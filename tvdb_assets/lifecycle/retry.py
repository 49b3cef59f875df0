"""When a failed document is tried again, and when it is not: backoff and quarantine.

What belongs here: numbers and rules about failures of documents. What does not: retries of one
request to a service (`spend_guard`), or how long a deferred document waits (`due`).
"""

from __future__ import annotations

from datetime import timedelta

from tvdb_assets import error_codes as codes
from tvdb_assets.errors import Disposition
from tvdb_assets.lifecycle.states import Quarantine

FIRST_RETRY = timedelta(minutes=5)
"""From the first failure to the second attempt."""
BACKOFF_FACTOR = 4
"""Each further delay is this many times the one before."""
LONGEST_RETRY = timedelta(days=1)
MAX_ATTEMPTS = 8
"""Of a document whose failure may pass: the eighth comes three days after the first."""
WORKER_LOST = frozenset(
    entry.code for entry in (codes.PARSER_CRASHED, codes.PARSE_MEMORY, codes.PARSE_TIMEOUT)
)
"""Error codes of a document whose parser process was lost, which may not happen again."""
MAX_WORKERS_LOST = 3
"""After so many attempts a document that ends its parser's process is left alone."""


def retry_delay(attempts: int) -> timedelta:
    """From a failure to the next attempt.

    Args:
        attempts: failures so far, this one included; at least 1.
    """
    # The exponent is bounded, because a timedelta is.
    factor = float(BACKOFF_FACTOR ** (min(attempts, MAX_ATTEMPTS) - 1))
    return min(FIRST_RETRY * factor, LONGEST_RETRY)


def quarantine_after(code: str, disposition: Disposition, attempts: int) -> Quarantine | None:
    """Why a document that failed has no next attempt; None if it has one.

    Args:
        code: of its error.
        disposition: of its error.
        attempts: failures so far, this one included.
    """
    if code in WORKER_LOST:
        return Quarantine.POISON if attempts >= MAX_WORKERS_LOST else None
    if disposition is Disposition.TERMINAL:
        return Quarantine.TERMINAL
    return Quarantine.ATTEMPTS if attempts >= MAX_ATTEMPTS else None
