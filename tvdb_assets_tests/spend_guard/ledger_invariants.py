"""Invariants of the ledger, whichever process was killed meanwhile.

What belongs here: the checks, and settling with the server's own log. What does not: what is
paid for.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from tvdb_assets.correlation import part_of
from tvdb_assets.repositories.database import Database
from tvdb_assets.spend_guard.budget import SpendLimits
from tvdb_assets.spend_guard.ledger import Ledger, LedgerEntry
from tvdb_assets_tests.paid_apis import Charge

LIMITS = SpendLimits(daily_usd=Decimal("5.00"), hourly_requests=1_000_000)


def rows(database: Database, query: str, *arguments: object) -> list[tuple[Any, ...]]:
    with database.transaction() as tx:
        return tx.execute(query, arguments).fetchall()


def check_counters(database: Database) -> None:
    """Each budget window is the sum of the entries in it, to the last decimal."""
    with database.transaction() as tx:
        tx.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        stored = tx.execute(
            "SELECT scope, period, starts_at, spent_usd, requests FROM tvdb.budget_windows"
        ).fetchall()
        summed = tx.execute(_SUMS).fetchall()
    windows = {row[:3]: row[3:] for row in stored}
    entries = {row[:3]: row[3:] for row in summed}
    assert {key: spent for key, (spent, _) in windows.items()} == {
        key: entries.get(key, (Decimal(0), 0))[0] for key in windows
    }
    assert entries.keys() <= windows.keys()
    for (scope, period, starts_at), (_, requests) in windows.items():
        if period == "hour":
            assert requests == entries.get((scope, period, starts_at), (0, 0))[1]


def ledger_usd(database: Database) -> Decimal:
    """The amounts of the ledger that count against the budget: postings, and reservations at
    their bound.
    """
    ((total,),) = rows(
        database,
        "SELECT coalesce(sum(coalesce(posted_usd, reserved_usd)), 0) FROM tvdb.cost_ledger"
        " WHERE state <> 'voided'",
    )
    return Decimal(total)


def settle_by(database: Database, charges: Iterable[Charge]) -> None:
    """Long after every lease, settle what is open by asking the server's log; check the rest."""
    billed: Counter[str] = Counter()
    for charge in charges:
        assert charge.client_request_id is not None, "a request without a ledger entry"
        billed[str(part_of(charge.client_request_id))] += charge.dollars  # type: ignore[assignment]

    def asked(entry: LedgerEntry) -> Decimal:
        return Decimal(billed[str(entry.entry_id)])

    later = datetime.now(UTC) + timedelta(days=30)
    Ledger(database, LIMITS, lambda: later).reconcile(asked)
    assert rows(database, "SELECT * FROM tvdb.cost_ledger WHERE state = 'pending'") == []
    posted = rows(
        database,
        "SELECT entry_id::text, posted_usd FROM tvdb.cost_ledger"
        " WHERE state = 'posted' AND posted_usd > 0",
    )
    assert dict(posted) == dict(billed)
    check_counters(database)


# A call that was never sent gives its request back; the ledger shows it as voided by no answer.
_SUMS = """
SELECT '' AS scope, 'day' AS period, day AS starts_at,
       sum(CASE state WHEN 'voided' THEN 0 ELSE coalesce(posted_usd, reserved_usd) END), 0::bigint
FROM tvdb.cost_ledger GROUP BY day
UNION ALL
SELECT service, 'day', day,
       sum(CASE state WHEN 'voided' THEN 0 ELSE coalesce(posted_usd, reserved_usd) END), 0
FROM tvdb.cost_ledger GROUP BY service, day
UNION ALL
SELECT service, 'hour', hour, 0,
       count(*) FILTER (WHERE state <> 'voided' OR http_status IS NOT NULL
                        OR outcome = 'not_billed')
FROM tvdb.cost_ledger GROUP BY service, hour
"""
