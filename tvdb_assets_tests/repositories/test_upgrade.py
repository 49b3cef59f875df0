"""A database of schema 0012 is upgraded without loss: rows, search, ledger, and nothing paid again.

What belongs here: the upgrade of one complete database, whose rows are in `schema_0012.sql`. What
does not: the upgrade across one older migration (`test_index_migration`).
"""

from __future__ import annotations

import json
import shutil
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

import psycopg
import pytest
import stamina

from tvdb_assets.core.chunking import Chunker
from tvdb_assets.document_limits import DocumentLimits
from tvdb_assets.parsing.document_parser import parser_fingerprint
from tvdb_assets.parsing.worker_pool import WorkerPool
from tvdb_assets.reporting.costs import budget_summary
from tvdb_assets.repositories.database import Database, prepare
from tvdb_assets.repositories.index_catalog import IndexCatalog
from tvdb_assets.repositories.migrations import upgrade
from tvdb_assets.retrieval.hybrid_search import search
from tvdb_assets.retrieval.results import Hit
from tvdb_assets_tests.paid_apis import Behaviour
from tvdb_assets_tests.paid_router import DocumentFolder, PaidServicesFixture

_DUMP = Path(__file__).with_name("schema_0012.sql")
_DEMO = Path(__file__).parents[2] / "demo/documents"
_FROM_DEMO = (
    "broken/corrupt-policy.pdf",
    "handbook/underwriting-guidelines.md",
    "mail/claim-acknowledgement.eml",
    "notes/broker-notes.txt",
    "policies/cyber-policy.md",
    "policies/pet-policy.pdf",
)
_TEXTS = {
    "table.md": "# Table\n\n| building | premium |\n|---|---|\n"
    + "".join(
        f"| house {n} in the row of houses | {n * 100} euros a year, paid on the first of March |\n"
        for n in range(20)
    ),
    "edited.md": "# Edited\n\nThe second version of another text.\n",
    "outage.md": "# Outage\n\nThis text was embedded while the service was unavailable.\n",
    "outage.html": "<!doctype html><html><body><h1>Outage</h1><p>This page was parsed while the "
    "service was unavailable.</p></body></html>",
    "deferred.md": "# Deferred\n\nThere was no budget left for this text.\n",
}
_LETTERS = {
    "one.md": "# One\n\nFlood damage is covered.\n",
    "two.md": "# Two\n\nFire is not covered.\n",
    "bad.pdf": "%PDF-1.7 truncated",
}
SETTINGS = {
    "service_mode": "hybrid",
    "embedding_dimensions": 16,
    "chunk_tokens": 128,
    "llamaparse_version": "2026-09-28",
}
"""Id of the run that stored most documents."""

_DROPPED_TABLES = {"chunk_words"}
_RENAMED_COLUMNS = {
    "documents": {
        "recipe": "pipeline_fingerprint",
        "wanted_at": "manually_requested_at",
        "requested_at": "run_requested_at",
    },
    "chunks": {"lead": "repeated_header"},
    "vector_spaces": {"is_stand_in": "is_fallback"},
    "service_events": {"part": "client_request_uuid"},
    "budget_alerts": {"noted_at": "recorded_at", "told_at": "reported_at"},
    "installation": {"is_only": "is_singleton"},
}
_SUMS = (
    "SELECT state, operation, count(*), sum(reserved_usd), sum(posted_usd), sum(quantity)"
    " FROM tvdb.cost_ledger GROUP BY 1, 2 ORDER BY 1, 2",
    "SELECT * FROM tvdb.cost_by_run ORDER BY run_id",
    "SELECT * FROM tvdb.cost_by_document ORDER BY document",
    "SELECT * FROM tvdb.cost_by_service ORDER BY day, service, operation, model",
    "SELECT scope, period, spent_usd, requests FROM tvdb.budget_windows ORDER BY 1, 2, starts_at",
)
Rows = dict[str, list[dict[str, Any]]]


@dataclass(frozen=True)
class OldDatabase:
    """A database of schema 0012, and the folder of its documents."""

    url: str
    folder: Path


