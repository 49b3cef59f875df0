"""When a document that waits is due, by what it waits for."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from tvdb_assets.errors import Disposition, TvdbError
from tvdb_assets.lifecycle import BudgetWindows, Reason
from tvdb_assets.models import SourceFile, Stage
from tvdb_assets.repositories.database import Database
from tvdb_assets.repositories.document_registry import DocumentRegistry
from tvdb_assets.repositories.document_store import DocumentStore
from tvdb_assets.repositories.due_documents import DueDocuments
from tvdb_assets.repositories.rows import DocumentFailure, ReadSnapshot

DAY = datetime(2026, 3, 1, tzinfo=UTC)
HOUR = DAY + timedelta(hours=10)
CHANGED = HOUR + timedelta(minutes=20)
NOW = HOUR + timedelta(minutes=50)


def due(database: Database, code: str, since: datetime, *, changed: datetime = CHANGED) -> bool:
    registry = DocumentRegistry(database)
    [key] = registry.register("/source", [SourceFile("a.md", 1, "e")], "") or ["a.md"]
    [known] = registry.find("a.md")
    error = TvdbError.restored(code, "It waits.", remedy="Wait.", disposition=Disposition.DEFERRED)
    store = DocumentStore(database, "run-1")
    store.record_failures(
        [DocumentFailure(known.document_id, Stage.EMBEDDINGS, error)], ReadSnapshot(since, {})
    )
    found = DueDocuments(database).find(
        "", BudgetWindows(DAY, HOUR, changed, NOW), reasons=frozenset({Reason.DEFERRED})
    )
    assert [(d.partition_key, d.run_id) for d in found] in ([], [(key, "run-1")])
    assert registry.deferred() == registry.deferred("run-1") == 1
    return bool(found)


@pytest.mark.parametrize(
    ("code", "comes"),
    [
        ("budget_exhausted", CHANGED),
        ("hourly_requests_exhausted", CHANGED),
        ("paused", CHANGED),
        ("breaker_open", NOW - timedelta(minutes=1)),
        ("rate_limited", NOW - timedelta(minutes=1)),
        ("quota_exhausted", NOW - timedelta(minutes=15)),
        ("key_refused", NOW - timedelta(minutes=15)),
    ],
)
def test_a_deferred_document_is_due_when_its_wait_is_over(
    database: Database, code: str, comes: datetime
) -> None:
    second = timedelta(seconds=1)
    assert due(database, code, comes - second)
    assert not due(database, code, comes + second)


@pytest.mark.parametrize(
    ("code", "comes"), [("budget_exhausted", DAY), ("hourly_requests_exhausted", HOUR)]
)
def test_a_window_that_began_after_the_last_change_counts(
    database: Database, code: str, comes: datetime
) -> None:
    long_ago = DAY - timedelta(days=3)
    assert due(database, code, comes - timedelta(seconds=1), changed=long_ago)
    assert not due(database, code, comes + timedelta(seconds=1), changed=long_ago)


def test_a_paused_document_waits_for_the_end_of_the_pause_alone(database: Database) -> None:
    yesterday = DAY - timedelta(hours=1)
    assert not due(database, "paused", yesterday, changed=yesterday - timedelta(hours=1))
