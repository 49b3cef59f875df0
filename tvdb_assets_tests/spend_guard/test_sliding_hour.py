"""No 60 minutes contain more requests than the hourly limit.

What belongs here: reservations at any time, from any process, with any outcome. What does not: the
pure decision (`test_budget`), or the limit of the day (`test_ledger_races`).
"""

from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tvdb_assets.errors import RateError
from tvdb_assets.repositories.database import Database
from tvdb_assets.spend_guard import spend_limits
from tvdb_assets.spend_guard.budget import SpendLimits, requests_renewed_at
from tvdb_assets.spend_guard.ledger import Ledger, Reservation
from tvdb_assets_tests.spend_guard.ledger_invariants import check_counters, rows
from tvdb_assets_tests.spend_guard.processes import Crew
from tvdb_assets_tests.spend_guard.reservations import attempt, opened

LIMIT = 4
LIMITS = SpendLimits(Decimal(1_000_000), LIMIT)
BEGIN = datetime(2026, 11, 25, 23, 10, tzinfo=UTC)
HOUR = timedelta(hours=1)


class Requests:
    """Requests of one service on a clock that the test moves."""

    def __init__(self, database: Database, limits: SpendLimits = LIMITS) -> None:
        with database.transaction() as tx:
            tx.execute("TRUNCATE tvdb.cost_ledger, tvdb.budget_windows, tvdb.limit_changes CASCADE")
        self.database = database
        self.now = BEGIN
        self.ledger = Ledger(database, limits, lambda: self.now)
        self.open: list[Reservation] = []
        self.sent: list[datetime] = []
        self.answered: list[datetime] = []

    def reserve(self) -> bool:
        try:
            self.open.append(self.ledger.reserve(attempt()))
        except RateError as error:
            assert error.code == "hourly_requests_exhausted"
            return False
        return True

    def send(self, outcome: str, seconds: float) -> None:
        """Send what was reserved first, if that is still allowed, and let it end."""
        reservation = self.open.pop(0)
        if outcome == "unsent" or not self.ledger.confirm(reservation, "openai"):
            self.ledger.void(reservation, outcome="expired", was_sent=False)
            return
        self.sent.append(self.now)
        self.now += timedelta(seconds=seconds)
        if outcome == "killed":
            self.answered.append(self.now + timedelta(minutes=5))
            return
        self.answered.append(self.now)
        if outcome == "answered":
            with self.database.transaction() as tx:
                self.ledger.post(tx, reservation, quantity=1)
        else:
            self.ledger.void(reservation, outcome="service_unavailable", status=503)

    @property
    def most_in_an_hour(self) -> int:
        return max((sum(0 <= (t - s) / HOUR < 1 for t in self.sent) for s in self.sent), default=0)


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("reserve"), st.just(0.0)),
        st.tuples(st.just("wait"), st.sampled_from([1.0, 40.0, 290.0, 1_500.0, 3_300.0, 3_600.0])),
        st.tuples(
            st.sampled_from(["answered", "failed", "unsent", "killed"]),
            st.sampled_from([0.0, 0.5, 60.0]),
        ),
        st.tuples(st.just("reconcile"), st.just(0.0)),
    ),
    max_size=40,
)


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(steps=STEPS)
def test_no_60_minutes_contain_more_requests_than_the_limit(
    database: Database, steps: list[tuple[str, float]]
) -> None:
    requests = Requests(database)
    for step, seconds in steps:
        if step == "reserve":
            fits = requests.reserve()
            recent = sum(at > requests.now - HOUR for at in requests.answered)
            assert fits or recent + len(requests.open) >= LIMIT
        elif step == "wait":
            requests.now += timedelta(seconds=seconds)
        elif step == "reconcile":
            requests.ledger.reconcile()
        elif requests.open:
            requests.send(step, seconds)
    assert requests.most_in_an_hour <= LIMIT
    check_counters(database)


@dataclass(frozen=True)
class Attempts:
    """Requests that one process tries to make at one time."""

    url: str
    now: datetime
    seed: int


def try_requests(given: Attempts) -> int:
    """How many were admitted; one in five never ends, as of a process that was killed."""
    stream = random.Random(given.seed)
    ledger = Ledger(opened(given.url), LIMITS, lambda: given.now)
    admitted = 0
    for _ in range(3):
        try:
            reservation = ledger.reserve(attempt())
        except RateError:
            continue
        admitted += 1
        if stream.random() < 0.8:
            with opened(given.url).transaction() as tx:
                ledger.post(tx, reservation, quantity=1)
    return admitted


