"""Reservations from separate processes.

What belongs here: what such a process does. What does not: what is checked of it.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from uuid import uuid4

from tvdb_assets.errors import BudgetError
from tvdb_assets.repositories.database import Database
from tvdb_assets.spend_guard.budget import SpendLimits
from tvdb_assets.spend_guard.ledger import Ledger, Reservation, ReservationRequest
from tvdb_assets.spend_guard.prices import Price

TEN_CENTS = Price("token", Decimal("0.10"), "of the test")
THREADS = 4


@dataclass(frozen=True)
class Rush:
    """Reservations that one process makes as fast as it can."""

    url: str
    now: datetime
    reservations: int
    limits: SpendLimits
    service: str = "openai"


def attempt(
    *,
    quantity: int = 1,
    price: Price = TEN_CENTS,
    service: str = "openai",
    lease: timedelta = timedelta(minutes=5),
    most: int | None = None,
) -> ReservationRequest:
    return ReservationRequest(
        entry_id=uuid4(),
        call_id=uuid4(),
        number=1,
        run_id="of the test",
        service=service,
        operation="embed",
        model="text-embedding-3-small",
        purpose="first",
        documents=["a.md"],
        quantities=[quantity],
        inputs=1,
        quantity=quantity,
        price=price,
        lease=lease,
        most=most,
    )


def reserve(ledger: Ledger, wanted: ReservationRequest) -> Reservation | None:
    """The reservation, or None where the budget refuses it; other errors are raised."""
    try:
        return ledger.reserve(wanted)
    except BudgetError:
        return None


_OPEN: dict[str, Database] = {}


def opened(url: str) -> Database:
    """This process's connections to a database, reused for each task."""
    if url not in _OPEN:
        _OPEN[url] = Database(url, max_connections=THREADS)
    return _OPEN[url]


def rush(given: Rush) -> int:
    """How many reservations were admitted."""
    ledger = Ledger(opened(given.url), given.limits, lambda: given.now)

    def one(_: int) -> bool:
        return reserve(ledger, attempt(service=given.service)) is not None

    with ThreadPoolExecutor(THREADS) as threads:
        return sum(threads.map(one, range(given.reservations)))