@pytest.fixture
def old(empty_url: str, tmp_path: Path) -> OldDatabase:
    """The rows that commit bfd0fa2 stored for the documents in a folder."""
    _write_documents(tmp_path)
    placeholders = {
        "@SOURCE@": str(tmp_path.resolve()),
        "@PARSER@": parser_fingerprint(limits=DocumentLimits()),
        "@CHUNKER_128@": Chunker(128, 0).fingerprint,
        "@CHUNKER_64@": Chunker(64, 0).fingerprint,
    }
    dump = _DUMP.read_text("utf-8")
    for name, value in placeholders.items():
        dump = dump.replace(name, value)
    with psycopg.connect(empty_url, autocommit=True) as connection:
        connection.execute("CREATE EXTENSION IF NOT EXISTS vector")
    upgrade(empty_url, "0012")
    with psycopg.connect(empty_url) as connection:
        connection.execute(dump.encode())
    return OldDatabase(empty_url, tmp_path)


@pytest.fixture
def upgraded(old: OldDatabase, paid_workers: WorkerPool) -> Iterator[DocumentFolder]:
    """The folder on the upgraded database, half an hour after the last run."""
    prepare(old.url)
    with Database(old.url) as database, stamina.set_testing(True, attempts=20, cap=True):
        paid = PaidServicesFixture(database, paid_workers)
        paid.clock.now = datetime(2026, 11, 25, 12, 30, tzinfo=UTC)
        # The simulated service must not use the ids of the jobs that are stored.
        paid.apis.behaviour = Behaviour(seed=8)
        paid.apis.reset()
        folder = DocumentFolder(paid, old.folder)
        folder.ingestions = 10
        yield folder


def _write_documents(folder: Path) -> None:
    for name in _FROM_DEMO:
        (folder / name).parent.mkdir(exist_ok=True)
        shutil.copy(_DEMO / name, folder / name)
    for name, text in _TEXTS.items():
        (folder / name).write_text(text, "utf-8")
    with zipfile.ZipFile(folder / "letters.zip", "w") as archive:
        for name, text in _LETTERS.items():
            archive.writestr(zipfile.ZipInfo(name, (2026, 1, 1, 0, 0, 0)), text)


def _snapshot(url: str) -> Rows:
    """Every row of every table, as JSON."""
    with psycopg.connect(url) as connection:
        tables = connection.execute(
            "SELECT relname FROM pg_class WHERE relnamespace = 'tvdb'::regnamespace"
            " AND relkind = 'r' AND relname <> 'alembic_version' ORDER BY 1"
        ).fetchall()
        return {
            table: _sorted(
                row
                for (row,) in connection.execute(f"SELECT to_jsonb(t) FROM tvdb.{table} t")  # type: ignore[arg-type]
            )
            for (table,) in tables
        }


