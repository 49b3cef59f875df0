"""What was spent, summed up for people: by day, run, document, model, service.

What belongs here: reading the ledger. What does not: writing it (`ledger`).
"""

from __future__ import annotations

from typing import Any

from psycopg.rows import dict_row

from tvdb_assets.storage.database import Database


def costs(database: Database, by: str = "day", limit: int = 50) -> list[dict[str, Any]]:
    """The ledger summed up, newest or dearest first.

    Args:
        database: where the ledger is.
        by: one of `GROUPS`.
        limit: most rows.

    Returns:
        Rows with the name of the group, requests, units that were billed, and US dollars
        that are reserved, posted and voided.
    """
    with database.transaction() as tx, tx.cursor(row_factory=dict_row) as cursor:
        cursor.execute(_COSTS[by], {"limit": limit})
        return cursor.fetchall()


_SUMS = """
    count(*) FILTER (WHERE state <> 'voided' OR http_status IS NOT NULL) AS requests,
    sum(quantity) FILTER (WHERE state = 'posted') AS units,
    coalesce(sum(reserved_usd) FILTER (WHERE state = 'pending'), 0) AS reserved_usd,
    coalesce(sum(posted_usd), 0) AS posted_usd,
    coalesce(sum(reserved_usd) FILTER (WHERE state = 'voided'), 0) AS voided_usd
"""
_COSTS = {
    "day": f"SELECT to_char(day AT TIME ZONE 'UTC', 'YYYY-MM-DD') AS day, service, {_SUMS}"
    " FROM tvdb.cost_ledger GROUP BY 1, 2 ORDER BY 1 DESC, 2 LIMIT %(limit)s",
    "run": f"SELECT run_id AS run, min(reserved_at) AS started, {_SUMS}"
    " FROM tvdb.cost_ledger GROUP BY 1 ORDER BY 2 DESC LIMIT %(limit)s",
    "model": f"SELECT service, model, {_SUMS}"
    " FROM tvdb.cost_ledger GROUP BY 1, 2 ORDER BY posted_usd DESC LIMIT %(limit)s",
    "service": f"SELECT service, operation, {_SUMS}"
    " FROM tvdb.cost_ledger GROUP BY 1, 2 ORDER BY 1, 2 LIMIT %(limit)s",
    # A call is shared out by the units that each document had in it.
    "document": """
        SELECT d.document, count(*) AS requests, sum(d.units) AS units,
               coalesce(sum(l.reserved_usd * d.share) FILTER (WHERE l.state = 'pending'), 0)
                   AS reserved_usd,
               coalesce(sum(l.posted_usd * d.share), 0) AS posted_usd,
               coalesce(sum(l.reserved_usd * d.share) FILTER (WHERE l.state = 'voided'), 0)
                   AS voided_usd
        FROM tvdb.cost_ledger l
        CROSS JOIN LATERAL (
            SELECT document, units,
                   units / greatest(sum(units) OVER (), 1) AS share
            FROM unnest(l.documents, l.quantities) AS n(document, units)
        ) d
        GROUP BY 1 ORDER BY posted_usd DESC, 1 LIMIT %(limit)s""",
}
GROUPS = tuple(_COSTS)
