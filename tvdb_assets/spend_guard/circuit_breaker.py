"""The circuit breaker: a pure state machine that stops calls to a failing service for a while.

What belongs here: the transitions, on frozen values and a time that is passed in. What does
not: where the state is stored so that all processes share it (`service_state_store`).

::

    closed ──(failures in a row)──> open ──(time is up)──> half-open
      ^                               ^                       │ one leased probe
      └────────── probe answered ─────┼───── probe failed ────┘

Only a sign that the service itself is unhealthy counts as a failure: no response, a 5xx, a
response that can't be used. A refused text, a rate limit and an exhausted quota do not.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

FAILURES = 5
"""In a row, until the breaker opens."""
OPEN_SECONDS = 15.0
"""Of the first opening; each probe that fails doubles it."""
LONGEST_OPEN_SECONDS = 300.0
PROBE_SECONDS = 120.0
"""A probe's lease: longer than a request may take. After it, another may probe."""


@dataclass(frozen=True, slots=True)
class Breaker:
    """The state of one dependency; times are seconds since the epoch."""

    failures: int = 0
    """In a row, while closed."""
    open_seconds: float = 0.0
    """How long it was opened for; 0 while closed."""
    open_until: float = 0.0
    probe: str = ""
    """The caller that has the lease of the half-open probe."""
    probe_until: float = 0.0

    @property
    def is_closed(self) -> bool:
        """Whether calls pass freely."""
        return not self.open_seconds

    def name(self, now: float) -> str:
        """``closed``, ``open`` or ``half-open``."""
        if self.is_closed:
            return "closed"
        return "open" if now < self.open_until else "half-open"


def admit(breaker: Breaker, now: float, caller: str) -> tuple[Breaker, float]:
    """Ask to pass.

    Returns:
        The new state, and how many seconds to wait before asking again; 0 means that the
        caller passes now, and if the breaker is not closed, that it is the probe.
    """
    if breaker.is_closed:
        return breaker, 0.0
    if now < breaker.open_until:
        return breaker, breaker.open_until - now
    if breaker.probe and breaker.probe != caller and now < breaker.probe_until:
        return breaker, breaker.probe_until - now
    return replace(breaker, probe=caller, probe_until=now + PROBE_SECONDS), 0.0


def record_success(breaker: Breaker, caller: str) -> Breaker:
    """The service answered, if only to refuse a text. Late answers don't close an open breaker."""
    if breaker.is_closed:
        return replace(breaker, failures=0) if breaker.failures else breaker
    return Breaker() if breaker.probe == caller else breaker


def record_failure(breaker: Breaker, now: float, caller: str) -> Breaker:
    """The service gave no usable answer. Late failures don't keep the breaker open for longer."""
    if breaker.is_closed:
        if breaker.failures + 1 < FAILURES:
            return replace(breaker, failures=breaker.failures + 1)
        return Breaker(open_seconds=OPEN_SECONDS, open_until=now + OPEN_SECONDS)
    if breaker.probe != caller:
        return breaker
    seconds = min(LONGEST_OPEN_SECONDS, 2 * breaker.open_seconds)
    return Breaker(open_seconds=seconds, open_until=now + seconds)


def release_probe(breaker: Breaker, caller: str) -> Breaker:
    """The probe found nothing out, or was not sent: let another caller probe."""
    if breaker.probe != caller:
        return breaker
    return replace(breaker, probe="", probe_until=0.0)