def _sorted(rows: Iterator[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(rows, key=lambda row: json.dumps(row, sort_keys=True))


def _query(url: str, query: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(url) as connection:
        return connection.execute(query).fetchall()  # type: ignore[arg-type]


def _renamed(before: Rows) -> Rows:
    """The rows of the old schema under the names of the new one."""
    after: Rows = {}
    for table, rows in before.items():
        if table in _DROPPED_TABLES:
            continue
        columns = _RENAMED_COLUMNS.get(table, {})
        after[table] = _sorted(
            {columns.get(name, name): _renamed_value(table, value) for name, value in row.items()}
            for row in rows
        )
    for document in after["documents"]:
        document.update(run_requested_by=None)
        # The new schema has no document that is published and gone, or in quarantine and due.
        if document["gone_at"] is not None:
            document.update(status="registered", is_degraded=False)
        if document["quarantine"] is not None:
            document.update(next_attempt_at=None)
    after["documents"] = _sorted(iter(after["documents"]))
    # The upgrade takes the words of all chunks, and finds the languages of their documents.
    for chunk_set in after["chunk_sets"]:
        chunk_set["has_words"] = True
    after["chunk_sets"] = _sorted(iter(after["chunk_sets"]))
    return after


def _renamed_value(table: str, value: Any) -> Any:
    if table in ("vector_spaces", "parsed_documents") and isinstance(value, str):
        return value.removesuffix("+stand-in") + "+fallback" * value.endswith("+stand-in")
    if table == "service_states" and isinstance(value, dict):
        return {name: field for name, field in value.items() if name != "failed_code"}
    return value


def test_the_dump_covers_all_kinds_of_rows(old: OldDatabase) -> None:
    """The dump covers each table, and each kind of document, vector space and ledger entry."""
    before = _snapshot(old.url)
    assert [table for table, rows in before.items() if not rows] == []
    documents = before["documents"]
    assert {row["status"] for row in documents} == {"published", "failed", "deferred"}
    for column in ("quarantine", "wanted_at", "requested_at", "gone_at", "container_id"):
        assert any(row[column] for row in documents), column
    assert any(row["is_degraded"] for row in documents)
    assert {row["is_stand_in"] for row in before["vector_spaces"]} == {False, True}
    assert any(row["fingerprint"].endswith("+stand-in") for row in before["parsed_documents"])
    assert any(row["lead"] for row in before["chunks"])
    assert {row["has_words"] for row in before["chunk_sets"]} == {False, True}
    assert {row["state"] for row in before["cost_ledger"]} == {"posted", "voided"}
    assert {row["operation"] for row in before["cost_ledger"]} == {"parse", "embed"}
    assert any(row["state"].get("failed_code") for row in before["service_states"])
    assert sum(row["is_current"] for row in before["indexes"]) == 1 < len(before["indexes"])


def test_the_documents_are_those_that_were_ingested(old: OldDatabase) -> None:
    """If a document of the demo changes, copy its old version into this test."""
    stored = dict(
        _query(
            old.url,
            "SELECT path, encode(sha256, 'hex') FROM tvdb.documents"
            " WHERE container_id IS NULL AND gone_at IS NULL",
        )
    )
    assert stored == {
        path.relative_to(old.folder).as_posix(): sha256(path.read_bytes()).hexdigest()
        for path in old.folder.rglob("*")
        if path.is_file()
    }


def test_every_row_is_there_under_the_new_names(old: OldDatabase) -> None:
    before = _snapshot(old.url)

    prepare(old.url)

    after = _snapshot(old.url)
    for entry in after["cost_ledger"]:
        sent_before = entry.pop("sent_before")
        assert sent_before == entry["settled_at"] or entry["state"] == "voided"
    expected = _renamed(before)
    new_tables = {
        "word_segments",
        "word_postings",
        "word_sets",
        "word_live",
        "word_changes",
        "vector_indexes",
        *("question_vectors", "texts_without_vector"),
        "retrieval_evaluations",
        "claim_leases",
        "parse_submissions",
        "source_scans",
        "unused_parses",
        "unused_texts",
        *("scan_progress", "scan_pages"),
        *("embedding_batches", "embedding_batch_texts", "embedding_batch_returns"),
    }
    assert after.keys() - expected.keys() == new_tables
    for row in after["chunk_sets"]:
        row.pop("language")
    for row in after["documents"]:
        row.pop("modified_at")
    for row in after["embeddings"]:
        row.pop("vector_id")
    for row in after["parse_jobs"]:
        assert [row.pop(f"error_{name}") for name in ("code", "message", "remedy")] == [None] * 3
    assert expected.keys() <= after.keys()
    for table, rows in expected.items():
        missing = [row for row in rows if row not in after[table]]
        unexpected = [row for row in after[table] if row not in rows]
        assert (table, missing, unexpected) == (table, [], [])
    assert "stand-in" not in json.dumps(after)


def test_the_ledger_has_the_same_sums(old: OldDatabase) -> None:
    before = [_query(old.url, query) for query in _SUMS]

    prepare(old.url)

    assert [_query(old.url, query) for query in _SUMS] == before
    with Database(old.url) as database:
        paid = PaidServicesFixture(database)
        paid.clock.now = datetime(2026, 11, 25, 12, 30, tzinfo=UTC)
        with paid.router(**SETTINGS) as router:
            summary = budget_summary(database, router.services.ledger, ["openai", "llamaparse"])
    [(posted,)] = _query(old.url, "SELECT sum(posted_usd) FROM tvdb.cost_ledger")
    assert (summary.posted_usd, summary.reserved_usd) == (posted, 0)
    hours = _query(old.url, "SELECT scope, requests FROM tvdb.budget_windows WHERE period = 'hour'")
    assert summary.requests_this_hour == {scope: count for scope, count in hours if scope}


def test_the_status_that_was_never_stored_is_refused(old: OldDatabase) -> None:
    with psycopg.connect(old.url) as connection:
        connection.execute(
            "UPDATE tvdb.documents SET status = 'quarantined' WHERE path = 'table.md'"
        )
    prepare(old.url)

    with psycopg.connect(old.url) as connection:
        assert connection.execute(
            "SELECT status, quarantine FROM tvdb.documents WHERE path = 'table.md'"
        ).fetchall() == [("failed", "terminal")]
        with pytest.raises(psycopg.errors.CheckViolation):
            connection.execute("UPDATE tvdb.documents SET status = 'quarantined'")


def _search(folder: DocumentFolder, question: str) -> list[Hit]:
    embedded = folder.paid.use(lambda router: router.embed([question]), **SETTINGS)
    return list(search(folder.paid.database, question, embedded[0], embedded.space.label, 5))


def test_search_finds_what_was_published(upgraded: DocumentFolder) -> None:
    [hit] = [hit for hit in _search(upgraded, "premium of house 17") if "house 17 " in hit.text]
    assert (hit.document, hit.repeated_header) == ("table.md", "| building | premium |\n")
    # The words of stored chunks are taken by the upgrade.
    assert upgraded.paid.rows("SELECT count(*) FROM tvdb.chunk_sets WHERE NOT has_words") == [(0,)]
    found = _search(upgraded, "second version of another text")
    assert "edited.md" in {hit.document for hit in found}


def test_the_view_shows_the_old_name_of_the_repeated_header_too(upgraded: DocumentFolder) -> None:
    shown = upgraded.paid.rows("SELECT DISTINCT lead, repeated_header FROM tvdb.search_index")
    assert sorted(shown) == [("", ""), ("| building | premium |\n",) * 2]


def test_nothing_is_embedded_or_paid_again(upgraded: DocumentFolder) -> None:
    paid = upgraded.paid
    tables = ("cost_ledger", "embeddings", "parsed_documents", "chunks", "publications")
    stored = _snapshot(paid.database.url)
    published = [
        path
        for (path,) in paid.rows(
            "SELECT path FROM tvdb.documents WHERE container_id IS NULL AND gone_at IS NULL"
            " AND NOT is_degraded AND status = 'published'"
        )
    ]
    assert len(published) == 7

    assert upgraded.codes(upgraded.ingest(published, **SETTINGS)) == {}

    assert paid.apis.requests == []
    after = _snapshot(paid.database.url)
    for table in tables:
        assert after[table] == stored[table], table


def test_unfinished_documents_are_finished(upgraded: DocumentFolder) -> None:
    """Only texts that were never sent to a paid service are paid for."""
    paid = upgraded.paid
    current = IndexCatalog(paid.database).current()
    due = upgraded.due(**SETTINGS)
    assert {"outage.md", "outage.html", "deferred.md"} <= set(due)

    codes = upgraded.codes(upgraded.ingest(**SETTINGS))

    assert codes.keys() <= {"broken/corrupt-policy.pdf", "letters.zip"}
    assert upgraded.degraded_rows() == {}
    [(left,)] = paid.rows(
        "SELECT count(*) FROM tvdb.embeddings JOIN tvdb.vector_spaces USING (space_id)"
        " WHERE is_fallback"
    )
    assert left == 0
    assert IndexCatalog(paid.database).current() == current
    embedded = [charge for charge in paid.apis.charges if charge.operation != "parse"]
    texts = paid.rows(
        "SELECT DISTINCT encode(c.text_sha256, 'hex') FROM tvdb.chunks c"
        " JOIN tvdb.documents USING (document_id) WHERE path = ANY(%s)",
        ["outage.md", "outage.html", "deferred.md"],
    )
    assert sorted(digest for charge in embedded for digest in charge.sha256) == sorted(
        digest for (digest,) in texts
    )
    [parsed] = [charge for charge in paid.apis.charges if charge.operation == "parse"]
    assert parsed.sha256[0] == sha256(_TEXTS["outage.html"].encode()).hexdigest()


def test_a_fallback_parse_is_used_again_while_the_outage_lasts(upgraded: DocumentFolder) -> None:
    paid = upgraded.paid
    paid.apis.faults.script("unavailable", operation="embeddings", times=None)
    paid.apis.faults.script("unavailable", operation="submit", times=None)
    before = _snapshot(paid.database.url)

    assert upgraded.codes(upgraded.ingest(["outage.md", "outage.html"], **SETTINGS)) == {}

    after = _snapshot(paid.database.url)
    assert after["parsed_documents"] == before["parsed_documents"]
    assert paid.apis.charges == []
    assert [row["is_degraded"] for row in after["documents"] if "outage" in row["path"]] == [
        True
    ] * 2
