"""kill -9 at each point of a paid call: no document is lost, paid twice or partly visible.

What belongs here: one ingestion that is killed, and the next one. What does not: concurrent
ingestions (`test_concurrent_ingestions`), or the ledger alone.
"""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from tvdb_assets.correlation import part_of
from tvdb_assets.repositories.database import Database
from tvdb_assets_tests.integration.ingestion_processes import (
    ALL_POINTS,
    HOOKS,
    ProcessSettings,
    register,
    run_process,
)
from tvdb_assets_tests.paid_apis import RunningServer, expected_vectors, running_server
from tvdb_assets_tests.spend_guard.ledger_invariants import (
    check_counters,
    ledger_usd,
    rows,
    settle_by,
)
from tvdb_assets_tests.spend_guard.processes import KILLED, ended, start

DOCUMENTS = 12
ON_FAILURE = {
    "failed": "server_error",
    "before_void": "server_error",
    "voided": "server_error",
    "before_retry": "server_error",
    "before_loss": "reset_after_work",
    "loss_posted": "reset_after_work",
}
"""The fault that is necessary to reach a point."""
IN_EACH_BATCH = 4
"""The minimum number of arrivals at every other point: one for each batch of three documents."""
SHARED = "Receipts are handed in within two weeks of the journey, to the travel office alone."


def write_documents(folder: Path) -> list[str]:
    """Write Markdown, which is read on this machine, and HTML, which a paid service parses."""
    names = []
    for number in range(DOCUMENTS):
        parts = [
            f"Clause {part} of document {number}: the insured pays {number * 100 + part} euros "
            f"a year, and is told so by the {part}th of the month in which the payment is due."
            for part in range(3)
        ]
        parts.append(SHARED if number % 3 == 0 else f"Document {number} ends here.")
        if number % 4 == 3:
            names.append(f"{number:02}.html")
            body = "".join(f"<h2>Part {i}</h2><p>{part}</p>" for i, part in enumerate(parts))
            text = f"<html><body>{body}</body></html>"
        else:
            names.append(f"{number:02}.md")
            text = "\n\n".join(f"## Part {i}\n\n{part}" for i, part in enumerate(parts))
        (folder / names[-1]).write_text(text)
    return names


def ingest_and_watch(database: Database, process_settings: ProcessSettings) -> int:
    """Ingest in another process, and check that search never shows a part of a document."""
    process = start(run_process, process_settings)
    while process.is_alive():
        check_no_document_is_partly_visible(database)
        process.join(0.05)
    check_no_document_is_partly_visible(database)
    return ended(process)


def check_no_document_is_partly_visible(database: Database) -> None:
    half = rows(
        database,
        "SELECT u.document_id, k.chunk_count, count(i.chunk_id) FROM tvdb.publications u"
        " JOIN tvdb.indexes x ON x.index_id = u.index_id AND x.is_current"
        " JOIN tvdb.chunk_sets k USING (chunk_set_id)"
        " LEFT JOIN tvdb.search_index i ON i.document_id = u.document_id"
        " GROUP BY 1, 2 HAVING count(DISTINCT i.ordinal) <> k.chunk_count"
        " OR count(i.chunk_id) <> k.chunk_count",
    )
    assert half == []


def check_all_is_published(database: Database, names: list[str]) -> None:
    """Check that each document is published once, complete, with the vectors of its texts."""
    states = rows(database, "SELECT path, status, error_code FROM tvdb.documents ORDER BY path")
    assert states == [(name, "published", None) for name in names]
    for table in ("parsed_documents", "chunk_sets", "publications"):
        counts = rows(database, f"SELECT count(*) FROM tvdb.{table} GROUP BY document_id")
        assert counts == [(1,)] * len(names), table
    shown = rows(database, "SELECT document, ordinal, text, embedding FROM tvdb.search_index")
    assert {row[0] for row in shown} == set(names)
    assert len({row[:2] for row in shown}) == len(shown)
    vectors = np.stack([row[3].to_numpy() for row in shown])
    np.testing.assert_allclose(vectors, expected_vectors([row[2] for row in shown]), atol=1e-6)
    for row in shown:
        assert row[2].strip(), "an empty passage"


def check_only_what_was_in_flight_is_paid_again(
    database: Database, server: RunningServer, in_flight: set[str]
) -> None:
    """Check that no text has two paid answers, and that unanswered ones were in flight or lost."""
    answered = {
        entry
        for (entry,) in rows(
            database,
            "SELECT entry_id::text FROM tvdb.cost_ledger"
            " WHERE state = 'posted' AND outcome = 'answered'",
        )
    }
    entries = [str(part_of(c.client_request_id or "")) for c in server.apis.charges]
    lost = {e for e, c in zip(entries, server.apis.charges, strict=True) if not c.answered}
    kept: Counter[str] = Counter()
    for entry, charge in zip(entries, server.apis.charges, strict=True):
        if entry in answered:
            kept.update(charge.sha256)
        else:
            assert entry in in_flight | lost
    assert [digest for digest, times in kept.items() if times > 1] == []


@pytest.mark.parametrize(
    # The fault simulation kills at all of them, without processes.
    "point",
    [pytest.param(p, marks=[pytest.mark.full] * (n % 2)) for n, p in enumerate(ALL_POINTS)],
)
def test_an_ingestion_killed_at_a_point_is_completed_by_the_next(
    database: Database, tmp_path: Path, point: str, is_full: bool
) -> None:
    folder = tmp_path / "documents"
    folder.mkdir()
    names = write_documents(folder)
    reported = tmp_path / "in-flight"
    with running_server() as server:
        register(database, folder)
        # At full size each seed empties the database, which costs less than a new one.
        for seed in range(25 if is_full else 1):
            if seed:
                _forget_everything(database)
                register(database, folder)
                server.apis.reset()
            chance = random.Random(f"{point} {seed}")
            nth = 1
            if point in ON_FAILURE:
                after = chance.randrange(4)
                server.apis.faults.script(ON_FAILURE[point], after=after)
                server.apis.faults.script(ON_FAILURE[point], operation="submit", after=after % 3)
            else:
                nth += chance.randrange(1 if point == "before_finish" else _arrivals(point))
            process_settings = ProcessSettings(
                database.url, str(folder), server.url, point, nth, str(reported)
            )

            assert ingest_and_watch(database, process_settings) == KILLED, (
                f"never reached: {point} {nth}"
            )
            in_flight = set(reported.read_text().split())
            check_counters(database)
            assert ledger_usd(database) >= server.apis.dollars
            assert (
                ingest_and_watch(database, ProcessSettings(database.url, str(folder), server.url))
                == 0
            )

            check_all_is_published(database, names)
            check_only_what_was_in_flight_is_paid_again(database, server, in_flight)
            assert ledger_usd(database) >= server.apis.dollars
            settle_by(database, server.apis.charges)
            assert ledger_usd(database) == server.apis.dollars


def _arrivals(point: str) -> int:
    """The minimum number of arrivals at a point: one for each batch, or each paid document."""
    is_of_parsing = point in HOOKS and HOOKS[point][0].__name__ in (
        "ParseJobs",
        "LlamaParse",
        "PaidParsing",
        "PaidParseStage",
    )
    return DOCUMENTS // 4 if is_of_parsing else IN_EACH_BATCH


def _forget_everything(database: Database) -> None:
    with database.transaction() as tx:
        tx.execute(
            "TRUNCATE tvdb.documents, tvdb.embeddings, tvdb.cost_ledger, tvdb.budget_windows,"
            " tvdb.service_states, tvdb.text_claims, tvdb.parse_jobs CASCADE"
        )