def test_processes_share_the_hour(database: Database) -> None:
    requests, stream = Requests(database), random.Random(7)
    with Crew(try_requests, 3) as crew:
        for number in range(40):
            tasks = [Attempts(database.url, requests.now, 3 * number + n) for n in range(3)]
            requests.sent += [requests.now] * sum(crew.run(tasks))
            requests.now += timedelta(seconds=stream.choice([1, 30, 400, 1_200, 3_000]))
    assert requests.most_in_an_hour == LIMIT
    check_counters(database)


def test_threads_that_reserve_at_once_share_the_hour(database: Database) -> None:
    requests = Requests(database)
    with ThreadPoolExecutor(8) as threads:
        admitted = list(threads.map(lambda _: requests.reserve(), range(4 * LIMIT)))
    assert sum(admitted) == LIMIT


def test_a_burst_before_the_clock_hour_ends_counts_in_the_next_one(database: Database) -> None:
    requests = Requests(database)
    requests.now = BEGIN.replace(minute=59, second=30)
    for _ in range(LIMIT):
        assert requests.reserve()
        requests.send("answered", 0)
    requests.now += timedelta(minutes=1)  # Also a new day.

    with pytest.raises(RateError) as refused:
        requests.ledger.reserve(attempt())

    assert "resumes automatically after 01:00 UTC" in refused.value.remedy
    assert requests.ledger.committed("openai").service_hour_requests == LIMIT
    requests.now = requests.sent[0] + HOUR - timedelta(seconds=1)
    assert not requests.reserve()
    requests.now = requests.sent[0] + HOUR
    assert requests.ledger.committed("openai").service_hour_requests == 0
    assert requests.reserve()


def test_a_lower_limit_says_when_so_many_requests_have_left_the_hour(database: Database) -> None:
    requests = Requests(database)
    for _ in range(LIMIT):
        requests.reserve()
        requests.send("answered", 0)
        requests.now += timedelta(minutes=10)
    spend_limits.change(database, "hourly_requests", Decimal(2), changed_by="of the test")

    with pytest.raises(RateError) as refused:
        requests.ledger.reserve(attempt())

    third = requests.sent[2]
    assert f"after {third + HOUR:%H:%M} UTC" in refused.value.remedy
    requests.now = third + HOUR - timedelta(seconds=1)
    assert not requests.reserve()
    requests.now = third + HOUR
    assert requests.reserve()


def test_a_request_that_waited_counts_from_its_end(database: Database) -> None:
    requests = Requests(database)
    for _ in range(LIMIT):
        requests.reserve()
    requests.now += timedelta(minutes=2)
    for _ in range(LIMIT):
        requests.send("answered", 30)
    requests.now = BEGIN + HOUR
    assert not requests.reserve()
    requests.now = requests.answered[0] + HOUR
    assert requests.reserve()


def test_a_limit_of_none_names_no_time(database: Database) -> None:
    requests = Requests(database, SpendLimits(Decimal(1), 0))
    with pytest.raises(RateError) as refused:
        requests.ledger.reserve(attempt())
    assert refused.value.code == "hourly_requests_exhausted"
    assert "resumes" not in refused.value.remedy


def test_deferred_work_resumes_when_a_quarter_of_the_hour_is_free(database: Database) -> None:
    limits = SpendLimits(Decimal(1), 8)
    requests = Requests(database, limits)
    for _ in range(8):
        requests.reserve()
        requests.send("answered", 60)
    requests.now = requests.answered[0] + HOUR
    assert requests.ledger.requests_renewed_at(["openai"]) == requests.now - HOUR
    requests.now = requests.answered[1] + HOUR
    assert requests.ledger.requests_renewed_at(["openai"]) == requests.now
    assert requests_renewed_at({}, limits, requests.now) == requests.now


def test_the_counters_of_the_hours_are_enough_below_the_limit(database: Database) -> None:
    """The entries of the ledger are counted only where these reach the limit."""
    requests = Requests(database)
    for _ in range(LIMIT - 1):
        assert requests.reserve()
    with database.transaction() as tx:
        tx.execute("UPDATE tvdb.cost_ledger SET service = 'another'")
    assert requests.reserve()
    assert rows(database, "SELECT requests FROM tvdb.budget_windows WHERE period = 'hour'") == [
        (LIMIT,)
    ]
