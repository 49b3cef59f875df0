"""The values that pass the guard: a paid call, a free request, a service's response.

What belongs here: values, and the points that a call reaches. What does not: the steps of a
call (`guard`).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Generic, Protocol, TypeAlias, TypeVar

import psycopg

from tvdb_assets.spend_guard.ledger import Reservation
from tvdb_assets.spend_guard.prices import Price
from tvdb_assets.spend_guard.rate_limiter import RateLimitHeaders
from tvdb_assets.spend_guard.service_state import TokenUsage
from tvdb_assets.tracing import TracedOperation

_MOST_COUNTED_FOR_ONE = 4
"""No tokenizer makes one token of so many that are counted here."""
Transaction: TypeAlias = psycopg.Connection[Any]
T = TypeVar("T")
Persist: TypeAlias = Callable[[Transaction, Reservation, T], None]
"""Stores a response, in the transaction that posts its cost."""
WriteIntent: TypeAlias = Callable[[Transaction, Reservation], None]
"""Records what is about to be sent, in the transaction that reserves its cost."""
CheckClaim: TypeAlias = Callable[[Transaction], None]
"""Raises `StorageError` if another process may pay for the same."""
Recover: TypeAlias = Callable[[], Awaitable[T | None]]
"""Finds the result of an attempt whose response was lost; None if there is none for certain."""


@dataclass(frozen=True, slots=True)
class PaidCall:
    """A request that costs money."""

    service: str
    operation: str
    model: str
    account: str
    """Fingerprint of key, server and model: a refusal of the account is remembered by it."""
    price: Price
    quantity: int
    """Units that are reserved: the most that are billed, by what is known of the service."""
    inputs: int
    documents: Sequence[str]
    quantities: Sequence[int]
    """Units of each document, in the order of ``documents``."""
    is_split: bool = False
    """A part of a batch that was refused as a whole."""
    suspect_failures: int | None = None
    """See `RetryPolicy`."""
    attempts_made: int = 0
    """Attempts that count for this call and were made before it."""
    is_count_exact: bool = False
    """The model's tokens are counted here, so that the service never bills less."""
    most: int | None = None
    """Units that may be billed, whatever was learned of the service: posted if the outcome is not
    known; None where ``quantity`` is certain."""
    likely_quantity: int | None = None
    """Units that are likely, for the rate limit; None where ``quantity`` is."""
    stage: str = ""
    """Of the pipeline, for traces."""
    traced_as: TracedOperation | None = None
    """In a trace; None names it by operation and model."""

    @property
    def counted(self) -> int:
        """Units as counted here; at least 1."""
        return max(1, sum(self.quantities))

    def billed(self, reported: int | None) -> int | None:
        """Units to post, where a service reports so many; None posts what is reserved."""
        known = self._possible(reported)
        return self.most if known is None else known

    def _possible(self, reported: int | None) -> int | None:
        """Units that a service can have billed, by its report; None where that says nothing.

        A report below an exact count can't be what the service bills. Neither can one of far fewer
        units than are counted here, whatever the tokenizer.
        """
        if reported is None:
            return None
        if self.is_count_exact:
            return max(reported, self.counted)
        return reported if reported * _MOST_COUNTED_FOR_ONE >= self.counted else None

    def usage(self, reported: int | None) -> TokenUsage | None:
        """What a response teaches about the tokenizer of its service, if anything."""
        if self.price.unit != "token" or reported is None or self._possible(reported) is None:
            return None
        return TokenUsage(self.counted, reported, self.quantity)


@dataclass(frozen=True, slots=True)
class FreeRequest:
    """A request that costs nothing."""

    service: str
    operation: str
    """``poll``, ``probe``."""
    account: str
    document: str | None = None
    stage: str = ""
    """Of the pipeline, for traces."""
    leads_to_usd: Decimal | None = None
    """What the paid request reserves that is to follow, as after an upload. If that does not fit
    the budget, this one is not sent either."""
    shows_health: bool = True
    """False if its success leaves open whether the service does what is paid for, so that it does
    not close the breaker."""


@dataclass(frozen=True, slots=True)
class ServiceResponse(Generic[T]):
    """A service's response, as its client read it."""

    value: T
    quantity: int | None = None
    """Units that the service billed; None posts the most that it can have billed."""
    request_id: str | None = None
    rate_limit_headers: RateLimitHeaders = field(default_factory=RateLimitHeaders)
    """The limits that the headers report."""
    job_id: str | None = None
    """Of a job that is billed when it is done: the reservation stays pending."""
    unusable: Mapping[int, str] = field(default_factory=dict)
    """By the number of an input: why the response has no usable result of it. Not of all inputs."""


class CallObserver(Protocol):
    """Notified of each point of a paid call; for traces, and for tests that kill there."""

    def reached(self, point: str, call: PaidCall, reservation: Reservation | None) -> None:
        """``point`` is one of `POINTS`."""
        ...


POINTS = (
    "before_reservation",
    "reserved",
    "admitted",
    "before_send",
    "answered",
    "before_commit",
    "committed",
    "recorded",
    "failed",
    "before_void",
    "voided",
    "before_loss",
    "loss_posted",
    "before_retry",
)
