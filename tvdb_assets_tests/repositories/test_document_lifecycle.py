"""The stored state of documents follows the pure rules, after any events in any order.

What belongs here: comparing the repository with the model, and which module may write. What does
not: the rules themselves (`lifecycle`).
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import tvdb_assets
from tvdb_assets.lifecycle import (
    BudgetWindows,
    DocumentLife,
    Event,
    FileVersion,
    Outcome,
    Reason,
    WorkEnded,
    due_reason,
    first_reason,
    run_is_expected,
)
from tvdb_assets.models import Member, SourceFile
from tvdb_assets.repositories.database import Database
from tvdb_assets.repositories.deletion import DocumentDeletion
from tvdb_assets.repositories.document_lifecycle import DocumentLifecycle
from tvdb_assets.repositories.document_registry import DocumentRegistry
from tvdb_assets.repositories.document_store import DocumentStore
from tvdb_assets.repositories.due_documents import DueDocuments
from tvdb_assets_tests.lifecycle.lifecycle_invariants import CURRENT, LIMITED, NOW, check, events

MINUTE = timedelta(minutes=1)
FILES = ("a.zip", "b.md", "c.md")
MEMBERS = ("a.zip!/one.md", "a.zip!/two.md")
PACKAGE = Path(tvdb_assets.__file__).parent


@dataclass
class Model:
    """The states that the pure rules give, by document id."""

    ids: dict[str, int]
    lives: dict[int, DocumentLife] = field(default_factory=dict)

    def file_of(self, document_id: int) -> int:
        is_member = document_id in {self.ids[path] for path in MEMBERS}
        return self.ids["a.zip"] if is_member else document_id

    def due(
        self, windows: BudgetWindows, now: datetime, *, can_retry_degraded: bool
    ) -> dict[int, Reason]:
        """Due files and their reasons; all but ``b.md`` are in Dagster."""
        reasons: dict[int, list[Reason | None]] = {}
        for document_id, life in self.lives.items():
            reason = due_reason(
                life,
                windows,
                now,
                fingerprints=CURRENT,
                can_retry_degraded=can_retry_degraded,
                is_in_dagster=document_id != self.ids["b.md"],
            )
            reasons.setdefault(self.file_of(document_id), []).append(reason)
        found = {}
        for document_id, all_reasons in reasons.items():
            file, reason = self.lives[document_id], first_reason(all_reasons)
            is_expected = run_is_expected(file.run_requested_at, now, is_planned=False)
            if reason is not None and not file.is_gone and not is_expected:
                found[document_id] = reason
        return found


@pytest.fixture(scope="module")
def later(shared_database: Database) -> Iterator[Database]:
    """The same database with its clock two days ahead, when every next attempt is due."""
    url = shared_database.url
    options = "options=-c%20tvdb.clock_offset%3D2d"
    with Database(f"{url}{'&' if '?' in url else '?'}{options}") as opened:
        yield opened


def begin(database: Database) -> Model:
    """The same documents for each example: files, and members of one of them."""
    with database.transaction() as tx:
        tx.execute("TRUNCATE tvdb.documents CASCADE")
    registry = DocumentRegistry(database)
    registry.register("/s", [SourceFile(path, 1, "1") for path in FILES], "")
    store = DocumentStore(database, "run-0")
    [container] = store.rows(["a.zip"])
    names = [path.partition("!/")[2] for path in MEMBERS]
    members = [Member(i, name, 1, b"1" * 32) for i, name in enumerate(names)]
    store.members.sync(container, members)
    with database.transaction() as tx:
        rows = tx.execute("SELECT path, document_id, etag, run_id FROM tvdb.documents").fetchall()
    lives = {i: DocumentLife(FileVersion(1, etag), run_id=run) for _, i, etag, run in rows}
    return Model({path: i for path, i, _, _ in rows}, lives)


def read(database: Database) -> dict[int, DocumentLife]:
    """The stored states, read without any event."""
    with database.transaction() as tx:
        rows = tx.execute("SELECT document_id FROM tvdb.documents").fetchall()
        return DocumentLifecycle(tx).read([row[0] for row in rows])


@settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_stored_rows_follow_the_rules(
    shared_database: Database, later: Database, data: st.DataObject
) -> None:
    database = shared_database
    model = begin(database)
    outcomes: list[tuple[int, Outcome]] = []
    steps = data.draw(st.lists(st.lists(st.sampled_from(FILES + MEMBERS), unique=True, min_size=1),
                               min_size=1, max_size=8))  # fmt: skip
    for paths in steps:
        with database.transaction() as tx:
            row = tx.execute("SELECT tvdb.clock()").fetchone()
            assert row is not None
            now: datetime = row[0]
            batch: dict[int, Event] = {
                model.ids[path]: data.draw(events(now, is_member=path in MEMBERS)) for path in paths
            }
            lives = DocumentLifecycle(tx).apply(batch)
        for document_id, event in batch.items():
            if isinstance(event, WorkEnded) and event.outcome is not None:
                outcomes.append((document_id, event.outcome))
            expected = event.apply(model.lives[document_id], now)
            model.lives[document_id] = with_stored_times(expected, lives[document_id], now)
        assert read(database) == model.lives
        for life in model.lives.values():
            check(life, now)
    with database.transaction() as tx:
        recorded = tx.execute("SELECT document_id, outcome FROM tvdb.document_events").fetchall()
    assert sorted(recorded) == sorted(outcomes)
    compare_due(database, model)
    compare_due(later, model)


def with_stored_times(expected: DocumentLife, stored: DocumentLife, now: datetime) -> DocumentLife:
    """The model's state with the times of the database, which reads its clock a moment later."""
    times = {}
    for name in ("next_attempt_at", "manually_requested_at", "run_requested_at", "gone_at"):
        ours, theirs = getattr(expected, name), getattr(stored, name)
        assert (ours is None) is (theirs is None), name
        if ours is not None and ours != theirs:
            assert timedelta() <= theirs - ours < MINUTE, name
            times[name] = theirs
    return replace(expected, **times)


