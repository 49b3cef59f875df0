"""A request that is cancelled while it is out gives the breaker's probe back.

What belongs here: requests that nobody waits for any more. What does not: what a lost answer
costs (`test_ledger_kills`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from tvdb_assets.repositories.database import Database
from tvdb_assets.spend_guard.budget import SpendLimits
from tvdb_assets.spend_guard.circuit_breaker import Breaker
from tvdb_assets.spend_guard.guard import FreeRequest, Guard, PaidCall, ServiceResponse
from tvdb_assets.spend_guard.ledger import Ledger
from tvdb_assets.spend_guard.prices import Price
from tvdb_assets.spend_guard.service_state import ServiceState
from tvdb_assets.spend_guard.service_state_store import ServiceStates

SERVICE = "a service"
NOW = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
Make = Callable[[Guard, Callable[[object], Awaitable[ServiceResponse[None]]]], Awaitable[None]]


def now() -> datetime:
    return NOW


async def ask(guard: Guard, send: Callable[[object], Awaitable[ServiceResponse[None]]]) -> None:
    await guard.ask(FreeRequest(SERVICE, "poll", "an account"), send)


async def pay(guard: Guard, send: Callable[[object], Awaitable[ServiceResponse[None]]]) -> None:
    call = PaidCall(
        service=SERVICE,
        operation="embed",
        model="a model",
        account="an account",
        price=Price("token", Decimal("0.001"), "of the test"),
        quantity=1,
        inputs=1,
        documents=["a.md"],
        quantities=[1],
    )
    await guard.call(call, send, lambda tx, reservation, value: None)


@pytest.mark.parametrize("make", [ask, pay])
def test_a_cancelled_probe_lets_another_caller_probe_at_once(
    database: Database, make: Make
) -> None:
    ledger = Ledger(database, SpendLimits(Decimal(1), 10), now)
    states = ServiceStates(database, now)
    guard = Guard(database, ledger, states, run_id="of the test", attempts=1, max_wait_seconds=0)
    ended = (NOW - timedelta(seconds=1)).timestamp()
    half_open = Breaker(open_seconds=15.0, open_until=ended)
    states.change(SERVICE, lambda _, now: (ServiceState(breaker=half_open), None))

    async def cancel_while_it_is_out() -> str:
        is_out = asyncio.Event()

        async def send(_: object) -> ServiceResponse[None]:
            is_out.set()
            await asyncio.Event().wait()
            raise AssertionError("unreachable")

        task = asyncio.ensure_future(make(guard, send))
        await is_out.wait()
        probe = states.read(SERVICE)[0].breaker.probe
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return probe

    assert asyncio.run(cancel_while_it_is_out())
    assert states.read(SERVICE)[0].breaker == half_open
