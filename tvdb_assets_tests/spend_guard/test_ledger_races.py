"""The budget is kept under concurrent reservations and a clock that changes.

What belongs here: reservations against a limit, from many processes and in any order. What
does not: processes that die (`test_ledger_kills`).
"""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tvdb_assets.repositories.database import Database
from tvdb_assets.spend_guard.budget import SpendLimits
from tvdb_assets.spend_guard.ledger import Ledger, LedgerEntry, Reservation
from tvdb_assets.spend_guard.prices import Price
from tvdb_assets_tests.spend_guard.ledger_invariants import LIMITS, check_counters, ledger_usd, rows
from tvdb_assets_tests.spend_guard.processes import Crew
from tvdb_assets_tests.spend_guard.reservations import Rush, attempt, reserve, rush

NOON = datetime(2026, 3, 14, 12, tzinfo=UTC)


def test_eight_processes_admit_exactly_what_fits(database: Database, is_full: bool) -> None:
    # 1,000 reservations of $0.10 against $5.00 a day, on another day each time.
    days = [NOON + timedelta(days=number) for number in range(20 if is_full else 4)]
    with Crew(rush, 8) as crew:
        for day in days:
            admitted = crew.run([Rush(database.url, day, 125, LIMITS)] * 8)

            assert sum(admitted) == 50
            spent = rows(
                database,
                "SELECT scope, spent_usd FROM tvdb.budget_windows"
                " WHERE period = 'day' AND starts_at = %s ORDER BY scope",
                day.replace(hour=0),
            )
            assert spent == [("", Decimal(5)), ("openai", Decimal(5))]
    check_counters(database)
    assert ledger_usd(database) == 5 * len(days)


def test_the_first_reservations_of_a_day_do_not_wait_in_a_circle(database: Database) -> None:
    """The first caller makes the rows of a window, for either service."""
    with Crew(rush, 8) as crew:
        for number in range(25):
            day = NOON + timedelta(days=number)
            rushes = [Rush(database.url, day, 4, LIMITS, name) for name in ("openai", "llamaparse")]

            assert sum(crew.run(rushes * 4)) == 32
    check_counters(database)


def test_two_services_at_once_share_the_budget_of_the_day(database: Database) -> None:
    limits = SpendLimits(Decimal("5.00"), 1_000_000, {"openai": Decimal("2.00")})
    ledger = Ledger(database, limits, lambda: NOON)

    embedded = [reserve(ledger, attempt()) for _ in range(30)]
    parsed = [reserve(ledger, attempt(service="llamaparse")) for _ in range(40)]

    assert sum(reservation is not None for reservation in embedded) == 20
    assert sum(reservation is not None for reservation in parsed) == 30
    check_counters(database)


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("reserve"), st.integers(0, 30)),
        st.tuples(st.just("post"), st.integers(0, 40)),
        st.tuples(st.just("lose"), st.integers(0, 9)),
        st.tuples(st.just("void"), st.booleans()),
        st.tuples(st.just("reconcile"), st.sampled_from([None, 0, 1, 25])),
        st.tuples(st.just("move"), st.sampled_from([-1800, -60, 1, 30, 300, 800, 1500])),
    ),
    max_size=25,
)


def test_a_request_that_was_billed_counts_though_its_process_says_it_was_not_sent(
    database: Database,
) -> None:
    now = [NOON]
    ledger = Ledger(database, LIMITS, lambda: now[0])
    reservation = reserve(ledger, attempt(quantity=1))
    assert reservation is not None
    now[0] += timedelta(minutes=30)
    assert ledger.reconcile(partial(_cost, Decimal("0.1"))) == 1
    ledger.void(reservation, outcome="x", was_sent=False)
    check_counters(database)
    [(requests,)] = rows(database, "SELECT requests FROM tvdb.budget_windows WHERE period = 'hour'")
    assert requests == 1


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(steps=STEPS, late=st.randoms(use_true_random=False))
def test_no_order_of_events_admits_beyond_the_limit(
    database: Database, steps: list[tuple[str, int | None]], late: random.Random
) -> None:
    """Reserve, post, void and reconcile in any order, with a clock that also goes back."""
    with database.transaction() as tx:
        tx.execute("TRUNCATE tvdb.cost_ledger, tvdb.budget_windows CASCADE")
    now = [NOON]
    ledger = Ledger(database, LIMITS, lambda: now[0])
    reservations: list[Reservation] = []
    for step, value in steps:
        if step == "reserve":
            assert value is not None
            before = _spent(database, now[0])
            wanted = attempt(quantity=value)
            reservation = reserve(ledger, wanted)
            amount = Decimal(value) / 10
            assert (reservation is not None) == (before + amount <= LIMITS.daily_usd)
            if reservation is not None:
                reservations.append(reservation)
        elif step == "move":
            now[0] += timedelta(minutes=value or 0)
        elif step == "reconcile":
            ledger.reconcile(None if value is None else partial(_cost, Decimal(value) / 10))
        elif reservations:
            reservation = late.choice(reservations)
            if step == "void":
                reservations.remove(reservation)
                ledger.void(
                    reservation, outcome="x", status=429 if value else None, was_sent=bool(value)
                )
            else:
                with database.transaction() as tx:
                    if step == "lose":
                        ledger.post(tx, reservation, outcome="lost")
                    else:
                        ledger.post(tx, reservation, quantity=value)
                        reservations.remove(reservation)
                if step == "post":
                    # Only what the service itself had said of it stands against the answer.
                    query = "SELECT outcome, posted_usd FROM tvdb.cost_ledger WHERE entry_id = %s"
                    ((outcome, posted),) = rows(database, query, reservation.entry_id)
                    assert outcome == "reconciled" or posted == Decimal(value or 0) / 10
        check_counters(database)


