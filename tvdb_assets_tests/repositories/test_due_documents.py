"""Due documents: which ones, when, and for which reason."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from psycopg import sql
from psycopg.rows import tuple_row

from tvdb_assets.errors import Disposition, ParseError, TvdbError
from tvdb_assets.lifecycle import RUN_REQUEST_TIMEOUT, BudgetWindows, Published, Reason
from tvdb_assets.models import SourceFile, Stage
from tvdb_assets.repositories import due_documents
from tvdb_assets.repositories.database import Database
from tvdb_assets.repositories.document_lifecycle import DocumentLifecycle
from tvdb_assets.repositories.document_registry import DocumentRegistry
from tvdb_assets.repositories.document_store import DocumentStore
from tvdb_assets.repositories.due_documents import DueDocuments
from tvdb_assets.repositories.rows import DocumentFailure, ReadSnapshot

PIPELINE_FINGERPRINT = "current pipeline"
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
WINDOWS = BudgetWindows(LONG_AGO, LONG_AGO, LONG_AGO)
MINUTE = timedelta(minutes=1)

Later = Callable[[timedelta], None]


@pytest.fixture
def later(database: Database) -> Later:
    """Returns a function that sets how far the clock of the database is ahead."""

    def move(by: timedelta) -> None:
        with psycopg.connect(database.url, autocommit=True) as connection:
            connection.execute(
                sql.SQL("ALTER DATABASE {} SET tvdb.clock_offset = {}").format(
                    sql.Identifier(connection.info.dbname),
                    sql.Literal(f"{by.total_seconds()} seconds"),
                )
            )

    return move


def register(database: Database, *paths: str) -> list[int]:
    DocumentRegistry(database).register("/s", [SourceFile(path, 1, "1") for path in paths], "")
    known = DocumentRegistry(database).known("/s")
    return [known[path].document_id for path in paths]


def fail(database: Database, document_id: int, error: TvdbError, times: int = 1) -> None:
    with Database(database.url) as fresh:  # connects with the current clock offset
        store = DocumentStore(fresh, "run-1", PIPELINE_FINGERPRINT)
        for _ in range(times):
            store.record_failures(
                [DocumentFailure(document_id, Stage.PARSED_DOCUMENTS, error)],
                ReadSnapshot(store.clock(), {}),
            )


def publish(
    database: Database,
    document_id: int,
    pipeline_fingerprint: str = PIPELINE_FINGERPRINT,
    *,
    is_degraded: bool = False,
    snapshot: ReadSnapshot | None = None,
) -> None:
    if snapshot is None:
        read = {document_id: (SourceFile("x.md", 1, "1"), None)}
        snapshot = ReadSnapshot(DocumentStore(database, "run-1").clock(), read)
    with database.transaction() as tx:
        DocumentLifecycle(tx).apply_to(
            [document_id],
            Published(
                run_id="run-1",
                stage=Stage.EMBEDDINGS,
                began_at=snapshot.began_at,
                read=snapshot.version(document_id),
                pipeline_fingerprint=pipeline_fingerprint,
                is_degraded=is_degraded,
            ),
        )


def due(
    database: Database, *, can_retry_degraded: bool = True, not_in_dagster: tuple[str, ...] = ()
) -> dict[str, str]:
    with Database(database.url) as fresh:
        found = DueDocuments(fresh).find(
            PIPELINE_FINGERPRINT,
            WINDOWS,
            can_retry_degraded=can_retry_degraded,
            not_in_dagster=not_in_dagster,
        )
    return {document.path: document.reason for document in found}


def transient(code: str = "read_failed") -> TvdbError:
    return ParseError.restored(
        code, "It failed.", remedy="Wait.", disposition=Disposition.TRANSIENT
    )


def terminal(code: str = "corrupt") -> TvdbError:
    return ParseError.restored(code, "It failed.", remedy="Fix it.")


def test_each_reason(database: Database) -> None:
    names = (
        "requested.md",
        "changed.md",
        "missing.md",
        "failed.md",
        "degraded.md",
        "stale.md",
        "done.md",
    )
    ids = dict(zip(names, register(database, *names), strict=True))
    for name in ("requested.md", "changed.md", "done.md"):
        publish(database, ids[name])
    DueDocuments(database).request_documents([ids["requested.md"]])
    DocumentRegistry(database).change([(ids["changed.md"], SourceFile("changed.md", 2, "2"))])
    fail(database, ids["failed.md"], transient())
    with database.transaction() as tx:
        tx.execute("UPDATE tvdb.documents SET next_attempt_at = tvdb.clock()"
                   " WHERE status = 'failed'")  # fmt: skip
    publish(database, ids["degraded.md"], is_degraded=True)
    publish(database, ids["stale.md"], pipeline_fingerprint="earlier pipeline")
    expected = {
        "requested.md": Reason.REQUESTED,
        "changed.md": Reason.CHANGED,
        "missing.md": Reason.MISSING,
        "failed.md": Reason.FAILED,
        "degraded.md": Reason.DEGRADED,
        "stale.md": Reason.STALE,
    }
    assert due(database) == expected
    assert due(database, not_in_dagster=("done.md",)) == expected | {
        "done.md": Reason.NOT_IN_DAGSTER
    }
    # While the service is unavailable, a retry would use the fallback again.
    assert "degraded.md" not in due(database, can_retry_degraded=False)


def test_a_transient_failure_is_retried_after_growing_delays(
    database: Database, later: Later
) -> None:
    [document] = register(database, "a.md")
    elapsed = timedelta()
    for minutes in (5, 20, 80, 320, 1_280, 1_440, 1_440):
        fail(database, document, transient())
        later(elapsed + minutes * MINUTE - MINUTE)
        assert due(database) == {}, minutes
        elapsed += minutes * MINUTE + MINUTE
        later(elapsed)
        assert due(database) == {"a.md": Reason.FAILED}, minutes
    fail(database, document, transient())
    later(elapsed + timedelta(days=30))
    assert due(database) == {}
    [known] = DocumentRegistry(database).find("a.md")
    assert known.quarantine == "attempts"
    assert DocumentRegistry(database).counts()["documents"]["quarantined"] == 1


def test_a_terminal_failure_is_quarantined_until_something_changes(
    database: Database, later: Later
) -> None:
    first, second, third = register(database, "changed.md", "model.md", "requested.md")
    for document in (first, second, third):
        fail(database, document, terminal())
    later(timedelta(days=400))
    assert due(database) == {}
    DocumentRegistry(database).change([(first, SourceFile("changed.md", 2, "2"))])
    assert due(database) == {"changed.md": Reason.CHANGED}
    publish(database, first)
    with database.transaction() as tx:
        tx.execute(
            "UPDATE tvdb.documents SET pipeline_fingerprint = 'old' WHERE document_id = %s",
            (second,),
        )
    assert due(database) == {"model.md": Reason.STALE}
    assert DueDocuments(database).request_documents([third]) == 1
    assert due(database) == {"requested.md": Reason.REQUESTED, "model.md": Reason.STALE}
    fail(database, third, terminal())
    assert due(database) == {"model.md": Reason.STALE}


def test_a_document_that_crashes_its_worker_three_times_is_quarantined(
    database: Database, later: Later
) -> None:
    [document] = register(database, "bomb.pdf")
    fail(database, document, terminal("parser_crashed"), times=2)
    later(timedelta(days=1))
    assert due(database) == {"bomb.pdf": Reason.FAILED}
    fail(database, document, terminal("parse_memory"))
    later(timedelta(days=100))
    assert due(database) == {}
    [known] = DocumentRegistry(database).find("bomb.pdf")
    assert known.quarantine == "poison"


def test_a_document_with_a_requested_run_is_not_due_until_the_request_expires(
    database: Database, later: Later
) -> None:
    register(database, "a.md")
    DueDocuments(database).note_run_requests(["a.md"])
    assert due(database) == {}
    later(RUN_REQUEST_TIMEOUT + MINUTE)
    assert due(database) == {"a.md": Reason.MISSING}


def test_a_request_does_not_expire_while_a_command_has_planned_runs(
    database: Database, later: Later
) -> None:
    register(database, "a.md")
    work = DueDocuments(database)
    work.note_run_requests(["a.md"])
    later(timedelta(hours=5))
    with work.planned(), work.planned():
        assert work.is_planned()
        assert due(database) == {}
        register(database, "b.md")
        assert due(database) == {"b.md": Reason.MISSING}
    assert not work.is_planned()
    assert due(database) == {"a.md": Reason.MISSING, "b.md": Reason.MISSING}


def test_changes_and_requests_during_a_run_stay_due(database: Database) -> None:
    before, after, unread, requested = register(database, "b.md", "a.md", "u.md", "w.md")
    registry = DocumentRegistry(database)
    file = SourceFile("x.md", 1, "1")
    snapshot = ReadSnapshot(
        DocumentStore(database, "run-1").clock(),
        {document_id: (file, bytes(32)) for document_id in (before, after, requested)},
    )
    changed = SourceFile("x.md", 7, "2")
    registry.change([(before, changed), (unread, changed)])
    DueDocuments(database).request_documents([requested])
    for document_id in (before, after, unread, requested):
        publish(database, document_id, snapshot=snapshot)
    registry.change([(after, changed)])
    # The row has the etag of the bytes that were read, so the next scan finds the newer one.
    known = registry.known("/s")
    assert known["b.md"].etag == "1"
    assert due(database) == {
        "a.md": Reason.CHANGED,
        "u.md": Reason.CHANGED,
        "w.md": Reason.REQUESTED,
    }
    assert {name for name in known if known[name].sha256 is None} == {"u.md"}


def test_a_change_that_could_not_be_read_is_retried_as_a_failure(database: Database) -> None:
    [document] = register(database, "a.md")
    file = SourceFile("a.md", 7, "2")
    DocumentRegistry(database).change([(document, file)])
    store = DocumentStore(database, "run-1", PIPELINE_FINGERPRINT)
    failure = DocumentFailure(document, Stage.PARSED_DOCUMENTS, transient())
    store.record_failures([failure], ReadSnapshot(store.clock(), {document: (file, None)}))
    assert due(database) == {}, "until its next attempt"


def test_nearly_finished_documents_come_first_and_then_the_oldest(database: Database) -> None:
    old, new, parsed = register(database, "old.md", "new.md", "parsed.md")
    del old, new
    with database.transaction() as tx:
        tx.execute(
            "INSERT INTO tvdb.parsed_documents (document_id, content_sha256, fingerprint, suffix,"
            " text, media_type, is_markdown, page_starts, headings, notes, facts, service, mode,"
            " model, version, is_degraded, run_id) VALUES (%s, '', '', '', 'text', '', true, '{}',"
            " '[]', '{}', '{}', '', '', '', '', false, '')",
            (parsed,),
        )
    assert list(due(database)) == ["parsed.md", "old.md", "new.md"]


def test_one_process_plans_at_a_time(database: Database) -> None:
    first, second = DueDocuments(database), DueDocuments(database)
    with first.planning() as first_plans:
        assert first_plans
        with second.planning(waits=False) as second_plans:
            assert not second_plans
    with second.planning(waits=False) as second_plans:
        assert second_plans


def test_a_run_is_alive_while_a_process_works_on_it(database: Database) -> None:
    work = DueDocuments(database)
    with work.mark_run_alive("run-1"), work.mark_run_alive("run-1"):
        assert work.live_runs(["run-1", "run-2"]) == {"run-1"}
    assert work.live_runs(["run-1", "run-2"]) == set()


def test_documents_of_a_first_scan_are_not_compared_with_each_other(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The planner has no statistics yet, and would take few files to be of the source."""
    count = 1_500
    register(database, *(f"d/{number:05}.md" for number in range(count)))
    monkeypatch.setattr(due_documents, "class_row", lambda _: tuple_row)
    explained = f"EXPLAIN (ANALYZE, FORMAT JSON) {due_documents._DUE}"
    monkeypatch.setattr(due_documents, "_DUE", explained)

    found: Any = DueDocuments(database).find(PIPELINE_FINGERPRINT, WINDOWS, source="/s")

    plan = found[0][0][0]["Plan"]
    assert plan["Actual Rows"] == count
    assert sum(_removed(node) for node in _nodes(plan)) < 10 * count


def _removed(node: dict[str, Any]) -> float:
    removed = ("Rows Removed by Filter", "Rows Removed by Join Filter")
    return float(node["Actual Loops"] * sum(node.get(name, 0) for name in removed))


def _nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for child in plan.get("Plans", ()):
        yield from _nodes(child)
