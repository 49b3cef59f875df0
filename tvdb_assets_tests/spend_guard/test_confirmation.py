"""A request that waits in line is confirmed before it is sent.

What belongs here: what changes while a request waits. What does not: what is refused when it is
reserved (`test_budget`, `test_spend_limits`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal

import pytest

from tvdb_assets import error_codes as codes
from tvdb_assets.errors import StorageError, TvdbError
from tvdb_assets.routing.service_router import ServiceRouter
from tvdb_assets.spend_guard import rate_limiter, spend_limits
from tvdb_assets.spend_guard.guard import PaidCall
from tvdb_assets.spend_guard.ledger import Reservation
from tvdb_assets.spend_guard.service_state import ServiceState
from tvdb_assets.spend_guard.service_state_store import ServiceStates
from tvdb_assets_tests.paid_router import PaidServicesFixture

WAIT_SECONDS = 0.3


class OnceReserved:
    """Does something in the moment in which a request begins to wait, the first time."""

    def __init__(self, act: Callable[[], None]) -> None:
        self.act: Callable[[], None] | None = act

    def reached(self, point: str, call: PaidCall, reservation: Reservation | None) -> None:
        if point == "reserved" and self.act is not None:
            act, self.act = self.act, None
            # In a thread, so that it takes effect while the request waits.
            self.running = asyncio.get_running_loop().run_in_executor(None, act)


@pytest.fixture
def paid(paid_in_shared: PaidServicesFixture) -> PaidServicesFixture:
    """The service asked to wait, so that the next request stands in line."""
    with paid_in_shared.database.transaction() as tx:
        tx.execute("DELETE FROM tvdb.limit_changes")
    block(paid_in_shared, "openai")
    return paid_in_shared


def block(paid: PaidServicesFixture, service: str) -> None:
    """Let the next request to the service stand in line."""

    def transition(state: ServiceState, now: float) -> tuple[ServiceState, None]:
        blocked = rate_limiter.block(state.limiter, now, WAIT_SECONDS)
        return replace(state, limiter=blocked), None

    ServiceStates(paid.database, paid.clock).change(service, transition)


async def embed(router: ServiceRouter) -> None:
    await router.embed(["Is flood damage covered?"])


@pytest.mark.parametrize(
    ("kind", "value", "code"),
    [
        ("is_paused", 1, "paused"),
        ("daily_usd", 0, "budget_exhausted"),
        ("hourly_requests", 0, "hourly_requests_exhausted"),
    ],
)
def test_a_change_of_limits_stops_what_stands_in_line(
    paid: PaidServicesFixture, kind: spend_limits.LimitKind, value: int, code: str
) -> None:
    paid.observer = OnceReserved(
        lambda: spend_limits.change(paid.database, kind, Decimal(value), changed_by="of the test")
    )

    with pytest.raises(TvdbError) as caught:
        paid.use(embed)

    assert caught.value.code == code
    assert paid.apis.requests == []
    assert paid.ledger() == [("voided", code)]
    assert paid.spent == paid.hourly("openai") == 0


def test_a_request_whose_claim_was_lost_in_line_is_not_sent(paid: PaidServicesFixture) -> None:
    """As in a process that was stopped: another one pays for the same texts."""
    asked = 0

    def check_claim(_: object) -> None:
        nonlocal asked
        asked += 1
        if asked > 1:  # It was valid with the reservation.
            raise codes.CLAIM_LOST.error()

    async def embed_claimed(router: ServiceRouter) -> None:
        embedder = router.clients.paid_embedder
        assert embedder is not None
        await router.embed_by(embedder, ["Is flood damage covered?"], check_claim=check_claim)

    with pytest.raises(StorageError, match="claim_lost"):
        paid.use(embed_claimed)

    assert asked == 2
    assert paid.apis.requests == []
    assert paid.ledger() == [("voided", "claim_lost")]


def test_a_submission_whose_claim_was_lost_in_line_is_claimed_again(
    paid: PaidServicesFixture,
) -> None:
    """The other process may have died before it submitted the document."""

    def lose_claim() -> None:
        with paid.database.transaction() as tx:
            tx.execute("DELETE FROM tvdb.claim_leases")

    paid.observer = OnceReserved(lose_claim)
    # Before the call, so that the submission does stand in line.
    block(paid, "llamaparse")

    paid.use(lambda router: router.parse_paid(b"<p>Terms</p>", "a.html", "text/html", 1))

    assert paid.request_count("submit") == 1
    assert sorted(paid.ledger()) == [("posted", "answered"), ("voided", "claim_lost")]


@pytest.mark.parametrize("seconds", [900, 3_600, 86_400], ids=["lease", "hour", "day"])
def test_a_reservation_that_is_over_is_made_again(paid: PaidServicesFixture, seconds: int) -> None:
    states = ServiceStates(paid.database, paid.clock)

    def forward() -> None:
        while not states.read("openai")[0].limiter.last:
            pass  # It does not stand in line yet.
        paid.clock.forward(seconds)

    paid.observer = OnceReserved(forward)

    paid.use(embed)

    assert len(paid.apis.requests) == 1
    assert paid.ledger() == [("voided", "expired"), ("posted", "answered")]
    [(reserved_at,)] = paid.rows("SELECT reserved_at FROM tvdb.cost_ledger WHERE state = 'posted'")
    assert reserved_at == paid.clock.now
    assert paid.spent == paid.apis.dollars > 0


@pytest.mark.parametrize(
    ("kind", "value", "code"),
    [
        ("is_paused", 1, "paused"),
        ("daily_usd", 0, "budget_exhausted"),
        ("hourly_requests", 0, "hourly_requests_exhausted"),
    ],
)
def test_nothing_is_uploaded_that_may_not_be_submitted(
    paid: PaidServicesFixture, kind: spend_limits.LimitKind, value: int, code: str
) -> None:
    spend_limits.change(paid.database, kind, Decimal(value), changed_by="of the test")

    with pytest.raises(TvdbError) as caught:
        paid.use(lambda router: router.parse_paid(b"<p>Terms</p>", "a.html", "text/html", 1))

    assert caught.value.code == code
    assert paid.apis.requests == []
    assert paid.ledger() == []