def test_more_than_was_held_is_posted_in_full_and_admits_nothing_more(database: Database) -> None:
    ledger = Ledger(database, LIMITS, lambda: NOON)
    reservation = ledger.reserve(attempt(quantity=49))

    with database.transaction() as tx:
        ledger.post(tx, reservation, quantity=60)

    assert ledger_usd(database) == Decimal("6.00")
    assert reserve(ledger, attempt(quantity=1)) is None
    assert reserve(ledger, attempt(price=Price("token", Decimal(0), "free"))) is None
    check_counters(database)


def test_a_process_that_died_is_posted_at_the_most_that_it_can_have_cost(
    database: Database,
) -> None:
    now = [NOON]
    ledger = Ledger(database, LIMITS, lambda: now[0])
    ledger.reserve(attempt(quantity=10, most=40))
    assert ledger_usd(database) == Decimal("1.00")
    now[0] += timedelta(hours=1)

    assert ledger.reconcile() == 1

    assert ledger_usd(database) == Decimal("4.00")
    assert reserve(ledger, attempt(quantity=11)) is None
    check_counters(database)


def test_a_call_over_midnight_counts_for_the_day_of_its_reservation(database: Database) -> None:
    now = [NOON.replace(hour=23, minute=59)]
    ledger = Ledger(database, LIMITS, lambda: now[0])
    reservation = ledger.reserve(attempt(quantity=50))
    assert reserve(ledger, attempt()) is None

    now[0] += timedelta(minutes=2)
    fresh = ledger.reserve(attempt(quantity=50))
    with database.transaction() as tx:
        ledger.post(tx, reservation, quantity=10)

    assert reserve(ledger, attempt()) is None
    now[0] -= timedelta(minutes=2)  # the clock goes back: the old day has room again
    assert reserve(ledger, attempt(quantity=41)) is None
    assert reserve(ledger, attempt(quantity=40)) is not None
    assert fresh.amount == 5
    check_counters(database)


def test_an_answer_that_comes_after_its_lease_is_still_counted(database: Database) -> None:
    """A process that slept past its lease, such as a laptop's, and then was billed."""
    now = [NOON]
    ledger = Ledger(database, LIMITS, lambda: now[0])
    reservation = ledger.reserve(attempt(quantity=10))
    now[0] += timedelta(hours=1)
    # The service is asked before it was sent anything.
    assert ledger.reconcile(lambda entry: Decimal(0)) == 1
    assert ledger_usd(database) == 0

    with database.transaction() as tx:
        ledger.post(tx, reservation, quantity=9)

    assert ledger_usd(database) == Decimal("0.90")
    check_counters(database)


def test_asking_the_service_holds_up_no_reservation(database: Database) -> None:
    """Reconciliation asks over the network; the windows are not locked meanwhile."""
    now = [NOON]
    ledger = Ledger(database, LIMITS, lambda: now[0])
    for _ in range(3):
        ledger.reserve(attempt())
    now[0] += timedelta(hours=1)
    with Database(f"{database.url}&options=-clock_timeout%3D2s") as impatient:
        others = Ledger(impatient, LIMITS, lambda: now[0])

        def asked(entry: LedgerEntry) -> Decimal:
            others.reserve(attempt())
            return Decimal("0.05")

        assert ledger.reconcile(asked) == 3

    assert ledger_usd(database) == Decimal("0.45")
    check_counters(database)


def _cost(cost: Decimal, entry: LedgerEntry) -> Decimal:
    return cost


def _spent(database: Database, now: datetime) -> Decimal:
    ((spent,),) = rows(
        database,
        "SELECT coalesce(sum(coalesce(posted_usd, reserved_usd)), 0) FROM tvdb.cost_ledger"
        " WHERE state <> 'voided' AND day = %s",
        now.replace(hour=0, minute=0, second=0, microsecond=0),
    )
    return Decimal(spent)
