"""Paid calls past the whole guard, from separate processes, on a clock that the test moves.

What belongs here: one call and what came of it. What does not: what is checked of it.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import httpx2

from tvdb_assets.embedding.embedder_protocol import Vectors
from tvdb_assets.embedding.providers.openai import OpenAIEmbedder
from tvdb_assets.errors import TvdbError
from tvdb_assets.repositories.database import Database
from tvdb_assets.settings import load_settings
from tvdb_assets.spend_guard.guard import (
    CallObserver,
    Guard,
    PaidCall,
    ServiceResponse,
    Transaction,
)
from tvdb_assets.spend_guard.ledger import Ledger, Reservation
from tvdb_assets.spend_guard.paid_service import RequestPermit
from tvdb_assets.spend_guard.service_state_store import ServiceStates
from tvdb_assets_tests.spend_guard.ledger_invariants import LIMITS
from tvdb_assets_tests.spend_guard.reservations import opened


@dataclass(frozen=True)
class Clock:
    """A time that all processes read from one file."""

    path: Path

    def set(self, seconds: float) -> None:
        """Seconds since the epoch; replaced in one step, so that nobody reads half of it."""
        new = self.path.with_suffix(".new")
        new.write_text(repr(seconds))
        new.replace(self.path)

    def __call__(self) -> datetime:
        return datetime.fromtimestamp(float(self.path.read_text()), UTC)


@dataclass(frozen=True)
class Once:
    """One call of one attempt."""

    url: str
    server: str
    clock: Clock
    text: str = "Is flood damage covered?"


def call(given: Once) -> str:
    """``answered``, or the code of the error."""
    return asyncio.run(call_on(opened(given.url), given))


async def call_on(database: Database, given: Once, observer: CallObserver | None = None) -> str:
    settings = load_settings(OPENAI_API_KEY="sk-test", OPENAI_BASE_URL=f"{given.server}/v1")
    # Without certificates, which are half of what such a call costs.
    embedder = OpenAIEmbedder(settings, httpx2.AsyncHTTPTransport(verify=False))
    ledger = Ledger(database, LIMITS, given.clock)
    states = ServiceStates(database, given.clock)
    # No wait: a caller that is not admitted raises at once.
    guard = Guard(
        database,
        ledger,
        states,
        run_id="of the test",
        attempts=1,
        max_wait_seconds=0,
        observer=observer,
    )
    paid = PaidCall(
        service="openai",
        operation="embed",
        model=embedder.space.model,
        account=embedder.account,
        price=embedder.price,
        quantity=5,
        inputs=1,
        documents=["a.md"],
        quantities=[5],
    )

    async def send(permit: RequestPermit) -> ServiceResponse[Vectors]:
        return await embedder.request([given.text], permit)

    def persist(tx: Transaction, reservation: Reservation, vectors: Vectors) -> None:
        """The call is all that counts here."""

    try:
        await guard.call(paid, send, persist)
    except TvdbError as error:
        return error.code
    finally:
        await embedder.close()
    return "answered"
