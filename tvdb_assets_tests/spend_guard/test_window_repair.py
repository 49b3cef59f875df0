"""Budget windows that differ from the ledger are corrected and reported."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from decimal import Decimal

import pytest
from click.testing import CliRunner

from tvdb_assets.cli import tvdb
from tvdb_assets.errors import BudgetError
from tvdb_assets.repositories.database import Database
from tvdb_assets.spend_guard.window_repair import WindowDifference, last_repair, repair_windows
from tvdb_assets_tests.spend_guard.ledger_invariants import check_counters, rows
from tvdb_assets_tests.spend_guard.ledger_rows import DAY, Paying

CHANGES = {
    "missing row": "DELETE FROM tvdb.budget_windows WHERE period = 'day' AND scope = 'openai'",
    "no rows": "DELETE FROM tvdb.budget_windows",
    "too low": "UPDATE tvdb.budget_windows SET spent_usd = 0.01 WHERE period = 'day'",
    "too high": "UPDATE tvdb.budget_windows SET spent_usd = 9 WHERE scope = ''",
    "wrong day": "UPDATE tvdb.budget_windows SET starts_at = starts_at - interval '1 day'",
    "requests too low": "UPDATE tvdb.budget_windows SET requests = 0",
    "requests too high": "UPDATE tvdb.budget_windows SET requests = 90 WHERE period = 'hour'",
    "entry of another service": "UPDATE tvdb.cost_ledger SET service = 'llamaparse'"
    " WHERE quantity = 20",
    "entry of another day": "UPDATE tvdb.cost_ledger SET day = day - interval '1 day',"
    " hour = hour - interval '1 day' WHERE quantity = 20",
    "entry that is missing": "DELETE FROM tvdb.cost_ledger WHERE quantity = 20",
    "window of a service without entries": "INSERT INTO tvdb.budget_windows"
    " SELECT 'llamaparse', period, starts_at, 3, 4 FROM tvdb.budget_windows WHERE scope = 'openai'",
}


@pytest.fixture
def paying(database: Database) -> Iterator[Paying]:
    """60 cents are spent, 5 are reserved, and one call was voided."""
    paying = Paying(database)
    paying.pay(40)
    paying.pay(20)
    paying.reservation(5)
    voided = paying.reservation(30)
    paying.ledger.void(voided, outcome="cancelled", was_sent=False)
    yield paying


def repair(paying: Paying, recent: timedelta | None = timedelta(days=1)) -> list[WindowDifference]:
    return repair_windows(paying.database, paying.ledger.now, "run-2", recent=recent)


def test_windows_of_the_guard_equal_the_ledger(paying: Paying) -> None:
    assert repair(paying) == []
    assert last_repair(paying.database) is None


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_a_window_gets_the_sum_of_its_entries(paying: Paying, change: str) -> None:
    before = rows(paying.database, "SELECT * FROM tvdb.cost_ledger ORDER BY entry_id")
    with paying.database.transaction() as tx:
        tx.execute(change)

    repaired = repair(paying)

    assert repaired
    check_counters(paying.database)
    assert repair(paying) == []
    found = last_repair(paying.database)
    assert found is not None
    assert found[1] in {each.message() for each in repaired}
    assert rows(
        paying.database,
        "SELECT DISTINCT run_id, kind, code FROM tvdb.service_events",
    ) == [("run-2", "budget_window_repaired", "budget_window_differs")]
    if change.startswith(("DELETE FROM tvdb.budget", "UPDATE tvdb.budget")):
        ledger = rows(paying.database, "SELECT * FROM tvdb.cost_ledger ORDER BY entry_id")
        assert ledger == before


def test_a_limit_holds_again_after_a_window_was_too_low(paying: Paying) -> None:
    with paying.database.transaction() as tx:
        tx.execute("UPDATE tvdb.budget_windows SET spent_usd = 0")
    repair(paying)
    with pytest.raises(BudgetError):
        paying.reservation(936)
    paying.reservation(935)


def test_windows_of_earlier_days_are_corrected_at_night(paying: Paying) -> None:
    paying.now = DAY + timedelta(days=40)
    with paying.database.transaction() as tx:
        tx.execute("UPDATE tvdb.budget_windows SET spent_usd = 7 WHERE period = 'day'")
    assert repair(paying) == []
    assert len(repair(paying, recent=None)) == 2
    check_counters(paying.database)


def test_calls_continue_while_windows_are_corrected(paying: Paying) -> None:
    """A correction takes the locks of a reservation, in the same order."""
    cents = Decimal(1)

    def work(number: int) -> None:
        if number % 4:
            paying.pay(1, service=("openai", "llamaparse")[number % 2])
            return
        with paying.database.transaction() as tx:
            tx.execute(
                "UPDATE tvdb.budget_windows SET spent_usd = spent_usd + 1 WHERE period = 'day'"
                " AND scope = %s",
                (("", "openai", "llamaparse")[number % 3],),
            )
        repair(paying)

    with ThreadPoolExecutor(6) as threads:
        list(threads.map(work, range(48)))
    repair(paying)
    check_counters(paying.database)
    [(spent,)] = rows(
        paying.database,
        "SELECT spent_usd FROM tvdb.budget_windows WHERE scope = '' AND period = 'day'",
    )
    assert spent == (65 + 36 * cents) / 100


def test_health_compares_and_tells(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TVDB_DATABASE_URL", database.url)
    with database.transaction() as tx:
        tx.execute("INSERT INTO tvdb.budget_windows VALUES ('', 'day', '2026-03-01', 4, 2)")
    first = CliRunner().invoke(tvdb, ["health", "--json"], catch_exceptions=False)
    [message] = json.loads(first.stdout)["budget_windows"]["repaired"]
    assert "all paid services" in message
    assert "$4.00 and 2 requests" in message
    then = json.loads(CliRunner().invoke(tvdb, ["health", "--json"]).stdout)["budget_windows"]
    assert then["repaired"] == []
    assert then["last_repaired_at"] is not None
