"""When deferred documents are due, and partition keys of several sources."""

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
    assert registry.count_deferred() == registry.count_deferred("run-1") == 1
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


def keys_of(database: Database, source: str, *paths: str) -> list[str]:
    files = [SourceFile(path, 1, "e") for path in paths]
    return DocumentRegistry(database).register(source, files, "")


def test_documents_of_several_sources_with_equal_folder_names_have_keys_of_their_own(
    database: Database,
) -> None:
    roots = [f"/home/{name}/docs" for name in ("a", "b", "c")] + ["/docs", "s3://c/docs"]
    keys = [keys_of(database, root, "readme.md", "x/y.md") for root in roots]
    assert keys[:3] == [
        ["readme.md", "x/y.md"],
        ["docs/readme.md", "docs/x/y.md"],
        ["c/docs/readme.md", "c/docs/x/y.md"],
    ]
    assert len({key for pair in keys for key in pair}) == 2 * len(roots)
    registry = DocumentRegistry(database)
    for root in roots:
        assert sorted(registry.listed(root)) == ["readme.md", "x/y.md"]


def test_a_key_with_a_prefix_is_not_the_key_of_another_path(database: Database) -> None:
    assert keys_of(database, "/a/docs", "readme.md") == ["readme.md"]
    keys = keys_of(database, "/b/docs", "docs/readme.md", "readme.md")
    assert keys == ["docs/readme.md", "b/docs/readme.md"]
    assert keys_of(database, "/b/docs", "readme.md") == ["b/docs/readme.md"]