def compare_due(database: Database, model: Model) -> None:
    """The statement and the rule agree, for windows that were renewed and that were not."""
    now = DocumentStore(database, "").clock()
    for age in (timedelta(), timedelta(hours=1), timedelta(days=30)):
        windows = BudgetWindows(now - age, now - 2 * age, now - age, now)
        for can_retry_degraded in (True, False):
            found = DueDocuments(database).find(
                NOW,
                windows,
                limits_fingerprint=LIMITED.removesuffix(NOW),
                can_retry_degraded=can_retry_degraded,
                not_in_dagster=["b.md"],
            )
            expected = model.due(windows, now, can_retry_degraded=can_retry_degraded)
            assert {d.document_id: d.reason for d in found} == expected


def test_members_are_unpublished_and_restored_with_their_file(shared_database: Database) -> None:
    model = begin(shared_database)
    container = model.ids["a.zip"]
    DocumentDeletion(shared_database).unpublish([container])
    gone = read(shared_database)
    assert {i for i in gone if gone[i].is_gone} == {container, *map(model.ids.get, MEMBERS)}
    DocumentRegistry(shared_database).change([(container, SourceFile("a.zip", 1, "2"))])
    back = read(shared_database)
    assert not [i for i in back if back[i].is_gone]
    assert [i for i in back if back[i].is_changed] == [container]


def test_many_documents_are_read_and_written_by_few_statements(shared_database: Database) -> None:
    begin(shared_database)
    registry = DocumentRegistry(shared_database)
    registry.register("/s", [SourceFile(f"{n}.md", 1, "1") for n in range(2_500)], "")
    known = registry.known("/s")
    files = [(d.document_id, SourceFile(d.path, 2, "2")) for d in known.values()]
    registry.change(files)
    assert {(d.etag, d.is_changed) for d in registry.known("/s").values()} == {("2", True)}
    assert DueDocuments(shared_database).request_documents([i for i, _ in files]) == len(files)
    assert DueDocuments(shared_database).request_documents() == 0, "none has failed"


def test_one_module_writes_document_states() -> None:
    writes = re.compile(r"\b(UPDATE|MERGE INTO)\s+tvdb\.documents\b", re.IGNORECASE)
    modules = [path for path in PACKAGE.rglob("*.py") if writes.search(path.read_text("utf-8"))]
    assert [path.name for path in modules] == ["document_lifecycle.py"]


def test_no_status_is_a_literal_in_sql() -> None:
    """No statement compares a column with a quoted value; values come from the enumerations."""
    literal = re.compile(r"\b(status|quarantine)\s*(=|<>|IN\b|IS DISTINCT FROM)\s*\(?\s*'[a-z]")
    found = [
        f"{path.relative_to(PACKAGE)}: {node.value.strip()}"
        for path in PACKAGE.rglob("*.py")
        if "migrations" not in path.parts
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
        if literal.search(node.value)
    ]
    assert found == []
