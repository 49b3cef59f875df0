"""Rows of the ledger for tests: a call that was paid for, lost, retried or is still out."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

from tvdb_assets.repositories.database import Database
from tvdb_assets.spend_guard.budget import SpendLimits
from tvdb_assets.spend_guard.ledger import Ledger, Reservation, ReservationRequest
from tvdb_assets.spend_guard.prices import Price

DAY = datetime(2026, 3, 1, tzinfo=UTC)
PRICE = Price("token", Decimal("0.01"), "test")
"""One cent a token, so that the arithmetic of a test can be read."""


class Paying:
    """A ledger with a clock that the test sets."""

    def __init__(self, database: Database, daily_usd: str = "10.00") -> None:
        self.now = DAY + timedelta(hours=8)
        self.database = database
        self.ledger = Ledger(
            database, SpendLimits(Decimal(daily_usd), 1_000), clock=lambda: self.now
        )

    def reservation(
        self,
        tokens: int,
        documents: Sequence[str] = ("a.md",),
        quantities: Sequence[int] = (),
        **more: Any,
    ) -> Reservation:
        number = more.pop("number", 1)
        attempt = ReservationRequest(
            entry_id=uuid4(),
            call_id=more.pop("call_id", UUID(int=1)),
            number=number,
            run_id=more.pop("run_id", "run-1"),
            service=more.pop("service", "openai"),
            operation=more.pop("operation", "embed"),
            model=more.pop("model", "small"),
            purpose="retry" if number > 1 else "first",
            documents=documents,
            quantities=quantities or [tokens],
            inputs=1,
            quantity=tokens,
            price=PRICE,
            lease=timedelta(minutes=5),
        )
        assert not more
        return self.ledger.reserve(attempt)

    def pay(self, tokens: int, *, outcome: str = "answered", **more: Any) -> None:
        reservation = self.reservation(tokens, **more)
        with self.database.transaction() as tx:
            self.ledger.post(tx, reservation, quantity=tokens, outcome=outcome, status=200)
