"""Limits at run time: those of the settings, with the changes made since.

What belongs here: reading and recording changes and pauses. What does not: whether an amount
fits (`budget`), or who may change a limit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal, TypeAlias

import psycopg
from psycopg.rows import dict_row

from tvdb_assets.repositories.database import Database
from tvdb_assets.spend_guard.budget import SpendLimits

ALL = ""
"""The scope of a limit for all services together."""
LimitKind: TypeAlias = Literal["daily_usd", "hourly_requests", "is_paused"]


@dataclass(frozen=True, slots=True)
class LimitChange:
    """A change as it was recorded."""

    scope: str
    kind: LimitKind
    value: Decimal | None
    """None takes an earlier change back to the setting."""
    changed_by: str
    changed_at: datetime
    run_ids: list[str]


def limits_now(
    tx: psycopg.Connection[Any], settings: SpendLimits, until: datetime | None = None
) -> SpendLimits:
    """The current limits: those of the settings, with the changes made since.

    Args:
        tx: reads the changes.
        settings: the limits without any change.
        until: only changes before this time; None for all of them.
    """
    rows = tx.execute(
        "SELECT DISTINCT ON (scope, kind) scope, kind, value FROM tvdb.limit_changes"
        " WHERE %(until)s::timestamptz IS NULL OR changed_at < %(until)s"
        " ORDER BY scope, kind, change_id DESC",
        {"until": until},
    ).fetchall()
    now = settings
    for scope, kind, value in rows:
        if value is None:
            continue
        if kind == "is_paused":
            if value:
                now = replace(now, paused=now.paused | {scope})
        elif kind == "daily_usd" and scope == ALL:
            now = replace(now, daily_usd=value)
        elif kind == "daily_usd":
            now = replace(now, service_daily_usd={**now.service_daily_usd, scope: value})
        elif scope == ALL:
            now = replace(now, hourly_requests=int(value), free_services=frozenset())
        else:
            hourly = {**now.service_hourly_requests, scope: int(value)}
            now = replace(now, service_hourly_requests=hourly)
    return now


def change(
    database: Database,
    kind: LimitKind,
    value: Decimal | None,
    *,
    scope: str = ALL,
    changed_by: str,
    run_ids: Sequence[str] = (),
) -> None:
    """Record a change; it applies to every reservation from now on, in all processes.

    Args:
        database: of the ledger.
        kind: US dollars a day, requests an hour, or a pause (1 or 0).
        value: None takes an earlier change back to the setting.
        scope: a service, or `ALL`.
        changed_by: who made the change.
        run_ids: of the runs that are queued or under way, and so affected.
    """
    with database.transaction() as tx:
        tx.execute(
            "INSERT INTO tvdb.limit_changes (scope, kind, value, changed_by, run_ids)"
            " VALUES (%s, %s, %s, %s, %s)",
            (scope, kind, value, changed_by, list(run_ids)),
        )


def changes(database: Database, limit: int = 20) -> list[LimitChange]:
    """The newest changes first."""
    with database.transaction() as tx, tx.cursor(row_factory=dict_row) as cursor:
        cursor.execute(
            "SELECT scope, kind, value, changed_by, changed_at, run_ids FROM tvdb.limit_changes"
            " ORDER BY change_id DESC LIMIT %s",
            (limit,),
        )
        return [LimitChange(**row) for row in cursor]
